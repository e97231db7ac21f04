use crate::jws::{self, Signed};
use crate::{Audience, Did, Error, MAX_LIFETIME, PresentationFault as Fault, PublicKey};
use crate::{Signer, SignerError};
use alloc::format;
use alloc::string::{String, ToString};

/// The domain of signed reads: the exact `typ` of the header (RFC 8725 §3.11).
const TYP: &str = "muster-read+jwt";

/// Longest target of a request in bytes: every member of a question about lots at its bound, each
/// of its bytes escaped.
pub const MAX_TARGET: usize = 2_048;

/// Longest token of a signed read: with the longest target and audience it has fewer characters.
pub const MAX_READ: usize = 4_096;

/// What an organisation asks of a node: one target, of this node, in this minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The node's origin, as it was dialled.
    pub audience: Audience,
    /// Path and query of the request, as they are sent.
    pub target: String,
    /// When it was made (Unix seconds).
    pub iat: u64,
    /// Until when it may be used; at most [`MAX_LIFETIME`] seconds later.
    pub exp: u64,
    /// Never used before: 1 to 64 characters of base64url.
    pub jti: String,
}

impl Asked {
    fn check(&self) -> Result<(), Fault> {
        if !is_target(&self.target) {
            return Err(Fault::Claim("path"));
        }
        let lifetime = self.exp.checked_sub(self.iat).ok_or(Fault::Lifetime)?;
        if !(1..=MAX_LIFETIME).contains(&lifetime) {
            return Err(Fault::Lifetime);
        }
        if crate::presentation::is_id(&self.jti) { Ok(()) } else { Err(Fault::Jti) }
    }
}

/// A signed read that was **parsed but not verified**: see [`Self::verify_signature`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRead {
    signed: Signed,
    organisation: Did,
    asked: Asked,
}

impl SignedRead {
    /// Reads a `muster-read+jwt`. Exactly the members this version defines, each once, are
    /// accepted.
    pub fn parse(token: &str) -> Result<Self, Fault> {
        let jws = jws::split_within(token, TYP, MAX_READ)?;
        let mut claims = jws.claims()?;
        let asked = Asked {
            audience: claims.text("aud")?.parse().map_err(|_| Fault::Aud)?,
            target: claims.text("path")?.into_owned(),
            iat: claims.uint("iat")?,
            exp: claims.uint("exp")?,
            jti: claims.text("jti")?.into_owned(),
        };
        claims.end()?;
        asked.check()?;
        Ok(Self { signed: jws.signed, organisation: jws.did, asked })
    }

    /// Checks that `key` is the key the token names and that it signed the token. Whether it is a
    /// present key of the organisation is for the caller to know.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), Error> {
        self.signed.verify(key)
    }

    /// The organisation, as claimed.
    pub fn organisation(&self) -> &Did {
        &self.organisation
    }

    /// The key that the token names, in multicodec form; it need not be one.
    pub fn key(&self) -> &[u8] {
        self.signed.key()
    }

    /// What is asked.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }
}

/// Signs a read as an organisation. What no node would accept is not signed.
pub fn sign_read(
    organisation: &Did,
    asked: &Asked,
    signer: &dyn Signer,
) -> Result<String, SignerError> {
    asked.check().map_err(|fault| SignerError(Error::from(fault).to_string()))?;
    let Asked { audience, target, iat, exp, jti } = asked;
    // Neither audience nor target nor jti holds a character that JSON escapes.
    let claims = format!(
        r#"{{"iss":"{organisation}","aud":"{audience}","path":"{target}","iat":{iat},"exp":{exp},"jti":"{jti}"}}"#
    );
    jws::sign(TYP, organisation, &claims, signer)
}

/// The target of a request to a server (RFC 9112 §3.2.1) without characters that JSON escapes: a
/// client sends those as percent signs and digits.
fn is_target(target: &str) -> bool {
    target.starts_with('/')
        && target.len() <= MAX_TARGET
        && target.bytes().all(|b| matches!(b, 0x21..=0x7e) && !matches!(b, b'"' | b'\\'))
}
