use crate::tree::{EMPTY, Hash, bit, leaf_hash, node_hash};
use crate::{Error, StateKey, limits, merkle};
use alloc::vec::Vec;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::sha256;

/// Proof of what a state holds at a key, or that it holds nothing there (*unchanged since
/// enrolment*, for a device).
///
/// CBOR map: 1 siblings from the leaf upwards (one byte string), optional 2 the other leaf that
/// stands in the place: `[hashed key, hashed value]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateProof {
    pub(crate) siblings: Vec<Hash>,
    pub(crate) other: Option<(Hash, Hash)>,
}

impl StateProof {
    /// Checks that a state with this root holds `value` at `key` (`None`: nothing).
    pub fn verify(&self, root: &Hash, key: &StateKey, value: Option<&[u8]>) -> Result<(), Error> {
        let path = key.path();
        let depth = self.siblings.len();
        let mut hash = match (value, &self.other) {
            (Some(value), None) => leaf_hash(&path, &sha256(&[value])),
            (None, None) => EMPTY,
            (None, Some((found, value_hash))) => {
                let shares_place = (0..depth).all(|d| bit(found, d) == bit(&path, d));
                if *found == path || !shares_place {
                    return Err(Error::Path);
                }
                leaf_hash(found, value_hash)
            }
            (Some(_), Some(_)) => return Err(Error::Path),
        };
        if depth > limits::PATH_HASHES {
            return Err(Error::Path);
        }
        for (level, sibling) in self.siblings.iter().enumerate() {
            hash = if bit(&path, depth - 1 - level) {
                node_hash(sibling, &hash)
            } else {
                node_hash(&hash, sibling)
            };
        }
        if hash == *root { Ok(()) } else { Err(Error::Path) }
    }
}

impl Encode for StateProof {
    fn encode(&self, w: &mut Writer) {
        w.map(if self.other.is_some() { 2 } else { 1 }).uint(1);
        merkle::encode_path(w, &self.siblings);
        if let Some((path, value)) = &self.other {
            w.uint(2).array(2).bytes(path).bytes(value);
        }
    }
}

impl Decode for StateProof {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        let mut m = r.map()?;
        let siblings = merkle::decode_path(m.required(1)?)?;
        let other = m
            .optional(2)?
            .map(|r| {
                r.tuple(2)?;
                Ok::<_, muster_identity::Error>((r.array_of()?, r.array_of()?))
            })
            .transpose()?;
        m.end()?;
        Ok(Self { siblings, other })
    }
}
