use crate::limits;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use muster_identity::Audience;
use muster_ledger::Time;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Gives nonces out and knows its own again without remembering any: a nonce is the time at which
/// it was given, eight random bytes, and a MAC over both and the audience.
pub struct NonceKey {
    mac: Hmac<Sha256>,
}

/// Time, then randomness.
const BODY: usize = 16;
/// HMAC-SHA256 cut to half its length (RFC 2104 §5).
const TAG: usize = 16;

impl NonceKey {
    /// A key of this gateway alone: what another gateway gave out is unknown here.
    pub fn new(secret: &Zeroizing<[u8; 32]>, audience: &Audience) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret[..]).expect("HMAC takes every key");
        mac.update(b"muster/nonce/1");
        mac.update(audience.as_str().as_bytes());
        mac.update(&[0]);
        Self { mac }
    }

    /// A new nonce: 43 characters of base64url.
    pub fn give(&self, now: Time, random: &[u8; 16]) -> String {
        let mut bytes = [0; BODY + TAG];
        bytes[..8].copy_from_slice(&now.0.to_be_bytes());
        bytes[8..BODY].copy_from_slice(&random[..8]);
        let tag = self.tag(&bytes[..BODY]);
        bytes[BODY..].copy_from_slice(&tag);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// When this nonce was given out, if it was here and its time is not over.
    pub fn given(&self, nonce: &str, now: Time) -> Option<Time> {
        let bytes = BASE64URL_NOPAD.decode(nonce.as_bytes()).ok()?;
        let bytes: [u8; BODY + TAG] = bytes.try_into().ok()?;
        let (body, tag) = bytes.split_at(BODY);
        let mut mac = self.mac.clone();
        mac.update(body);
        mac.verify_truncated_left(tag).ok()?;
        let (time, _) = body.split_first_chunk()?;
        let given = Time(u64::from_be_bytes(*time));
        (given <= now && now.since(given) < limits::NONCE_LIFETIME_MS).then_some(given)
    }

    fn tag(&self, body: &[u8]) -> [u8; TAG] {
        let mut mac = self.mac.clone();
        mac.update(body);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let (tag, _) = whole.split_first_chunk().expect("a half is shorter than the whole");
        *tag
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(..)")
    }
}
