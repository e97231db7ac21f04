//! What a row says and is told, as it is spooled between reading and results.

use crate::RowFault;
use crate::formats::Span;
use muster_identity::Did;
use std::io::{self, Read, Write};

/// The words of one row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Words {
    /// Serial number, as far as it could be read.
    pub(crate) serial: Option<Box<str>>,
    /// What the user should know though it changes nothing.
    pub(crate) note: Option<Box<str>>,
    /// The device, if the row has a good key.
    pub(crate) did: Option<Did>,
    /// Why it waits or is refused, if that was found before anything was sent.
    pub(crate) fault: Option<RowFault>,
    /// Lot and model, of rows that may come into the list of what is missing.
    pub(crate) lot: Option<Box<str>>,
    pub(crate) model: Option<Box<str>>,
    /// Where it stands, if it can be taken out of its file.
    pub(crate) span: Option<Span>,
}

impl Words {
    /// Writes them: a byte that says what is there, then that.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let there = [
            self.serial.is_some(),
            self.note.is_some(),
            self.did.is_some(),
            self.fault.is_some(),
            self.lot.is_some(),
            self.model.is_some(),
            self.span.is_some(),
        ];
        let flags = there.iter().enumerate().map(|(bit, there)| u8::from(*there) << bit).sum();
        to.write_all(&[flags])?;
        for text in [&self.serial, &self.note].into_iter().flatten() {
            put(to, text)?;
        }
        if let Some(did) = &self.did {
            to.write_all(did.digest())?;
        }
        if let Some(fault) = &self.fault {
            put(to, &fault.code)?;
            put(to, fault.field)?;
            put(to, &fault.reason)?;
        }
        for text in [&self.lot, &self.model].into_iter().flatten() {
            put(to, text)?;
        }
        if let Some(span) = self.span {
            to.write_all(&span.at.to_le_bytes())?;
            to.write_all(&span.length.to_le_bytes())?;
        }
        Ok(())
    }

    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut flags = [0];
        from.read_exact(&mut flags)?;
        let there = |bit: u8| flags[0] & (1 << bit) != 0;
        let mut words = Self::default();
        if there(0) {
            words.serial = Some(get(from)?.into());
        }
        if there(1) {
            words.note = Some(get(from)?.into());
        }
        if there(2) {
            let mut digest = [0; 32];
            from.read_exact(&mut digest)?;
            words.did = Some(Did::from_digest(digest));
        }
        if there(3) {
            let (code, field, reason) = (get(from)?, get(from)?, get(from)?);
            words.fault = Some(RowFault::recalled(&code, &field, reason));
        }
        if there(4) {
            words.lot = Some(get(from)?.into());
        }
        if there(5) {
            words.model = Some(get(from)?.into());
        }
        if there(6) {
            let (mut at, mut length) = ([0; 8], [0; 4]);
            from.read_exact(&mut at)?;
            from.read_exact(&mut length)?;
            let (at, length) = (u64::from_le_bytes(at), u32::from_le_bytes(length));
            words.span = Some(Span { at, length });
        }
        Ok(words)
    }
}

fn put(to: &mut impl Write, text: &str) -> io::Result<()> {
    to.write_all(&(text.len() as u32).to_le_bytes())?;
    to.write_all(text.as_bytes())
}

fn get(from: &mut impl Read) -> io::Result<String> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        let fault = RowFault::new("type", "`lot` is a list").of_field("lot");
        let all = [
            Words::default(),
            Words { serial: Some("SN-ü".into()), ..Words::default() },
            Words {
                serial: Some(String::new().into()),
                note: Some("the signer has expired since".into()),
                did: Some(Did::from_digest([7; 32])),
                fault: Some(fault),
                lot: Some("reel 7".into()),
                model: Some("sensor".into()),
                span: Some(Span { at: 1 << 40, length: 300 }),
            },
            Words {
                fault: Some(RowFault::by_node(Some("brand-new".into()), None)),
                ..Words::default()
            },
        ];
        let mut bytes = Vec::new();
        all.iter().for_each(|words| words.write(&mut bytes).expect("memory"));
        let mut reader = &bytes[..];
        for words in all {
            assert_eq!(Words::read(&mut reader).expect("memory"), words);
        }
        assert!(reader.is_empty());
    }
}
