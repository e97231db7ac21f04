use crate::jws::{self, Signed};
use crate::presentation::is_id;
use crate::{Audience, Did, Error, MAX_LIFETIME, PresentationFault as Fault, PublicKey, sha256};
use crate::{Signer, SignerError};
use alloc::format;
use alloc::string::{String, ToString};
use data_encoding::HEXLOWER;

/// The domain of logins: the exact `typ` of the header (RFC 8725 §3.11).
const TYP: &str = "muster-login+jwt";

/// Longest login in bytes: with every member at its bound it takes fewer than 1,150. It travels
/// in a body, so no header limits it.
pub const MAX_LOGIN: usize = 1_280;

/// What a person's key states to sign in: which console it is for, and that it is fresh in two
/// ways. The nonce is the console's, so that it is used once; the window is the person's, so that
/// a console cannot ask today for what it uses tomorrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginTerms {
    /// The origin of the page (RFC 6454 §6.2), as the browser itself knows it.
    pub audience: Audience,
    /// The console's challenge, 1 to 64 base64url characters.
    pub nonce: String,
    /// When it was made, Unix seconds.
    pub iat: u64,
    /// When it stops being valid: 1 to [`MAX_LIFETIME`] seconds after `iat`.
    pub exp: u64,
    /// A random identifier, 1 to 64 base64url characters.
    pub jti: String,
    /// The network that the person's browser has pinned: SHA-256 of the genesis.
    pub network: [u8; 32],
}

impl LoginTerms {
    fn check(&self) -> Result<(), Fault> {
        if !(self.iat < self.exp && self.exp - self.iat <= MAX_LIFETIME) {
            return Err(Fault::Lifetime);
        }
        if !is_id(&self.nonce) {
            return Err(Fault::Nonce);
        }
        if is_id(&self.jti) { Ok(()) } else { Err(Fault::Jti) }
    }
}

/// A login that was **parsed but not verified**: everything it says is only claimed until
/// [`Self::verify_signature`] passed with a key that the caller knows to be a person's of the
/// organisation. Time, audience, nonce and network are the caller's to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    signed: Signed,
    organisation: Did,
    terms: LoginTerms,
}

impl Login {
    /// Reads a `muster-login+jwt`. Exactly the members this version defines, each once, are
    /// accepted.
    pub fn parse(token: &str) -> Result<Self, Fault> {
        let jws = jws::split_within(token, TYP, MAX_LOGIN)?;
        let mut claims = jws.claims()?;
        let terms = LoginTerms {
            audience: claims.text("aud")?.parse().map_err(|_| Fault::Aud)?,
            nonce: claims.text("nonce")?.into_owned(),
            iat: claims.uint("iat")?,
            exp: claims.uint("exp")?,
            jti: claims.text("jti")?.into_owned(),
            network: jws::network(&claims.text("net")?).ok_or(Fault::Claim("net"))?,
        };
        claims.end()?;
        terms.check()?;
        Ok(Self { signed: jws.signed, organisation: jws.did, terms })
    }

    /// Checks that `key` is the key the token names and that it signed the token, over the bytes
    /// as they came. Whether it is a key of the organisation is for the caller to know.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), Error> {
        self.signed.verify(key)
    }

    /// The organisation, as claimed.
    pub fn organisation(&self) -> &Did {
        &self.organisation
    }

    /// The person's key that the token names, in multicodec form; it need not be one.
    pub fn key(&self) -> &[u8] {
        self.signed.key()
    }

    /// What it states.
    pub fn terms(&self) -> &LoginTerms {
        &self.terms
    }

    /// SHA-256 of what was signed. Not of the token: an ECDSA signature has two forms.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[self.signed.bytes()])
    }
}

/// Makes a login as a key of an organisation. What no console would accept is not signed.
pub fn log_in(
    organisation: &Did,
    terms: &LoginTerms,
    signer: &dyn Signer,
) -> Result<String, SignerError> {
    terms.check().map_err(|fault| SignerError(fault.to_string()))?;
    let LoginTerms { audience, nonce, iat, exp, jti, network } = terms;
    let net = HEXLOWER.encode(network);
    // None of the values holds a character that JSON escapes.
    let claims = format!(
        r#"{{"iss":"{organisation}","aud":"{audience}","nonce":"{nonce}","iat":{iat},"exp":{exp},"jti":"{jti}","net":"{net}"}}"#
    );
    jws::sign(TYP, organisation, &claims, signer)
}
