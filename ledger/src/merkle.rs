//! The append-only Merkle tree of RFC 9162 §2.1 with SHA-256. The log of operations and the
//! leaf tree of every batch are both this tree.

use crate::{Error, limits};
use alloc::vec::Vec;
use muster_identity::cbor::{Reader, Writer};
use muster_identity::sha256;

/// A SHA-256 hash of the tree.
pub type Hash = [u8; 32];

/// Hash of a leaf: SHA-256(0x00 ‖ data) (RFC 9162 §2.1.1).
pub fn leaf_hash(data: &[u8]) -> Hash {
    sha256(&[&[0], data])
}

/// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// Root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// Enough of a tree to append to it and to know its root: one hash for each bit of its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees, largest first.
    peaks: Vec<Hash>,
    /// From the last leaf up to the root of the smallest of these subtrees.
    last: Vec<Hash>,
}

impl Frontier {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        self.last.clear();
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
                self.last.push(left);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// A frontier as it was taken down, if the last leaf is in it. The caller compares the root.
    pub(crate) fn resume(
        size: u64,
        peaks: Vec<Hash>,
        leaf: Hash,
        last: Vec<Hash>,
    ) -> Result<Self, Error> {
        let peak = last.iter().fold(leaf, |right, left| node_hash(left, &right));
        let whole = size > 0
            && peaks.len() == size.count_ones() as usize
            && last.len() == size.trailing_zeros() as usize
            && peaks.last() == Some(&peak);
        if whole { Ok(Self { size, peaks, last }) } else { Err(Error::Path) }
    }

    /// Roots of the perfect subtrees, largest first: one for each bit of the size.
    pub(crate) fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The path from the last leaf up to the root of the smallest perfect subtree.
    pub(crate) fn last_path(&self) -> &[Hash] {
        &self.last
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// A tree that can prove. It keeps every perfect subtree's hash, twice the leaves' in all.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// `levels[l][i]` is the root of leaves `i·2^l .. (i+1)·2^l`.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            if row.len() % 2 == 1 {
                return;
            }
            hash = node_hash(&row[row.len() - 2], &row[row.len() - 1]);
        }
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.range(0, self.size())
    }

    /// The root over the first `size` leaves, if there are so many.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        (size <= self.size()).then(|| self.range(0, size))
    }

    /// `MTH(D[from..to])` where `from` is a multiple of the largest power of two below the length.
    fn range(&self, from: u64, to: u64) -> Hash {
        let n = to - from;
        if n == 0 {
            return empty_root();
        }
        if n.is_power_of_two() {
            let level = n.trailing_zeros();
            return self.levels[level as usize][(from >> level) as usize];
        }
        let k = split(n);
        node_hash(&self.range(from, from + k), &self.range(from + k, to))
    }

    /// `PATH(index, D[size])` of RFC 9162 §2.1.3.1, from the leaf upwards.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut from, mut to) = (0, size);
        let mut path = Vec::new();
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(self.range(middle, to));
                to = middle;
            } else {
                path.push(self.range(from, middle));
                from = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// `PROOF(old, D[new])` of RFC 9162 §2.1.4.1.
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        if old == 0 || old > new || new > self.size() {
            return None;
        }
        let (mut from, mut to) = (0, new);
        let mut proof = Vec::new();
        // `whole`: the subtree reached so far is exactly the old tree, whose root is known.
        let mut whole = true;
        while to > old {
            let middle = from + split(to - from);
            if old <= middle {
                proof.push(self.range(middle, to));
                to = middle;
            } else {
                proof.push(self.range(from, middle));
                from = middle;
                whole = false;
            }
        }
        if !whole {
            proof.push(self.range(from, to));
        }
        proof.reverse();
        Some(proof)
    }
}

/// The largest power of two smaller than `n` (n > 1).
fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// The root that an inclusion path leads to (RFC 9162 §2.1.3.2), or an error if the path has
/// the wrong length for this index and size.
pub fn root_from_path(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, Error> {
    if index >= size {
        return Err(Error::Path);
    }
    let (mut index, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return Err(Error::Path);
        }
        if index & 1 == 1 || index == last {
            hash = node_hash(sibling, &hash);
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        index >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(hash) } else { Err(Error::Path) }
}

/// Checks that the tree of `new` leaves extends the tree of `old` (RFC 9162 §2.1.4.2).
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    if old == 0 || old > new {
        return Err(Error::Path);
    }
    if old == new {
        return if proof.is_empty() && old_root == new_root { Ok(()) } else { Err(Error::Path) };
    }
    let mut hashes = proof.iter();
    let first =
        if old.is_power_of_two() { *old_root } else { *hashes.next().ok_or(Error::Path)? };
    let (mut index, mut last) = (old - 1, new - 1);
    while index & 1 == 1 {
        index >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in hashes {
        if last == 0 {
            return Err(Error::Path);
        }
        if index & 1 == 1 || index == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        index >>= 1;
        last >>= 1;
    }
    if last == 0 && old_hash == *old_root && new_hash == *new_root {
        Ok(())
    } else {
        Err(Error::Path)
    }
}

/// A path as CBOR: one byte string of all hashes, 32 bytes each.
pub(crate) fn encode_path(w: &mut Writer, path: &[Hash]) {
    w.bytes(path.as_flattened());
}

/// Reads a path written by [`encode_path`].
pub(crate) fn decode_path(r: &mut Reader<'_>) -> Result<Vec<Hash>, muster_identity::Error> {
    let bytes = r.bytes(limits::PATH_HASHES * 32)?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() { Ok(hashes.to_vec()) } else { Err(r.fault("a path of broken hashes")) }
}
