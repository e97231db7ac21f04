//! Deterministic CBOR: what is accepted has one encoding.

use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{AgreementKey, Algorithm, Did, DidUrl, Inception, PublicKey, Recovery};
use muster_identity::{SecretKey, Signer};
use proptest::prelude::*;
use zeroize::Zeroizing;

/// Any value of our CBOR.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Uint(u64),
    Negative(i64),
    Bytes(Vec<u8>),
    Text(String),
    Bool(bool),
    Array(Vec<Item>),
    /// Keys are the positions of what is present.
    Map(Vec<Option<Item>>),
}

const MAX: usize = 4096;
const MAX_MAP: usize = 6;

impl Encode for Item {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Uint(n) => drop(w.uint(*n)),
            Self::Negative(n) => drop(w.int(*n)),
            Self::Bytes(b) => drop(w.bytes(b)),
            Self::Text(t) => drop(w.text(t)),
            Self::Bool(b) => drop(w.bool(*b)),
            Self::Array(items) => drop(w.list(items)),
            Self::Map(fields) => {
                w.map(fields.iter().flatten().count());
                for (key, value) in fields.iter().enumerate() {
                    if let Some(value) = value {
                        w.uint(key as u64).value(value);
                    }
                }
            }
        }
    }
}

/// Reads whatever comes next, chosen by its major type (RFC 8949 §3.1).
fn read(all: &[u8], r: &mut Reader<'_>, depth: usize) -> Result<Item, muster_identity::Error> {
    let deeper = || depth.checked_sub(1).ok_or(muster_identity::Error::Did("too deep"));
    Ok(match all.get(r.position()).map(|b| b >> 5) {
        Some(1) => Item::Negative(r.int()?),
        Some(2) => Item::Bytes(r.bytes(MAX)?.to_vec()),
        Some(3) => Item::Text(r.string(MAX)?),
        Some(4) => {
            let n = r.array(MAX)?;
            let depth = deeper()?;
            Item::Array((0..n).map(|_| read(all, r, depth)).collect::<Result<_, _>>()?)
        }
        Some(5) => {
            let depth = deeper()?;
            let mut fields = r.map()?;
            let mut values = Vec::new();
            for key in 0..MAX_MAP {
                let value = fields.optional(key as u64)?;
                values.push(value.map(|r| read(all, r, depth)).transpose()?);
            }
            fields.end()?;
            Item::Map(values)
        }
        Some(7) => Item::Bool(r.bool()?),
        _ => Item::Uint(r.uint()?),
    })
}

fn read_all(bytes: &[u8]) -> Result<Item, muster_identity::Error> {
    let mut r = Reader::new(bytes);
    let item = read(bytes, &mut r, 8)?;
    r.end()?;
    Ok(item)
}

fn item() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Item::Uint),
        (0..70_000u64).prop_map(Item::Uint),
        (i64::MIN..0).prop_map(Item::Negative),
        (-300..0i64).prop_map(Item::Negative),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Item::Bytes),
        any::<String>().prop_map(Item::Text),
        any::<bool>().prop_map(Item::Bool),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Item::Array),
            prop::collection::vec(prop::option::of(inner), MAX_MAP).prop_map(Item::Map),
        ]
    })
}

fn key() -> impl Strategy<Value = PublicKey> {
    (any::<[u8; 32]>(), any::<bool>()).prop_filter_map("out of range", |(secret, p256)| {
        let algorithm = if p256 { Algorithm::P256 } else { Algorithm::Ed25519 };
        SecretKey::from_bytes(algorithm, &Zeroizing::new(secret)).ok().map(|k| k.public_key())
    })
}

fn inception() -> impl Strategy<Value = Inception> {
    let agreement =
        any::<[u8; 32]>().prop_filter_map("no key", |bytes| AgreementKey::x25519(bytes).ok());
    let recovery = prop_oneof![Just(Recovery::Owner), key().prop_map(Recovery::Key)];
    use prop::option::of as maybe;
    (key(), maybe(agreement), maybe(any::<[u8; 32]>()), maybe(recovery)).prop_map(
        |(key, agreement, next_key, recovery)| Inception { key, agreement, next_key, recovery },
    )
}

/// One byte altered, removed or inserted.
fn mutate(bytes: &mut Vec<u8>, how: u8, at: prop::sample::Index, with: u8) {
    let at = at.index(bytes.len());
    match how % 3 {
        0 => bytes[at] = with,
        1 => drop(bytes.remove(at)),
        _ => bytes.insert(at, with),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(item in item()) {
        prop_assert_eq!(read_all(&item.to_cbor()), Ok(item));
    }

    #[test]
    fn accepted_bytes_are_the_only_encoding(
        item in item(), how: u8, at: prop::sample::Index, with: u8,
    ) {
        let mut bytes = item.to_cbor();
        mutate(&mut bytes, how, at, with);
        if let Ok(read) = read_all(&bytes) {
            prop_assert_eq!(read.to_cbor(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_too(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        if let Ok(read) = read_all(&bytes) {
            prop_assert_eq!(read.to_cbor(), bytes);
        }
    }

    #[test]
    fn inceptions_round_trip(inception in inception()) {
        let bytes = inception.to_cbor();
        prop_assert_eq!(Inception::from_cbor(&bytes), Ok(inception));
    }

    #[test]
    fn another_inception_is_another_did(
        inception in inception(), how: u8, at: prop::sample::Index, with: u8,
    ) {
        let good = inception.to_cbor();
        let mut bytes = good.clone();
        mutate(&mut bytes, how, at, with);
        if let Ok(read) = Inception::from_cbor(&bytes) {
            prop_assert_eq!(&read.to_cbor(), &bytes);
            prop_assert_eq!(bytes == good, Did::of(&read) == Did::of(&inception));
        }
    }

    #[test]
    fn dids_and_keys_round_trip_as_text(digest: [u8; 32], key in key()) {
        let did = Did::from_digest(digest);
        prop_assert_eq!(did.to_string().parse::<Did>(), Ok(did));
        prop_assert_eq!(did.url(&key).to_string().parse::<DidUrl>(), Ok(did.url(&key)));
        prop_assert_eq!(PublicKey::from_multikey(&key.to_multikey()), Ok(key));
    }

    #[test]
    fn a_did_has_one_text(text in "(did:muster:)?z[1-9A-HJ-NP-Za-km-z]{40,48}") {
        if let Ok(did) = text.parse::<Did>() {
            prop_assert_eq!(did.to_string(), text);
        }
    }

    #[test]
    fn an_altered_did_is_no_or_another_did(
        digest: [u8; 32], how: u8, at: prop::sample::Index, with in 0x20u8..0x7f,
    ) {
        let did = Did::from_digest(digest);
        let mut bytes = did.to_string().into_bytes();
        mutate(&mut bytes, how, at, with);
        let text = String::from_utf8(bytes).unwrap();
        if let Ok(read) = text.parse::<Did>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }
}
