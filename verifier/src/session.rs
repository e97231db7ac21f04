//! Sessions: a device that presented once may bring a short token instead, until its time is over.
//! Its key is symmetric and never a device's. Every use is judged by the roll of its moment.

use crate::verified::Shown;
use crate::{Policy, Reason, Rejected, RollView, Verified, limits};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use muster_identity::{Audience, Did, PublicKey};
use muster_ledger::{BatchId, Time, View};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// The exact `typ` of the header (RFC 8725 §3.11).
const TYP: &str = "muster-session+jwt";

/// Opens sessions and knows its own again, without remembering any.
pub struct SessionKey {
    header: Header,
    validation: Validation,
    signs: EncodingKey,
    verifies: DecodingKey,
    audience: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    aud: String,
    sub: String,
    key: String,
    batch: String,
    /// SHA-256 of the presentation that opened it.
    prs: String,
    /// Whether that presentation answered a nonce.
    nonce: bool,
    iat: u64,
    exp: u64,
}

impl SessionKey {
    /// A key for one audience.
    pub fn new(secret: &Zeroizing<[u8; 32]>, audience: &Audience) -> Self {
        // Whoever came first chose for the process; every provider has HMAC-SHA256.
        let _ = HMAC_SHA256.install_default();
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYP.into());
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[audience.as_str()]);
        validation.set_required_spec_claims(&["aud", "exp"]);
        // Time is a parameter here, and no clock is read.
        validation.validate_exp = false;
        Self {
            header,
            validation,
            signs: EncodingKey::from_secret(&secret[..]),
            verifies: DecodingKey::from_secret(&secret[..]),
            audience: audience.as_str().into(),
        }
    }

    /// Opens a session for a device that was just let through; none if the tokens cannot be made.
    pub fn open(&self, verified: &Verified, now: Time, lifetime_ms: u64) -> Option<String> {
        let lifetime = lifetime_ms.min(limits::SESSION_LIFETIME_MS);
        let claims = Claims {
            aud: self.audience.clone(),
            sub: verified.did().to_string(),
            key: verified.key().to_multikey(),
            batch: verified.batch().to_string(),
            prs: BASE64URL_NOPAD.encode(verified.presentation()),
            nonce: verified.shown().nonce,
            iat: now.seconds(),
            exp: now.plus_ms(lifetime).seconds(),
        };
        encode(&self.header, &claims, &self.signs).ok()
    }

    /// Judges a use of a session by the roll of now.
    pub fn resume(
        &self,
        token: &str,
        now: Time,
        policy: &Policy,
        roll: RollView<'_, impl View>,
        path: Option<&str>,
    ) -> Result<Verified, Rejected> {
        let over = Rejected::new(Reason::Session);
        if token.len() > limits::SESSION_CHARACTERS {
            return Err(over);
        }
        let token = decode::<Claims>(token, &self.verifies, &self.validation).map_err(|_| over)?;
        let claims = token.claims;
        if token.header.typ.as_deref() != Some(TYP) || now.seconds() >= claims.exp {
            return Err(over);
        }
        let did: Did = claims.sub.parse().map_err(|_| over)?;
        let key = PublicKey::from_multikey(&claims.key).map_err(|_| over)?;
        let batch: BatchId = claims.batch.parse().map_err(|_| over)?;
        let presentation = BASE64URL_NOPAD.decode(claims.prs.as_bytes()).map_err(|_| over)?;
        let presentation = presentation.try_into().map_err(|_| over)?;
        let shown = Shown { presentation, nonce: claims.nonce };
        Verified::again(did, key, batch, shown, roll, policy, path)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKey").field("audience", &self.audience).finish_non_exhaustive()
    }
}

/// The one algorithm of sessions, for a library that has none of its own.
static HMAC_SHA256: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        let mac = Mac::of(*algorithm, key.as_bytes())?;
        Ok(Box::new(mac))
    },
    verifier_factory: |algorithm, key| {
        let mac = Mac::of(*algorithm, key.try_get_as_bytes()?)?;
        Ok(Box::new(mac))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Mac(Hmac<Sha256>);

impl Mac {
    fn of(algorithm: Algorithm, key: &[u8]) -> Result<Self, Error> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Hmac::new_from_slice(key).map(Self).map_err(|_| ErrorKind::InvalidKeyFormat.into())
    }

    fn over(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(message);
        mac
    }
}

impl Signer<Vec<u8>> for Mac {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.over(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Mac {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        self.over(message).verify_slice(tag).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Mac {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Mac {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
