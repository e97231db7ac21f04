//! Where a page ends and the next one begins. A cursor names a place in an order that does not
//! move, so devices that come or change between two pages shift nothing.

use super::text::Head;
use crate::claims::Claim;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_api::Problem;
use std::cmp::Reverse;

/// By what devices are found, in the order in which a search goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// All of them, batch by batch.
    Batches,
    /// By the beginning of a serial number.
    Serials,
    /// By a lot, batch by batch.
    Lot,
    /// By the beginning of a DID.
    Dids,
    /// By the beginning of a key.
    Keys,
}

/// A place within a phase.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// Before its first device.
    Start,
    /// Behind a serial number.
    Serial(String),
    /// Behind a device of a batch, which goes by its place in the log.
    Batch(Reverse<u64>, Claim),
    /// Behind a device.
    Name(Claim),
    /// Behind a device with a key.
    Key(Head, Claim),
}

/// A place in the order of a search.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor(pub(crate) Phase, pub(crate) At);

fn malformed() -> Problem {
    Problem::new(400, "cursor", "this is not where a page of this search ends")
        .cure("begin at the first page")
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

impl Cursor {
    pub(crate) fn start(phase: Phase) -> Self {
        Self(phase, At::Start)
    }

    /// Its text, which says nothing to people.
    pub(crate) fn text(&self) -> String {
        let phase = match self.0 {
            Phase::Batches => 'b',
            Phase::Serials => 's',
            Phase::Lot => 'l',
            Phase::Dids => 'd',
            Phase::Keys => 'k',
        };
        match &self.1 {
            At::Start => phase.to_string(),
            At::Serial(serial) => format!("{phase}.{}", BASE64URL_NOPAD.encode(serial.as_bytes())),
            At::Batch(entry, name) => format!("{phase}.{}.{}", entry.0, HEXLOWER.encode(&name.0)),
            At::Name(name) => format!("{phase}.{}", HEXLOWER.encode(&name.0)),
            At::Key(head, name) => {
                format!("{phase}.{}.{}", HEXLOWER.encode(head), HEXLOWER.encode(&name.0))
            }
        }
    }

    /// Reads a text that came back.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        Self::parse(text).ok_or_else(malformed)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let phase = match parts.next()? {
            "b" => Phase::Batches,
            "s" => Phase::Serials,
            "l" => Phase::Lot,
            "d" => Phase::Dids,
            "k" => Phase::Keys,
            _ => return None,
        };
        let name = |text: &str| Some(Claim(fixed(text)?));
        let at = match (phase, parts.next(), parts.next(), parts.next()) {
            (_, None, None, None) => At::Start,
            (Phase::Serials, Some(serial), None, None) => {
                let bytes = BASE64URL_NOPAD.decode(serial.as_bytes()).ok()?;
                At::Serial(String::from_utf8(bytes).ok()?)
            }
            (Phase::Batches | Phase::Lot, Some(entry), Some(of), None) => {
                At::Batch(Reverse(entry.parse().ok()?), name(of)?)
            }
            (Phase::Dids, Some(of), None, None) => At::Name(name(of)?),
            (Phase::Keys, Some(head), Some(of), None) => At::Key(fixed(head)?, name(of)?),
            _ => return None,
        };
        Some(Self(phase, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let name = Claim([7; 16]);
        let all = [
            Cursor::start(Phase::Dids),
            Cursor(Phase::Batches, At::Batch(Reverse(4_711), name)),
            Cursor(Phase::Serials, At::Serial("\u{202e}%_'\0.b".into())),
            Cursor(Phase::Lot, At::Batch(Reverse(u64::MAX), name)),
            Cursor(Phase::Dids, At::Name(name)),
            Cursor(Phase::Keys, At::Key([9; 10], name)),
        ];
        for cursor in all {
            assert_eq!(Cursor::read(&cursor.text()), Ok(cursor));
        }
        let others =
            ["", "x", "b.1", "b.-1.00", "s.?", "d.00", "k.00.00", "b.1.2.3.4", "\0", "l.."];
        for text in others {
            assert_eq!(Cursor::read(text).unwrap_err().code(), "cursor", "{text:?}");
        }
    }

    #[test]
    fn the_newest_batch_comes_first() {
        let at = |entry, name| Cursor(Phase::Batches, At::Batch(Reverse(entry), Claim([name; 16])));
        assert!(at(9, 5) < at(8, 1) && at(9, 1) < at(9, 2));
        assert!(Cursor::start(Phase::Batches) < at(9, 0));
        assert!(at(0, 9) < Cursor::start(Phase::Serials));
    }
}
