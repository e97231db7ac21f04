//! What a search's text may be the beginning of. DIDs and keys are compared as bytes: all texts of
//! one kind have one length, and base58btc keeps the order of numbers, so that a beginning is a
//! range.

use crate::claims::Claim;
use muster_api::limits;
use muster_identity::{Did, PublicKey};
use muster_ledger::limits::SERIAL_BYTES;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Bytes that every value read here has room in: 48 digits are less than 2^282.
const ROOM: usize = 40;

/// A kind of base58btc text: what its bytes begin with, how many they are, how many digits they
/// always have.
struct Kind {
    head: &'static [u8],
    bytes: usize,
    digits: usize,
}

/// A multihash of SHA-256.
const DID: Kind = Kind { head: &[0x12, 0x20], bytes: 34, digits: 46 };

/// Multikeys of Ed25519, and of P-256 by the two signs of its points.
const KEYS: [Kind; 3] = [
    Kind { head: &[0xed, 0x01], bytes: 34, digits: 47 },
    Kind { head: &[0x80, 0x24, 0x02], bytes: 35, digits: 48 },
    Kind { head: &[0x80, 0x24, 0x03], bytes: 35, digits: 48 },
];

const PREFIX: &str = "did:muster:";

/// Least text that is taken for the beginning of [`PREFIX`]: before it, it may be anything.
const SCHEME: &str = "did:";

/// Bytes of a key by which it is indexed: its kind and eight more. Nobody makes two keys that
/// begin alike on purpose, and whoever looks compares the rest.
pub(crate) const HEAD: usize = 10;

/// The beginning of a key.
pub(crate) type Head = [u8; HEAD];

/// The beginning of a key's multicodec form.
pub(crate) fn head(key: &[u8]) -> Option<Head> {
    key.first_chunk().copied()
}

/// An inclusive range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: Vec<u8>,
    pub(crate) high: Vec<u8>,
}

impl Range {
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        *self.low <= *bytes && *bytes <= *self.high
    }

    /// The first bytes of its ends.
    pub(crate) fn first<const N: usize>(&self) -> Option<([u8; N], [u8; N])> {
        Some((*self.low.first_chunk()?, *self.high.first_chunk()?))
    }
}

/// The number of some digits as big-endian bytes.
fn number(digits: impl Iterator<Item = u8>) -> [u8; ROOM] {
    let mut value = [0; ROOM];
    for digit in digits {
        let mut carry = u32::from(digit);
        for byte in value.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
    }
    value
}

impl Kind {
    /// The values whose digits begin with these; none if there is none.
    fn range(&self, digits: &[u8]) -> Option<Range> {
        let pad = self.digits.checked_sub(digits.len())?;
        let filled =
            |with: u8| number(digits.iter().copied().chain(std::iter::repeat_n(with, pad)));
        let (low, high) = (filled(0), filled(57));
        let end = |with: u8| {
            let mut value = [0; ROOM];
            let place = &mut value[ROOM - self.bytes..];
            place.fill(with);
            place[..self.head.len()].copy_from_slice(self.head);
            value
        };
        let (low, high) = (low.max(end(0)), high.min(end(0xff)));
        let cut = |value: [u8; ROOM]| value[ROOM - self.bytes..].to_vec();
        (low <= high).then(|| Range { low: cut(low), high: cut(high) })
    }
}

/// The digits of a multibase text of base58btc.
fn digits(text: &str) -> Option<Vec<u8>> {
    let rest = text.strip_prefix('z')?;
    let digit = |c: u8| ALPHABET.iter().position(|a| *a == c).map(|at| at as u8);
    rest.bytes().map(digit).collect()
}

/// What a text may be the beginning of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    /// Of a serial number; also a whole lot.
    pub(crate) text: String,
    /// Of a DID: a range of digests.
    pub(crate) dids: Option<Range>,
    /// Of a key: ranges of multicodec forms, ascending.
    pub(crate) keys: Vec<Range>,
    /// It is a whole key: the claims by which its device may be known.
    pub(crate) whole: Option<PublicKey>,
}

impl Text {
    /// Reads a text; none if it says nothing.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let mut read = Self { text: text.into(), ..Self::default() };
        // A DID URL names its DID.
        let id = text.split('#').next().unwrap_or(text);
        let all_dids = text.len() >= SCHEME.len() && PREFIX.starts_with(text);
        let digits = match id.strip_prefix(PREFIX) {
            // Whatever is longer is none of them.
            _ if id.len() > PREFIX.len() + 64 => None,
            _ if all_dids => Some(Vec::new()),
            Some(id) => digits(id),
            None => digits(id),
        };
        let Some(digits) = digits else { return Some(read) };
        read.dids = DID.range(&digits).map(|range| Range {
            low: range.low[DID.head.len()..].to_vec(),
            high: range.high[DID.head.len()..].to_vec(),
        });
        // What every DID begins with, every key's device is found by.
        if !text.starts_with(SCHEME) && !digits.is_empty() {
            read.keys = KEYS.iter().filter_map(|kind| kind.range(&digits)).collect();
            read.keys.sort_by(|a, b| a.low.cmp(&b.low));
            read.whole = PublicKey::from_multikey(id).ok();
        }
        Some(read)
    }

    /// Whether it may be the beginning of a serial number.
    pub(crate) fn may_be_serial(&self) -> bool {
        self.text.len() <= SERIAL_BYTES
    }

    /// Whether it may be a lot.
    pub(crate) fn may_be_lot(&self) -> bool {
        self.text.len() <= limits::LOT_BYTES
    }

    pub(crate) fn is_of(&self, did: &Did) -> bool {
        self.dids.as_ref().is_some_and(|range| range.holds(did.digest()))
    }

    /// Whether a key, in its multicodec form, begins so.
    pub(crate) fn is_of_key(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|range| range.holds(key))
    }

    /// The names of the devices whose DID begins so, from the first to the last.
    pub(crate) fn names(&self) -> Option<(Claim, Claim)> {
        let (low, high) = self.dids.as_ref()?.first()?;
        Some((Claim(low), Claim(high)))
    }

    /// The least text behind all that begin with it; none if there is none.
    pub(crate) fn behind(&self) -> Option<String> {
        let mut chars: Vec<char> = self.text.chars().collect();
        while let Some(last) = chars.pop() {
            let next = match last {
                '\u{d7ff}' => Some('\u{e000}'),
                _ => char::from_u32(u32::from(last) + 1),
            };
            if let Some(next) = next {
                chars.push(next);
                return Some(chars.into_iter().collect());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::secret;
    use muster_identity::{Algorithm, SecretKey};
    use proptest::prelude::*;

    fn read(text: &str) -> Text {
        Text::read(text).unwrap()
    }

    #[test]
    fn what_a_text_may_be() {
        assert_eq!(Text::read("  \n"), None);
        assert_eq!(read(" SN-7 "), Text { text: "SN-7".into(), ..Text::default() });
        for all in ["did:", "did:mus", "did:muster:", "did:muster:z", "z", "zQ", "zQm"] {
            let text = read(all);
            assert_eq!(
                text.dids.unwrap(),
                Range { low: vec![0; 32], high: vec![0xff; 32] },
                "{all}"
            );
            assert_eq!(text.keys, [], "{all}");
        }
        for none in ["d", "did", "did:web:x", "zQn", "zl", "Qm", "did:muster:Qm", "did:muster:z6Mk"]
        {
            assert_eq!(read(none).dids, None, "{none}");
        }
        assert_eq!(read("z6Mk").keys.len(), 1);
        assert_eq!(read("zDn").keys.len(), 2);
        assert_eq!(read(&"z".repeat(10_000)).dids, None);
    }

    #[test]
    fn behind_a_text_comes_nothing_that_begins_with_it() {
        assert_eq!(read("ab").behind().as_deref(), Some("ac"));
        assert_eq!(read("a\u{10ffff}").behind().as_deref(), Some("b"));
        assert_eq!(read("a\u{d7ff}").behind().as_deref(), Some("a\u{e000}"));
        assert_eq!(read("\u{10ffff}").behind(), None);
    }

    proptest! {
        #[test]
        fn a_did_is_found_by_each_of_its_beginnings(digest: [u8; 32], other: [u8; 32], cut in 0usize..47) {
            let (did, other) = (Did::from_digest(digest), Did::from_digest(other));
            let id = did.to_string();
            let id = &id[PREFIX.len()..PREFIX.len() + 1 + cut.min(46)];
            for text in [id.to_owned(), format!("{PREFIX}{id}")] {
                let text = read(&text);
                prop_assert!(text.is_of(&did));
                let begins = other.to_string()[PREFIX.len()..].starts_with(id);
                prop_assert_eq!(text.is_of(&other), begins);
            }
        }

        #[test]
        fn a_key_is_found_by_each_of_its_beginnings(n in 1u8..255, m in 1u8..255, ed: bool, cut in 2usize..49) {
            let key = |n: u8| match ed {
                true => secret(n),
                false => SecretKey::from_bytes(Algorithm::P256, &zeroize::Zeroizing::new([n; 32])).unwrap(),
            };
            use muster_identity::Signer as _;
            let (key, other) = (key(n).public_key(), key(m).public_key());
            let multikey = key.to_multikey();
            let beginning = &multikey[..cut.min(multikey.len())];
            let text = read(beginning);
            prop_assert!(text.is_of_key(&key.to_multicodec()));
            let begins = other.to_multikey().starts_with(beginning);
            prop_assert_eq!(text.is_of_key(&other.to_multicodec()), begins);
            prop_assert_eq!(text.whole, (beginning == multikey).then_some(key));
        }
    }
}
