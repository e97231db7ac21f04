//! The tree under the state: binary, over the hashed keys, most significant bit first; a subtree
//! with one leaf is that leaf. Nodes never change and are shared by all states that have them.

use crate::StateKey;
use alloc::{sync::Arc, vec::Vec};
use core::cmp::Ordering;
use muster_identity::sha256;

pub(crate) type Hash = [u8; 32];

const LEAF_DOMAIN: &[u8] = b"JMT::LeafNode";
const INTERNAL_DOMAIN: &[u8] = b"JMT::IntrnalNode";
pub(crate) const EMPTY: Hash = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";

/// Down to this depth a tree is built in two halves at once: four pieces keep four cores busy,
/// and a piece of a large state is still worth a thread.
const FORKS: usize = 2;

/// Fewer leaves than this are built at once by one: a thread costs as much as some hundred hashes.
const WORTH_A_FORK: usize = 1_024;

/// Leaves that are kept in one piece: hashing what is between them at each change costs as much as
/// some ten levels of the tree, a fraction of the signature that the change came with.
const BUCKET: usize = 16;

/// Does two things, at once if it can. The crate has no threads; whoever has some lends them.
pub trait Join: Sync {
    /// Both results.
    fn join<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B);
}

/// One after the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Join for Alone {
    fn join<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        (a(), b())
    }
}

/// What stands in a place of the tree.
#[derive(Clone, Default)]
pub(crate) enum Link {
    #[default]
    Empty,
    Leaf(Arc<Leaf>),
    Bucket(Arc<Bucket>),
    Branch(Arc<Branch>),
}

/// A record. Its path is the hash of its key, and is not kept: a million of them would be 32 MB.
pub(crate) struct Leaf {
    pub(crate) key: StateKey,
    pub(crate) value: Arc<[u8]>,
    hash: Hash,
}

/// A subtree of few leaves. What stands between it and them is computed when it is needed, so that
/// a look-up takes one step for the last four or five levels, and a record costs less memory.
pub(crate) struct Bucket {
    leaves: Vec<Held>,
    hash: Hash,
}

/// A subtree of more leaves than a bucket has.
pub(crate) struct Branch {
    left: Link,
    right: Link,
    hash: Hash,
}

/// A leaf in a bucket, with as much of its path as tells it from nearly every other.
#[derive(Clone)]
struct Held {
    first: u64,
    leaf: Arc<Leaf>,
}

/// A leaf and its path.
pub(crate) struct Placed {
    pub(crate) path: Hash,
    leaf: Arc<Leaf>,
}

impl Placed {
    pub(crate) fn new(key: StateKey, value: Arc<[u8]>) -> Self {
        let path = key.path();
        let hash = leaf_hash(&path, &sha256(&[&value]));
        Self { path, leaf: Arc::new(Leaf { key, value, hash }) }
    }

    fn held(&self) -> Held {
        Held { first: first(&self.path), leaf: self.leaf.clone() }
    }
}

impl Held {
    fn bit(&self, depth: usize) -> bool {
        match u32::try_from(depth) {
            Ok(depth) if depth < u64::BITS => self.first >> (u64::BITS - 1 - depth) & 1 == 1,
            // Nobody finds two records that agree in so much but by looking for them.
            _ => bit(&self.leaf.key.path(), depth),
        }
    }
}

impl Link {
    pub(crate) fn hash(&self) -> Hash {
        match self {
            Self::Empty => EMPTY,
            Self::Leaf(leaf) => leaf.hash,
            Self::Bucket(bucket) => bucket.hash,
            Self::Branch(branch) => branch.hash,
        }
    }

    fn branch(left: Self, right: Self) -> Self {
        let hash = node_hash(&left.hash(), &right.hash());
        Self::Branch(Arc::new(Branch { left, right, hash }))
    }

    /// The subtree at a depth of leaves in the order of their paths.
    fn of(leaves: Vec<Held>, depth: usize) -> Self {
        match &leaves[..] {
            [] => Self::Empty,
            [one] => Self::Leaf(one.leaf.clone()),
            few if few.len() <= BUCKET => {
                let hash = hash_of(few, depth);
                Self::Bucket(Arc::new(Bucket { leaves, hash }))
            }
            many => {
                let (left, right) = halves(many, depth);
                Self::branch(
                    Self::of(left.to_vec(), depth + 1),
                    Self::of(right.to_vec(), depth + 1),
                )
            }
        }
    }

    /// The leaf of a key, whose path is given.
    pub(crate) fn find(&self, key: &StateKey, path: &Hash) -> Option<&Leaf> {
        let mut link = self;
        for depth in 0.. {
            match link {
                Self::Branch(branch) => link = branch.sides(bit(path, depth)).0,
                Self::Empty => return None,
                Self::Leaf(leaf) => return (leaf.key == *key).then_some(leaf),
                Self::Bucket(bucket) => {
                    let mut alike = bucket.leaves.iter().filter(|held| held.first == first(path));
                    return alike.find(|held| held.leaf.key == *key).map(|held| &*held.leaf);
                }
            }
        }
        None
    }

    /// The hashes beside the way to a path, from the root down, and the leaf at its end.
    pub(crate) fn way(&self, path: &Hash) -> (Vec<Hash>, Option<&Leaf>) {
        let (mut link, mut siblings) = (self, Vec::new());
        while let Self::Branch(branch) = link {
            let (next, sibling) = branch.sides(bit(path, siblings.len()));
            siblings.push(sibling.hash());
            link = next;
        }
        let mut leaves = match link {
            Self::Leaf(leaf) => return (siblings, Some(leaf)),
            Self::Bucket(bucket) => &bucket.leaves[..],
            Self::Empty | Self::Branch(_) => &[],
        };
        while leaves.len() > 1 {
            let depth = siblings.len();
            let (left, right) = halves(leaves, depth);
            let (next, sibling) = if bit(path, depth) { (right, left) } else { (left, right) };
            siblings.push(hash_of(sibling, depth + 1));
            leaves = next;
        }
        (siblings, leaves.first().map(|held| &*held.leaf))
    }
}

impl Branch {
    /// The side asked for, and the other.
    fn sides(&self, right: bool) -> (&Link, &Link) {
        if right { (&self.right, &self.left) } else { (&self.left, &self.right) }
    }
}

/// The hash of the subtree at a depth of few leaves in the order of their paths.
fn hash_of(leaves: &[Held], depth: usize) -> Hash {
    match leaves {
        [] => EMPTY,
        [one] => one.leaf.hash,
        more => {
            let (left, right) = halves(more, depth);
            node_hash(&hash_of(left, depth + 1), &hash_of(right, depth + 1))
        }
    }
}

fn halves(leaves: &[Held], depth: usize) -> (&[Held], &[Held]) {
    leaves.split_at(leaves.partition_point(|held| !held.bit(depth)))
}

/// The first eight bytes of a path, in its order.
fn first(path: &Hash) -> u64 {
    path.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

pub(crate) fn leaf_hash(path: &Hash, value_hash: &Hash) -> Hash {
    sha256(&[LEAF_DOMAIN, path, value_hash])
}

pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[INTERNAL_DOMAIN, left, right])
}

pub(crate) fn bit(path: &Hash, depth: usize) -> bool {
    path[depth / 8] >> (7 - depth % 8) & 1 == 1
}

/// Inserts or replaces a leaf; says whether the tree grew.
pub(crate) fn insert(link: &Link, new: Placed, depth: usize) -> (Link, bool) {
    let mut leaves = match link {
        Link::Branch(branch) => {
            let right_side = bit(&new.path, depth);
            let (side, other) = branch.sides(right_side);
            let (child, added) = insert(side, new, depth + 1);
            let other = other.clone();
            let (left, right) = if right_side { (other, child) } else { (child, other) };
            return (Link::branch(left, right), added);
        }
        Link::Empty => Vec::new(),
        Link::Leaf(leaf) => {
            Vec::from([Held { first: first(&leaf.key.path()), leaf: leaf.clone() }])
        }
        Link::Bucket(bucket) => bucket.leaves.clone(),
    };
    let new_one = new.held();
    let place = leaves.iter().position(|held| held.leaf.key == new.leaf.key);
    if let Some(place) = place {
        leaves[place] = new_one;
    } else {
        let before = |held: &Held| match held.first.cmp(&new_one.first) {
            Ordering::Equal => held.leaf.key.path() < new.path,
            order => order.is_lt(),
        };
        leaves.insert(leaves.partition_point(before), new_one);
    }
    (Link::of(leaves, depth), place.is_none())
}

/// The tree of leaves whose paths strictly ascend.
pub(crate) fn build(leaves: &[Placed], depth: usize, join: &impl Join) -> Link {
    if leaves.len() <= BUCKET {
        return Link::of(leaves.iter().map(Placed::held).collect(), depth);
    }
    let middle = leaves.partition_point(|leaf| !bit(&leaf.path, depth));
    let (left, right) = leaves.split_at(middle);
    let (left, right) = if depth < FORKS && leaves.len() >= WORTH_A_FORK {
        join.join(|| build(left, depth + 1, join), || build(right, depth + 1, join))
    } else {
        (build(left, depth + 1, join), build(right, depth + 1, join))
    };
    Link::branch(left, right)
}

/// The leaves of a tree, in the order of their paths.
pub(crate) struct InOrder<'a> {
    links: Vec<&'a Link>,
    bucket: core::slice::Iter<'a, Held>,
}

impl<'a> InOrder<'a> {
    pub(crate) fn new(root: &'a Link) -> Self {
        Self { links: Vec::from([root]), bucket: [].iter() }
    }
}

impl<'a> Iterator for InOrder<'a> {
    type Item = &'a Leaf;

    fn next(&mut self) -> Option<&'a Leaf> {
        loop {
            if let Some(held) = self.bucket.next() {
                return Some(&held.leaf);
            }
            match self.links.pop()? {
                Link::Empty => {}
                Link::Leaf(leaf) => return Some(leaf),
                Link::Bucket(bucket) => self.bucket = bucket.leaves.iter(),
                Link::Branch(branch) => self.links.extend([&branch.right, &branch.left]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Placed, bit};
    use crate::StateKey;

    /// Also beyond the bits that a bucket keeps.
    #[test]
    fn a_held_leaf_has_the_bits_of_its_path() {
        for n in 0..8 {
            let placed = Placed::new(StateKey::Key([n; 32]), [n].as_slice().into());
            for depth in 0..256 {
                assert_eq!(placed.held().bit(depth), bit(&placed.path, depth), "{n}, {depth}");
            }
        }
    }
}
