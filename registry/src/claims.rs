//! What is unique over the whole log: every DID and every authentication key that ever was on
//! it. The index holds 16 bytes of a SHA-256: nobody can aim at another's 128 bits, and whoever
//! collides two keys of his own only gets his second row refused.

use muster_identity::{Did, PublicKey, sha256};
use muster_ledger::{Changes, StateKey};

/// The first 16 bytes of the SHA-256 of a DID's digest or of a key's multicodec form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Claim(pub(crate) [u8; 16]);

/// The number that stands in place of a batch for keys that entered by an operation.
pub(crate) const BY_OPERATION: u64 = 0;

impl Claim {
    /// Of a DID.
    pub(crate) fn of_did(did: &Did) -> Self {
        Self::first(&sha256(&[did.digest()]))
    }

    /// Of a key.
    pub(crate) fn of_key(key: &PublicKey) -> Self {
        Self::first(&sha256(&[&key.to_multicodec()]))
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

    fn first(hash: &[u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        Self(half)
    }
}
