use crate::document::{AGREEING, Builder, SIGNING};
use crate::limits::KEY_CHARS;
use crate::{DidText, Error, Method, Options};
use muster_api::{BoxFuture, DocumentMetadata, Resolution};
use muster_identity::{AgreementKey, PublicKey};
use serde_json::{Value, json};

/// `did:key` (W3C CCG did:key 0.9): the identifier is the key. Documents have Multikeys.
#[derive(Debug, Clone, Copy, Default)]
pub struct Key;

/// What is known of a kind of key.
struct Kind {
    /// Multicodec prefix, as an unsigned varint.
    prefix: &'static [u8],
    /// Bytes of the key; `None` for RSA, which is DER of any length.
    length: Option<usize>,
    /// First byte, where the shape fixes it (SEC 1 §2.3.3: a compressed point).
    first: &'static [u8],
    signs: bool,
    agrees: bool,
}

const fn kind(prefix: &'static [u8], length: usize, signs: bool, agrees: bool) -> Kind {
    Kind { prefix, length: Some(length), first: &[], signs, agrees }
}

const fn compressed(kind: Kind) -> Kind {
    Kind { first: &[2, 3], ..kind }
}

const ED25519: &[u8] = &[0xed, 0x01];
const X25519: &[u8] = &[0xec, 0x01];
const P256: &[u8] = &[0x80, 0x24];

/// The kinds of the multicodec table that did:key uses. Ed25519, X25519 and P-256 are checked as
/// points; the others by shape alone, since nothing here verifies with them.
const KINDS: [Kind; 10] = [
    kind(ED25519, 32, true, false),
    kind(X25519, 32, false, true),
    compressed(kind(P256, 33, true, true)),
    // secp256k1, P-384, P-521
    compressed(kind(&[0xe7, 0x01], 33, true, true)),
    compressed(kind(&[0x81, 0x24], 49, true, true)),
    compressed(kind(&[0x82, 0x24], 67, true, true)),
    // BLS12-381 G1, G2, both
    kind(&[0xea, 0x01], 48, true, false),
    kind(&[0xeb, 0x01], 96, true, false),
    kind(&[0xee, 0x01], 144, true, false),
    // RSA: a DER sequence
    Kind { prefix: &[0x85, 0x24], length: None, first: &[0x30], signs: true, agrees: false },
];

impl Method for Key {
    fn name(&self) -> &str {
        "key"
    }

    fn resolve<'a>(&'a self, did: &'a DidText, _: &'a Options) -> BoxFuture<'a, Resolution> {
        Box::pin(std::future::ready(match document(did) {
            Ok(document) => Resolution::found(document, DocumentMetadata::default()),
            Err(error) => error.into(),
        }))
    }
}

fn document(did: &DidText) -> Result<Value, Error> {
    let fault = |why: &str| Error::InvalidDid(format!("did:key: {why}"));
    let id = did.id();
    if !id.starts_with('z') || id.len() > KEY_CHARS {
        return Err(fault("expected `z` and base58btc of a public key"));
    }
    let (_, bytes) = multibase::decode(id).map_err(|_| fault("not base58btc"))?;
    let kind = KINDS.iter().find(|kind| bytes.starts_with(kind.prefix));
    let kind = kind.ok_or_else(|| fault("an unknown kind of key"))?;
    let raw = &bytes[kind.prefix.len()..];
    let shaped = kind.length.is_none_or(|length| raw.len() == length)
        && raw.first().is_some_and(|b| kind.first.is_empty() || kind.first.contains(b));
    if !shaped {
        return Err(fault("the key does not have the shape of its kind"));
    }
    match kind.prefix {
        ED25519 | P256 => {
            PublicKey::from_multicodec(&bytes).map_err(|e| fault(&e.to_string()))?;
        }
        X25519 => {
            AgreementKey::from_multicodec(&bytes).map_err(|e| fault(&e.to_string()))?;
        }
        _ => {}
    }
    let signing = SIGNING.into_iter().filter(|_| kind.signs);
    let relations = signing.chain(kind.agrees.then_some(AGREEING));
    let builder = Builder::new(did.as_str(), "https://w3id.org/security/multikey/v1");
    let builder = builder.key(id, "Multikey", "publicKeyMultibase", json!(id), relations);
    Ok(match kind.prefix {
        ED25519 => {
            let agreement = agreement_key(raw).ok_or_else(|| fault("no agreement key follows"))?;
            let text = agreement.to_multikey();
            builder.key(&text, "Multikey", "publicKeyMultibase", json!(text), [AGREEING])
        }
        _ => builder,
    }
    .finish())
}

/// The X25519 key of an Ed25519 key (RFC 7748 §4.1: the birational map).
fn agreement_key(raw: &[u8]) -> Option<AgreementKey> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(raw.try_into().ok()?).ok()?;
    AgreementKey::x25519(key.to_montgomery().to_bytes()).ok()
}
