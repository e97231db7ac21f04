use crate::jws::{self, Signed};
use crate::presentation::is_id;
use crate::{Did, Error, PresentationFault as Fault, PublicKey, Signer, SignerError, sha256};
use alloc::format;
use alloc::string::{String, ToString};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

/// The domain of invites: the exact `typ` of the header (RFC 8725 §3.11).
const TYP: &str = "muster-invite+jwt";

/// Longest time in seconds from `iat` to `exp`: a week, so that a mail read on Monday still works
/// and one found a month later does not.
pub const INVITE_LIFETIME: u64 = 7 * 24 * 60 * 60;

/// Longest name of a person in bytes: a label, not a document.
pub const MAX_PERSON: usize = 64;

/// What a person may do in a console. What a *key* may do on the ledger, its capabilities say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees, and changes nothing.
    Viewer,
    /// Sees, and operates devices.
    Operator,
    /// Operates devices, and admits people.
    Admin,
    /// Sees everything, the record of what others did too, and changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Admin, Self::Auditor];

    /// Its word in tokens.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }

    /// The role of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// What a root key of an organisation says: whoever knows the secret may join, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteTerms {
    /// The network: SHA-256 of the genesis.
    pub network: [u8; 32],
    /// A random identifier, 1 to 64 base64url characters: an invite is used once.
    pub jti: String,
    /// When it was made, Unix seconds.
    pub iat: u64,
    /// When it stops being valid: 1 to [`INVITE_LIFETIME`] seconds after `iat`.
    pub exp: u64,
    /// What the person may do.
    pub role: Role,
    /// What the person is called: 1 to [`MAX_PERSON`] bytes without control characters, quotes
    /// and backslashes.
    pub name: String,
    /// SHA-256 of the one-time secret. The token itself is none: a console may keep and show it.
    pub secret_hash: [u8; 32],
}

impl InviteTerms {
    fn check(&self) -> Result<(), Fault> {
        if !is_id(&self.jti) {
            return Err(Fault::Jti);
        }
        if !(self.iat < self.exp && self.exp - self.iat <= INVITE_LIFETIME) {
            return Err(Fault::Claim("exp"));
        }
        if self.name.is_empty() || !jws::is_label(&self.name, MAX_PERSON) {
            return Err(Fault::Claim("name"));
        }
        Ok(())
    }
}

/// An invite that was **parsed but not verified**: see [`Self::verify_signature`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    signed: Signed,
    organisation: Did,
    terms: InviteTerms,
}

impl Invite {
    /// Reads a `muster-invite+jwt`. Exactly the members this version defines, each once, are
    /// accepted.
    pub fn parse(token: &str) -> Result<Self, Fault> {
        let jws = jws::split(token, TYP)?;
        let mut claims = jws.claims()?;
        let secret_hash = BASE64URL_NOPAD
            .decode(claims.text("secret_hash")?.as_bytes())
            .ok()
            .and_then(|hash| hash.try_into().ok())
            .ok_or(Fault::Claim("secret_hash"))?;
        let terms = InviteTerms {
            network: jws::network(&claims.text("aud")?).ok_or(Fault::Aud)?,
            jti: claims.text("jti")?.into_owned(),
            iat: claims.uint("iat")?,
            exp: claims.uint("exp")?,
            role: Role::of_word(&claims.text("role")?).ok_or(Fault::Claim("role"))?,
            name: claims.text("name")?.into_owned(),
            secret_hash,
        };
        claims.end()?;
        terms.check()?;
        Ok(Self { signed: jws.signed, organisation: jws.did, terms })
    }

    /// Checks that `key` is the key the token names and that it signed the token. Whether it may
    /// admit people to the organisation is for the caller to know.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), Error> {
        self.signed.verify(key)
    }

    /// Whether this is the invite's secret. It is random, and compared by its hash, so the time
    /// that takes tells nothing of it.
    pub fn opens(&self, secret: &[u8]) -> bool {
        sha256(&[secret]) == self.terms.secret_hash
    }

    /// The organisation, as claimed.
    pub fn organisation(&self) -> &Did {
        &self.organisation
    }

    /// The root key that the token names, in multicodec form; it need not be one.
    pub fn key(&self) -> &[u8] {
        self.signed.key()
    }

    /// What it says.
    pub fn terms(&self) -> &InviteTerms {
        &self.terms
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.signed.text()
    }
}

/// Invites somebody into an organisation, as a root key of it. What no console would accept is
/// not signed.
pub fn invite(
    organisation: &Did,
    terms: &InviteTerms,
    root: &dyn Signer,
) -> Result<String, SignerError> {
    terms.check().map_err(|fault| SignerError(fault.to_string()))?;
    let InviteTerms { network, jti, iat, exp, role, name, secret_hash } = terms;
    let (aud, role) = (HEXLOWER.encode(network), role.word());
    let secret_hash = BASE64URL_NOPAD.encode(secret_hash);
    // None of the values holds a character that JSON escapes.
    let claims = format!(
        r#"{{"iss":"{organisation}","aud":"{aud}","jti":"{jti}","iat":{iat},"exp":{exp},"role":"{role}","name":"{name}","secret_hash":"{secret_hash}"}}"#
    );
    jws::sign(TYP, organisation, &claims, root)
}
