use crate::leaf::Leaf;
use crate::merkle::{Hash, Tree, leaf_hash, root_from_path};
use crate::{Error, limits};
use alloc::vec::Vec;

/// Some leaves of a batch in their order, and the path from their own root up to the batch's: what
/// nodes exchange. The bundle at place `i` has the leaves from `256 i` on. A tree of RFC 9162 §2.1
/// is also a tree over the roots of every 256 leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The leaves, as their batch hashes them.
    pub leaves: Vec<Vec<u8>>,
    /// The path of their root (RFC 9162 §2.1.3).
    pub path: Vec<Hash>,
}

impl Bundle {
    /// How many bundles a batch of so many leaves has.
    pub fn count(leaves: u64) -> u64 {
        leaves.div_ceil(limits::BUNDLE_LEAVES)
    }

    /// Checks that these are the leaves at this place of the batch with this root and number of
    /// leaves. It looks into none of them but for their order, which is by DID.
    pub fn verify(&self, root: &Hash, count: u64, index: u64) -> Result<(), Error> {
        let bundles = Self::count(count);
        if index >= bundles {
            return Err(Error::Bound("a bundle beyond the end of its batch"));
        }
        let first = index * limits::BUNDLE_LEAVES;
        let expected = (count - first).min(limits::BUNDLE_LEAVES);
        if self.leaves.len() as u64 != expected {
            return Err(Error::Bound("a bundle has 256 leaves, the last one the rest"));
        }
        if self.leaves.iter().any(|leaf| leaf.len() > limits::LEAF_BYTES) {
            return Err(Error::Bound("a leaf has at most 4,096 bytes"));
        }
        if self.path.len() > limits::PATH_HASHES {
            return Err(Error::Path);
        }
        let mut tree = Tree::default();
        self.leaves.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
        if root_from_path(tree.root(), index, bundles, &self.path)? != *root {
            return Err(Error::Path);
        }
        let mut last = None;
        for leaf in &self.leaves {
            let did = Leaf::did_in(leaf)?;
            if last.is_some_and(|last| last >= did) {
                return Err(Error::Bound("leaves are in ascending order of their DIDs"));
            }
            last = Some(did);
        }
        Ok(())
    }
}
