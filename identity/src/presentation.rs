use crate::jws::{self, Members, Signed};
use crate::{Algorithm, Audience, Did, Error, KeyFault, PresentationFault as Fault, PublicKey};
use crate::{Signer, SignerError, sha256};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use data_encoding::BASE64URL_NOPAD;

pub use crate::jws::MAX_TOKEN;

/// The domain of presentations: the exact `typ` of the header (RFC 8725 §3.11).
const TYP: &str = "muster+jwt";

/// Longest time in seconds from `iat` to `exp`. It bounds how long a gateway must remember a
/// `jti`, and how long a stolen token is of use where it was not yet seen.
pub const MAX_LIFETIME: u64 = 60;

/// Longest `jti` and `nonce` in characters: 48 random bytes in base64url.
const MAX_ID: usize = 64;

/// What shows that a token is fresh.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// For devices with a clock: from `iat` to `exp`, Unix seconds (RFC 7519 §2 NumericDate).
    Window {
        /// When it was made.
        iat: u64,
        /// When it stops being valid: 1 to [`MAX_LIFETIME`] seconds after `iat`.
        exp: u64,
    },
    /// For devices without a clock: the nonce the gateway gave, 1 to 64 base64url characters.
    Nonce(String),
}

impl Freshness {
    fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Window { iat, exp } => {
                if iat < exp && exp - iat <= MAX_LIFETIME {
                    Ok(())
                } else {
                    Err(Fault::Lifetime)
                }
            }
            Self::Nonce(nonce) => is_id(nonce).then_some(()).ok_or(Fault::Nonce),
        }
    }
}

/// A token that was **parsed but not verified**: everything it says is only claimed until
/// [`Self::verify_signature`] passed with a key that the caller knows to be the device's.
/// Its shape, bounds and `typ` hold; time, audience and repetition are the verifier's to judge.
#[derive(Clone, PartialEq, Eq)]
pub struct Presentation {
    signed: Signed,
    did: Did,
    audience: Audience,
    freshness: Freshness,
    jti: String,
}

impl Presentation {
    /// Reads a `muster+jwt` (RFC 7515 §7.1, RFC 7519). Exactly the members this version
    /// defines, each once, are accepted.
    pub fn parse(token: &str) -> Result<Self, Fault> {
        let jws = jws::split(token, TYP)?;
        let mut claims = jws.claims()?;
        let audience = claims.text("aud")?.parse().map_err(|_| Fault::Aud)?;
        let freshness = freshness(&mut claims)?;
        let jti = claims.text("jti")?.into_owned();
        claims.end()?;
        freshness.check()?;
        if !is_id(&jti) {
            return Err(Fault::Jti);
        }
        Ok(Self { signed: jws.signed, did: jws.did, audience, freshness, jti })
    }

    /// Checks that `key` is the key the token names and that it signed the token, over the
    /// bytes as they came. Whether `key` belongs to [`Self::did`] is for the caller to know.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), Error> {
        self.signed.verify(key)
    }

    /// Whether the DID is that of the named key and nothing else. Hashes, decompresses nothing.
    pub fn names_own_key(&self) -> bool {
        Did::of_bare(self.signed.key()) == self.did
    }

    /// [`Self::verify_signature`] by the key of which the DID is the bare inception, and the key: for
    /// whoever knows only that the device still has that one.
    pub fn verify_own_signature(&self) -> Result<PublicKey, Error> {
        if !self.names_own_key() {
            return Err(Error::OtherKey);
        }
        let named = self.signed.key();
        if Algorithm::of_multicodec(named) == Some(Algorithm::Ed25519)
            && let Some(raw) = named.last_chunk()
        {
            // One decompression instead of two.
            return PublicKey::ed25519_verified(raw, self.signed.bytes(), self.signed.signature());
        }
        let key = self.key()?;
        self.signed.verify(&key)?;
        Ok(key)
    }

    /// The DID that the token claims (`iss`, and the DID of `kid`).
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// Whether the token names this key in its `kid`. Compares bytes, decompresses nothing.
    pub fn names_key(&self, key: &PublicKey) -> bool {
        self.signed.names(key)
    }

    /// The key that the token names, decoded and checked: an error if it is no key at all. This
    /// decompresses the point; a caller who holds the device's key asks [`Self::names_key`].
    pub fn key(&self) -> Result<PublicKey, KeyFault> {
        PublicKey::from_multicodec(self.signed.key())
    }

    /// Who the token is for.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// What is to show that it is fresh.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The token's identifier, unique for this DID and audience. Repetition is told by it, never
    /// by the token's bytes: an ECDSA signature has two forms.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// SHA-256 of the token as received; a gateway's answer contains it.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[self.signed.text().as_bytes()])
    }
}

/// Until it was used, a token is as good as the key for its minute: it is not shown.
impl fmt::Debug for Presentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presentation")
            .field("did", &self.did)
            .field("audience", &self.audience)
            .field("jti", &self.jti)
            .finish_non_exhaustive()
    }
}

/// Makes a presentation. Time and the random `jti` are the caller's; what no gateway would
/// accept (a window longer than [`MAX_LIFETIME`], a malformed nonce) is not signed.
pub fn present(
    did: &Did,
    audience: &Audience,
    freshness: &Freshness,
    jti: &[u8; 16],
    signer: &dyn Signer,
) -> Result<String, SignerError> {
    freshness.check().map_err(|fault| SignerError(fault.to_string()))?;
    let fresh = match freshness {
        Freshness::Window { iat, exp } => format!(r#""iat":{iat},"exp":{exp}"#),
        Freshness::Nonce(nonce) => format!(r#""nonce":"{nonce}""#),
    };
    // None of the values holds a character that JSON escapes.
    let jti = BASE64URL_NOPAD.encode(jti);
    let claims = format!(r#"{{"iss":"{did}","aud":"{audience}",{fresh},"jti":"{jti}"}}"#);
    jws::sign(TYP, did, &claims, signer)
}

fn freshness(claims: &mut Members<'_>) -> Result<Freshness, Fault> {
    match (claims.has("nonce"), claims.has("iat") || claims.has("exp")) {
        (true, true) => Err(Fault::TwoFreshness),
        (true, false) => Ok(Freshness::Nonce(claims.text("nonce")?.into_owned())),
        _ => Ok(Freshness::Window { iat: claims.uint("iat")?, exp: claims.uint("exp")? }),
    }
}

pub(crate) fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
