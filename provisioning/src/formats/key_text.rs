//! The forms a public key may have in a manifest. Multikey is the main one.

use super::json::Json;
use crate::RowFault;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use muster_identity::{Algorithm, PublicKey};

/// A public key as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyText {
    /// Multikey, PEM, a JWK as text, or raw bytes in hexadecimal or base64.
    Text(String),
    /// A JWK object.
    Jwk(Jwk),
}

/// The public members of a JWK (RFC 7517, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

impl Jwk {
    pub(super) fn from_members(members: Vec<(String, Json)>) -> Self {
        let mut jwk = Self::default();
        for (name, value) in members {
            let place = match name.as_str() {
                "kty" => &mut jwk.kty,
                "crv" => &mut jwk.crv,
                "x" => &mut jwk.x,
                "y" => &mut jwk.y,
                _ => continue,
            };
            if let Json::Text(text) = value {
                *place = text;
            }
        }
        jwk
    }

    fn key(&self) -> Result<PublicKey, RowFault> {
        let number = |text: &str| -> Result<[u8; 32], RowFault> {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
            bytes
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(|| fault("a coordinate of the JWK is not 32 bytes in base64url"))
        };
        match (self.kty.as_str(), self.crv.as_str()) {
            ("OKP", "Ed25519") => raw(Algorithm::Ed25519, &number(&self.x)?),
            ("EC", "P-256") => {
                raw(Algorithm::P256, &[&[4][..], &number(&self.x)?, &number(&self.y)?].concat())
            }
            _ => Err(fault("the JWK is neither OKP with Ed25519 nor EC with P-256")),
        }
    }
}

/// SubjectPublicKeyInfo up to the key's bytes: the one DER of each algorithm and form (RFC 8410
/// §4; RFC 5480 §2 with namedCurve secp256r1, the point uncompressed or compressed).
const SPKI: [(Algorithm, &[u8], usize); 3] = [
    (Algorithm::Ed25519, b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 32),
    (
        Algorithm::P256,
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
        65,
    ),
    (
        Algorithm::P256,
        b"\x30\x39\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x22\x00",
        33,
    ),
];

const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

impl KeyText {
    /// Bytes of its text.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Jwk(Jwk { kty, crv, x, y }) => kty.len() + crv.len() + x.len() + y.len(),
        }
    }

    /// The bytes of an Ed25519 key in its main form, not looked at any further: for rows with a
    /// possession signature, which the node verifies.
    pub(crate) fn stated_ed25519(&self, key_type: Option<&str>) -> Option<[u8; 32]> {
        match self {
            Self::Text(text) if text.starts_with("z6Mk") && key_type.is_none() => {
                PublicKey::stated_ed25519(text)
            }
            _ => None,
        }
    }

    /// Reads the key; `key_type` says what raw bytes are, and may not contradict the rest.
    pub fn read(&self, key_type: Option<&str>) -> Result<PublicKey, RowFault> {
        let stated = key_type.map(algorithm).transpose()?;
        let key = match self {
            Self::Jwk(jwk) => jwk.key()?,
            Self::Text(text) if text.starts_with('{') => match Json::parse(text) {
                Ok(Json::Object(members)) => Jwk::from_members(members).key()?,
                _ => return Err(fault("the text begins like a JWK and is not JSON")),
            },
            Self::Text(text) if text.starts_with("-----BEGIN") => pem(text)?,
            Self::Text(text) if text.starts_with('z') => {
                PublicKey::from_multikey(text).map_err(|e| fault(&e.to_string()))?
            }
            Self::Text(text) => {
                let bytes = bytes(text).ok_or_else(|| {
                    fault("neither a Multikey, PEM, JWK, nor a raw key in hexadecimal or base64")
                })?;
                let stated = stated.ok_or_else(|| {
                    RowFault::new("key-type", "raw key bytes do not say what kind of key they are")
                })?;
                raw(stated, &bytes)?
            }
        };
        match stated {
            Some(stated) if stated != key.algorithm() => {
                Err(RowFault::new("key-type", "`keyType` contradicts the key"))
            }
            _ => Ok(key),
        }
    }
}

fn fault(reason: &str) -> RowFault {
    RowFault::new("public-key", reason)
}

fn algorithm(word: &str) -> Result<Algorithm, RowFault> {
    match super::secrets::bare(word).as_str() {
        "ed25519" | "eddsa" => Ok(Algorithm::Ed25519),
        "p256" | "secp256r1" | "prime256v1" | "es256" => Ok(Algorithm::P256),
        _ => Err(RowFault::new("key-type", "`keyType` is neither Ed25519 nor P-256")),
    }
}

fn raw(algorithm: Algorithm, bytes: &[u8]) -> Result<PublicKey, RowFault> {
    let key = match algorithm {
        Algorithm::Ed25519 => {
            let bytes = bytes.try_into().map_err(|_| fault("an Ed25519 key has 32 bytes"))?;
            PublicKey::ed25519(bytes)
        }
        _ => PublicKey::p256(bytes),
    };
    key.map_err(|e| fault(&e.to_string()))
}

fn pem(text: &str) -> Result<PublicKey, RowFault> {
    let body = text.strip_prefix(PEM_BEGIN).and_then(|rest| rest.trim_end().strip_suffix(PEM_END));
    let body = body.ok_or_else(|| fault("the PEM block is not one PUBLIC KEY"))?;
    // A line end may have become the two characters \n on its way through another tool.
    let body: String = body.replace("\\n", "").split_whitespace().collect();
    let der = base64(&body).ok_or_else(|| fault("the PEM block is not base64"))?;
    let known = SPKI.iter().find_map(|(algorithm, head, length)| {
        let bytes = der.strip_prefix(*head)?;
        (bytes.len() == *length).then_some((*algorithm, bytes))
    });
    let (algorithm, bytes) =
        known.ok_or_else(|| fault("the PEM block is not a key of Ed25519 or P-256"))?;
    raw(algorithm, bytes)
}

/// Bytes of a raw key. No text of these lengths is both hexadecimal and base64 of a key.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = match text.len() {
        64 | 66 | 130 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
        _ => base64(text),
    };
    bytes.filter(|bytes| matches!(bytes.len(), 32 | 33 | 65))
}

/// Either alphabet of base64, padded or not: the manifest is a file for people and tools.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let url = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    BASE64URL_NOPAD.decode(url.as_bytes()).ok()
}

/// DER in hexadecimal, as Matter tools write it, with `hex:` before it or not. It begins with a
/// SEQUENCE, so no base64 of DER is taken for it.
pub(super) fn hex_der(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let text = text.strip_prefix("hex:").unwrap_or(text);
    let begins = text
        .get(..4)
        .is_some_and(|head| head.starts_with("30") && head.bytes().all(|b| b.is_ascii_hexdigit()));
    if begins { HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok() } else { None }
}
