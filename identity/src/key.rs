use crate::cbor::{Decode, Encode, Reader, Writer};
use crate::{Error, KeyFault, base58};
use alloc::{string::String, vec::Vec};
use core::fmt;
use p256::ecdsa::signature::Verifier as _;

/// The signature algorithms of the ledger. Every key and signature carries one, so that
/// others (ML-DSA) can join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519 (RFC 8032), verified strictly.
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5), fixed-size r‖s.
    P256,
}

impl Algorithm {
    /// The COSE algorithm number (RFC 9864: fully specified).
    pub fn cose(self) -> i64 {
        match self {
            Self::Ed25519 => -19,
            Self::P256 => -9,
        }
    }

    /// The JOSE algorithm name (RFC 8037, RFC 7518 §3.4).
    pub fn jose(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::P256 => "ES256",
        }
    }

    /// The algorithm of a signing key in multicodec form, by prefix and length alone: whether
    /// the bytes are a point costs a decompression, which only [`PublicKey`] pays.
    pub(crate) fn of_multicodec(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first_chunk::<2>()? {
            (&ED25519_PREFIX, raw) if raw.len() == 32 => Some(Self::Ed25519),
            (&P256_PREFIX, raw) if raw.len() == 33 => Some(Self::P256),
            _ => None,
        }
    }
}

/// Multicodec prefixes as unsigned varints (multicodec table: ed25519-pub, p256-pub, x25519-pub).
const ED25519_PREFIX: [u8; 2] = [0xed, 0x01];
const P256_PREFIX: [u8; 2] = [0x80, 0x24];
const X25519_PREFIX: [u8; 2] = [0xec, 0x01];

/// The longest multicodec form of a key this version reads.
pub(crate) const MAX_KEY_BYTES: usize = 35;

/// A public key that may verify: a canonical point of its curve, not of small order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(Point);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Point {
    Ed25519([u8; 32]),
    P256([u8; 33]),
}

/// A signature: 64 bytes for both algorithms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl PublicKey {
    /// From the 32 bytes of RFC 8032 §5.1.5.
    pub fn ed25519(bytes: [u8; 32]) -> Result<Self, KeyFault> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| KeyFault::Point)?;
        if key.is_weak() {
            return Err(KeyFault::SmallOrder);
        }
        if !is_canonical_y(&bytes) {
            return Err(KeyFault::Point);
        }
        Ok(Self(Point::Ed25519(bytes)))
    }

    /// From a SEC 1 point, compressed (33 bytes) or not (65 bytes).
    pub fn p256(sec1: &[u8]) -> Result<Self, KeyFault> {
        if !matches!((sec1.len(), sec1.first()), (33, Some(2 | 3)) | (65, Some(4))) {
            return Err(KeyFault::Length);
        }
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(sec1).map_err(|_| KeyFault::Point)?;
        let compressed = key.to_sec1_point(true);
        let bytes = compressed.as_bytes().try_into().map_err(|_| KeyFault::Point)?;
        Ok(Self(Point::P256(bytes)))
    }

    /// From the multicodec form: prefix, then the raw key.
    pub fn from_multicodec(bytes: &[u8]) -> Result<Self, KeyFault> {
        let (prefix, raw) = bytes.split_first_chunk::<2>().ok_or(KeyFault::Length)?;
        match *prefix {
            ED25519_PREFIX => Self::ed25519(raw.try_into().map_err(|_| KeyFault::Length)?),
            P256_PREFIX if raw.len() == 33 => Self::p256(raw),
            P256_PREFIX => Err(KeyFault::Length),
            _ => Err(KeyFault::UnsupportedType),
        }
    }

    /// As [`Self::from_multicodec`], for a key that was checked before: by its form alone.
    fn again(bytes: &[u8]) -> Result<Self, KeyFault> {
        let (prefix, raw) = bytes.split_first_chunk::<2>().ok_or(KeyFault::Length)?;
        match *prefix {
            ED25519_PREFIX => {
                let raw = raw.try_into().map_err(|_| KeyFault::Length)?;
                is_canonical_y(&raw).then_some(Self(Point::Ed25519(raw))).ok_or(KeyFault::Point)
            }
            P256_PREFIX if matches!(raw.first(), Some(2 | 3)) => {
                Ok(Self(Point::P256(raw.try_into().map_err(|_| KeyFault::Length)?)))
            }
            _ => Self::from_multicodec(bytes),
        }
    }

    /// The bytes that an Ed25519 Multikey states, whether or not they are a key: for whoever only
    /// hands them on to somebody who verifies a signature by them ([`Self::ed25519_verified`]).
    pub fn stated_ed25519(multikey: &str) -> Option<[u8; 32]> {
        let bytes = base58btc(multikey).ok()?;
        let (prefix, raw) = bytes.split_first_chunk::<2>()?;
        raw.try_into().ok().filter(|_| *prefix == ED25519_PREFIX)
    }

    /// From a Multikey (`z6Mk...`, `zDn...`; Controlled Identifiers 1.0 §2.2.2).
    pub fn from_multikey(text: &str) -> Result<Self, KeyFault> {
        Self::from_multicodec(&base58btc(text)?)
    }

    /// [`Self::ed25519`], then [`Self::verify`], by one decompression instead of two: for whoever
    /// meets a key together with its first signature, a million times over.
    pub fn ed25519_verified(
        bytes: &[u8; 32],
        message: &[u8],
        signature: &Signature,
    ) -> Result<Self, Error> {
        let point = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyFault::Point)?;
        if !is_canonical_y(bytes) {
            return Err(KeyFault::Point.into());
        }
        strictly(&point, message, signature)?;
        Ok(Self(Point::Ed25519(*bytes)))
    }

    /// The multicodec form, which is also how CBOR carries a key.
    pub fn to_multicodec(&self) -> Vec<u8> {
        match &self.0 {
            Point::Ed25519(raw) => [&ED25519_PREFIX[..], raw].concat(),
            Point::P256(raw) => [&P256_PREFIX[..], raw].concat(),
        }
    }

    /// Whether these bytes are its multicodec form.
    pub(crate) fn is_multicodec(&self, bytes: &[u8]) -> bool {
        bytes.split_first_chunk::<2>().is_some_and(|(prefix, raw)| match &self.0 {
            Point::Ed25519(own) => *prefix == ED25519_PREFIX && raw == own,
            Point::P256(own) => *prefix == P256_PREFIX && raw == own,
        })
    }

    /// The Multikey text.
    pub fn to_multikey(&self) -> String {
        multikey(&self.to_multicodec())
    }

    /// The raw key: 32 bytes of Ed25519, 33 of a compressed P-256 point.
    pub fn raw(&self) -> &[u8] {
        match &self.0 {
            Point::Ed25519(raw) => raw,
            Point::P256(raw) => raw,
        }
    }

    /// The algorithm of its signatures.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Point::Ed25519(_) => Algorithm::Ed25519,
            Point::P256(_) => Algorithm::P256,
        }
    }

    /// **The one signature rule.** Every node must give the same verdict for the same bytes, so
    /// nothing else in the project verifies a signature.
    ///
    /// Ed25519: the equation without cofactor, canonical encodings only, no small-order key or
    /// commitment (`verify_strict`). P-256: any r and s in range; both forms of s are met in the
    /// field, so nothing may be keyed by signature bytes.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), Error> {
        match &self.0 {
            Point::Ed25519(raw) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(raw);
                strictly(&key.map_err(|_| Error::Signature)?, message, signature)
            }
            Point::P256(raw) => {
                let signature = p256::ecdsa::Signature::from_slice(&signature.0)
                    .map_err(|_| Error::Signature)?;
                p256::ecdsa::VerifyingKey::from_sec1_bytes(raw)
                    .and_then(|key| key.verify(message, &signature))
                    .map_err(|_| Error::Signature)
            }
        }
    }
}

/// The rule for Ed25519. It refuses keys of small order too.
fn strictly(
    key: &ed25519_dalek::VerifyingKey,
    message: &[u8],
    signature: &Signature,
) -> Result<(), Error> {
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.verify_strict(message, &signature).map_err(|_| Error::Signature)
}

/// Whether the y coordinate is below p = 2^255 − 19 (RFC 8032 §5.1.3, step 1): the curve library
/// reduces silently, which would give one point two names.
fn is_canonical_y(bytes: &[u8; 32]) -> bool {
    let high = bytes[31] & 0x7f;
    !(high == 0x7f && bytes[1..31].iter().all(|b| *b == 0xff) && bytes[0] >= 0xed)
}

pub(crate) fn base58btc(text: &str) -> Result<base58::Bytes, KeyFault> {
    base58::decode(text).ok_or(KeyFault::Multibase)
}

fn multikey(multicodec: &[u8]) -> String {
    base58::encode(multicodec)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_multikey())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Encode for PublicKey {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.to_multicodec());
    }
}

impl Decode for PublicKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let bytes = r.bytes(MAX_KEY_BYTES)?;
        let key = if r.is_again() { Self::again(bytes) } else { Self::from_multicodec(bytes) };
        Ok(key?)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

impl Encode for Signature {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

impl Decode for Signature {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self(r.array_of()?))
    }
}

/// An X25519 public key (RFC 7748) for key agreement. It never signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementKey([u8; 32]);

impl AgreementKey {
    /// From the 32 bytes of RFC 7748 §5. Low-order points, whose shared secret is known to
    /// everybody (RFC 7748 §6.1), and non-canonical encodings are refused.
    pub fn x25519(bytes: [u8; 32]) -> Result<Self, KeyFault> {
        if bytes[31] & 0x80 != 0 || !is_canonical_y(&bytes) {
            return Err(KeyFault::Point);
        }
        let probe = x25519_dalek::StaticSecret::from([0x77; 32]);
        let shared = probe.diffie_hellman(&x25519_dalek::PublicKey::from(bytes));
        if !shared.was_contributory() {
            return Err(KeyFault::SmallOrder);
        }
        Ok(Self(bytes))
    }

    /// From a Multikey (`z6LS...`).
    pub fn from_multikey(text: &str) -> Result<Self, KeyFault> {
        Self::from_multicodec(&base58btc(text)?)
    }

    /// From the multicodec form.
    pub fn from_multicodec(bytes: &[u8]) -> Result<Self, KeyFault> {
        match bytes.split_first_chunk::<2>() {
            Some((&X25519_PREFIX, raw)) => {
                Self::x25519(raw.try_into().map_err(|_| KeyFault::Length)?)
            }
            _ => Err(KeyFault::UnsupportedType),
        }
    }

    /// The multicodec form.
    pub fn to_multicodec(&self) -> Vec<u8> {
        [&X25519_PREFIX[..], &self.0].concat()
    }

    /// The Multikey text.
    pub fn to_multikey(&self) -> String {
        multikey(&self.to_multicodec())
    }

    /// The raw 32 bytes.
    pub fn raw(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgreementKey({})", self.to_multikey())
    }
}

impl Encode for AgreementKey {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.to_multicodec());
    }
}

impl Decode for AgreementKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let bytes = r.bytes(MAX_KEY_BYTES)?;
        match bytes.split_first_chunk::<2>() {
            Some((&X25519_PREFIX, raw)) if r.is_again() => {
                Ok(Self(raw.try_into().map_err(|_| KeyFault::Length)?))
            }
            _ => Ok(Self::from_multicodec(bytes)?),
        }
    }
}
