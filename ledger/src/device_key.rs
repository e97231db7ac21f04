use crate::limits;
use muster_identity::cbor::Reader;
use muster_identity::{Did, Error, Inception, PublicKey};

/// The present authentication key of a device that changed.
///
/// CBOR, as field 4 of the device's record: absent for [`Self::Own`], `[key]`, or `[]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKey {
    /// The key whose bare inception the DID is. The DID proves it to whoever names the key, so the
    /// record does not hold it: a hash cannot be compressed, and neither can a key.
    Own,
    /// Any other key: one that came by a rotation, or of an inception with more than a key.
    Held(PublicKey),
    /// None: the last key was revoked.
    Ended,
}

impl DeviceKey {
    /// How the record of a device says that this is its key. One fact has one form.
    pub fn of(did: &Did, key: PublicKey) -> Self {
        if Self::Own.is(did, &key) { Self::Own } else { Self::Held(key) }
    }

    /// Whether it is this key.
    pub fn is(&self, did: &Did, key: &PublicKey) -> bool {
        match self {
            Self::Own => Did::of(&Inception::from_key(*key)) == *did,
            Self::Held(held) => held == key,
            Self::Ended => false,
        }
    }

    /// The key, for whoever has the device's leaf and with it its first key.
    pub fn given(&self, first: PublicKey) -> Option<PublicKey> {
        match self {
            Self::Own => Some(first),
            Self::Held(key) => Some(*key),
            Self::Ended => None,
        }
    }

    /// What the record holds of it: nothing, or a list of one or none.
    pub(crate) fn written(&self) -> Option<&[PublicKey]> {
        match self {
            Self::Own => None,
            Self::Held(key) => Some(core::slice::from_ref(key)),
            Self::Ended => Some(&[]),
        }
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        match r.array(limits::PRESENT_KEYS)? {
            0 => Ok(Self::Ended),
            _ => Ok(Self::Held(r.value()?)),
        }
    }
}
