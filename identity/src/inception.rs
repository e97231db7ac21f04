use crate::cbor::{Decode, Encode, Fields, Reader, Writer};
use crate::{AgreementKey, Error, PublicKey};
use core::{fmt, str::FromStr};

/// A device's (or an organisation's) beginning: its first key and what it binds itself to.
/// The DID is its hash, so nothing in it can ever change.
///
/// CBOR map: 1 authentication key; optional 2 key-agreement key, 3 next-key commitment,
/// 4 recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inception {
    /// The first authentication key.
    pub key: PublicKey,
    /// A key for encryption to the device.
    pub agreement: Option<AgreementKey>,
    /// SHA-256 of the multicodec form of the only key the first rotation may introduce.
    pub next_key: Option<[u8; 32]>,
    /// Who may replace the keys of a device that lost them.
    pub recovery: Option<Recovery>,
}

/// Who may recover a DID, as the device itself declared. As text: `owner`, or the key's Multikey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// The organisation that owns the device at the time of recovery.
    Owner,
    /// The holder of this key.
    Key(PublicKey),
}

impl FromStr for Recovery {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            OWNER => Ok(Self::Owner),
            key => Ok(Self::Key(PublicKey::from_multikey(key)?)),
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str(OWNER),
            Self::Key(key) => f.write_str(&key.to_multikey()),
        }
    }
}

/// The word for a recovery by the owner, in the inception and in manifests.
const OWNER: &str = "owner";

impl Inception {
    /// The inception of a bare key: one authentication key, every other field absent. Importer
    /// and firmware both build exactly this, so both know the DID.
    pub const fn from_key(key: PublicKey) -> Self {
        Self { key, agreement: None, next_key: None, recovery: None }
    }
}

impl Encode for Inception {
    fn encode(&self, w: &mut Writer) {
        let optional = [self.agreement.is_some(), self.next_key.is_some(), self.recovery.is_some()];
        w.map(1 + optional.into_iter().filter(|present| *present).count());
        w.uint(1).value(&self.key);
        if let Some(key) = &self.agreement {
            w.uint(2).value(key);
        }
        if let Some(digest) = &self.next_key {
            w.uint(3).bytes(digest);
        }
        match &self.recovery {
            Some(Recovery::Owner) => {
                w.uint(4).text(OWNER);
            }
            Some(Recovery::Key(key)) => {
                w.uint(4).value(key);
            }
            None => {}
        }
    }
}

impl Decode for Inception {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m: Fields<'_, '_> = r.map()?;
        let inception = Self {
            key: m.required(1)?.value()?,
            agreement: m.optional(2)?.map(|r| r.value()).transpose()?,
            next_key: m.optional(3)?.map(|r| r.array_of()).transpose()?,
            recovery: m.optional(4)?.map(recovery).transpose()?,
        };
        m.end()?;
        Ok(inception)
    }
}

fn recovery(r: &mut Reader<'_>) -> Result<Recovery, Error> {
    if r.next_is_bytes() {
        return Ok(Recovery::Key(r.value()?));
    }
    match r.text(5)? {
        OWNER => Ok(Recovery::Owner),
        _ => Err(r.fault("recovery is a key or the text \"owner\"")),
    }
}
