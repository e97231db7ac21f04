use crate::jws::{self, Signed};
use crate::{Did, Error, PresentationFault as Fault, PublicKey, Signer, SignerError};
use alloc::format;
use alloc::string::{String, ToString};

/// The domain of registrations: the exact `typ` of the header (RFC 8725 §3.11).
const TYP: &str = "muster-registration+jwt";

/// Longest name of a gateway in characters.
const MAX_NAME: usize = 64;

/// Longest site in bytes: a label, not a document.
pub const MAX_SITE: usize = 128;

/// Greatest number: what every reader of JSON keeps exactly (RFC 8259 §6).
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// What an operator says of a gateway of its organisation: under this name, this key speaks, or
/// nobody does any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The gateway's name: 1 to 64 characters `A-Z a-z 0-9 . _ -`.
    pub gateway: String,
    /// Its key and site; none ends the registration.
    pub holder: Option<Holder>,
    /// When the operator said so (ms since 1970). Of two words about a name the later holds.
    pub made: u64,
}

impl Registered {
    /// Whether it can be said: the bounds of name and site.
    pub fn check(&self) -> Result<(), Error> {
        if !is_name(&self.gateway) {
            return Err(Error::Bound {
                what: "a gateway's name",
                bound: "1 to 64 letters, digits, dots, underscores and hyphens",
            });
        }
        if !self.holder.as_ref().is_none_or(|holder| jws::is_label(&holder.site, MAX_SITE)) {
            return Err(Error::Bound {
                what: "a site",
                bound: "at most 128 bytes without control characters, quotes and backslashes",
            });
        }
        Ok(())
    }
}

/// A gateway's key, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The key.
    pub key: PublicKey,
    /// Where it stands, in the operator's words: at most [`MAX_SITE`] bytes, possibly none.
    pub site: String,
}

/// A registration that was **parsed but not verified**: see [`Self::verify_signature`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    signed: Signed,
    organisation: Did,
    registered: Registered,
}

impl Registration {
    /// Reads a `muster-registration+jwt`. Exactly the members this version defines, each once,
    /// are accepted.
    pub fn parse(token: &str) -> Result<Self, Fault> {
        let jws = jws::split(token, TYP)?;
        let mut claims = jws.claims()?;
        let gateway = claims.text("gateway")?.into_owned();
        if !is_name(&gateway) {
            return Err(Fault::Claim("gateway"));
        }
        let made = claims.uint("made")?;
        if made > MAX_NUMBER {
            return Err(Fault::Claim("made"));
        }
        let holder = if claims.has("key") || claims.has("site") {
            let key = claims.text("key")?;
            let key = PublicKey::from_multikey(&key).map_err(|_| Fault::Claim("key"))?;
            let site = claims.text("site")?.into_owned();
            if !jws::is_label(&site, MAX_SITE) {
                return Err(Fault::Claim("site"));
            }
            Some(Holder { key, site })
        } else {
            None
        };
        claims.end()?;
        Ok(Self {
            signed: jws.signed,
            organisation: jws.did,
            registered: Registered { gateway, holder, made },
        })
    }

    /// Checks that `key` is the key the token names and that it signed the token. Whether it may
    /// register gateways for the organisation is for the caller to know.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), Error> {
        self.signed.verify(key)
    }

    /// The organisation, as claimed.
    pub fn organisation(&self) -> &Did {
        &self.organisation
    }

    /// The operator's key that the token names, in multicodec form; it need not be one.
    pub fn key(&self) -> &[u8] {
        self.signed.key()
    }

    /// What it says.
    pub fn registered(&self) -> &Registered {
        &self.registered
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.signed.text()
    }
}

/// Registers a gateway, or ends its registration, as an operator of an organisation. What no node
/// would accept is not signed.
pub fn register(
    organisation: &Did,
    registered: &Registered,
    operator: &dyn Signer,
) -> Result<String, SignerError> {
    registered.check().map_err(|error| SignerError(error.to_string()))?;
    let Registered { gateway, holder, made } = registered;
    let holder = match holder {
        None => String::new(),
        // Neither name nor site holds a character that JSON escapes.
        Some(Holder { key, site }) => {
            format!(r#","key":"{}","site":"{site}""#, key.to_multikey())
        }
    };
    let claims =
        format!(r#"{{"iss":"{organisation}","gateway":"{gateway}"{holder},"made":{made}}}"#);
    jws::sign(TYP, organisation, &claims, operator)
}

/// A name is safe in a path, in a label of Prometheus and in a log line.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
