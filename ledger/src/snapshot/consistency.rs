use crate::merkle::{self, Hash};
use crate::{Error, Head};
use alloc::vec::Vec;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};

/// Proof that a log is an earlier one continued (RFC 9162 §2.1.4).
///
/// CBOR: one byte string, the hashes one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof(pub Vec<Hash>);

impl ConsistencyProof {
    /// Checks that the head's log begins with the `size` entries of this root.
    pub fn verify(&self, size: u64, root: &Hash, head: &Head) -> Result<(), Error> {
        merkle::verify_consistency(size, root, head.size, &head.log_root, &self.0)
    }
}

impl Encode for ConsistencyProof {
    fn encode(&self, w: &mut Writer) {
        merkle::encode_path(w, &self.0);
    }
}

impl Decode for ConsistencyProof {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        merkle::decode_path(r).map(Self)
    }
}
