//! What is unique over the whole log: every DID and every authentication key that ever was on
//! it. Both have one kind of name, the first 16 bytes of a DID's digest: a key goes by the DID
//! that a device with this key and nothing else has, so such a device is one claim, not two.
//! Nobody can aim at another's 128 bits, and whoever collides two keys of his own only gets his
//! second row refused.

use muster_identity::{Did, Inception, PublicKey};
use muster_ledger::{Changes, StateKey};

/// The first 16 bytes of the digest of a DID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Claim(pub(crate) [u8; 16]);

/// The number that stands in place of a batch for keys that entered by an operation.
pub(crate) const BY_OPERATION: u64 = 0;

impl Claim {
    /// Of a DID.
    pub(crate) fn of_did(did: &Did) -> Self {
        Self::first(did.digest())
    }

    /// Of a key.
    pub(crate) fn of_key(key: &PublicKey) -> Self {
        Self::of_did(&Did::of(&Inception::from_key(*key)))
    }

    /// Of an inception: of its DID, and of its key if that goes by another name.
    pub(crate) fn of_inception(did: &Did, inception: &Inception) -> (Self, Option<Self>) {
        let own = Self::of_did(did);
        let bare = Inception::from_key(inception.key) == *inception;
        (own, (!bare).then(|| Self::of_key(&inception.key)))
    }

    /// Of a state record, if it says that a key entered by an operation or by the genesis.
    pub(crate) fn of_record(key: &StateKey) -> Option<Self> {
        match key {
            StateKey::Key(digest) => Some(Self::first(digest)),
            _ => None,
        }
    }

    /// Of every key that an operation brings.
    pub(crate) fn brought_by(changes: &Changes) -> Vec<Self> {
        changes.0.keys().filter_map(Self::of_record).collect()
    }

    fn first(digest: &[u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}
