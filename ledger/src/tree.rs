//! The tree under the state: binary, over the hashed keys, most significant bit first; a subtree
//! with one leaf is that leaf. Nodes never change and are shared by all states that have them.

use crate::StateKey;
use alloc::{sync::Arc, vec::Vec};
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
    Branch(Arc<Branch>),
}

/// A record. Its path is the hash of its key, and is not kept: a million of them would be 32 MB.
pub(crate) struct Leaf {
    pub(crate) key: StateKey,
    pub(crate) value: Arc<[u8]>,
    hash: Hash,
}

pub(crate) struct Branch {
    left: Link,
    right: Link,
    hash: Hash,
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
}

impl Link {
    pub(crate) fn hash(&self) -> Hash {
        match self {
            Self::Empty => EMPTY,
            Self::Leaf(leaf) => leaf.hash,
            Self::Branch(branch) => branch.hash,
        }
    }

    fn branch(left: Self, right: Self) -> Self {
        let hash = node_hash(&left.hash(), &right.hash());
        Self::Branch(Arc::new(Branch { left, right, hash }))
    }
}

impl Branch {
    /// The side asked for, and the other.
    pub(crate) fn sides(&self, right: bool) -> (&Link, &Link) {
        if right { (&self.right, &self.left) } else { (&self.left, &self.right) }
    }
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
    match link {
        Link::Empty => (Link::Leaf(new.leaf), true),
        Link::Leaf(old) if old.key == new.leaf.key => (Link::Leaf(new.leaf), false),
        Link::Leaf(old) => {
            let old = Placed { path: old.key.path(), leaf: old.clone() };
            (part(old, new, depth), true)
        }
        Link::Branch(branch) => {
            let right_side = bit(&new.path, depth);
            let (side, other) = branch.sides(right_side);
            let (child, added) = insert(side, new, depth + 1);
            let other = other.clone();
            let (left, right) = if right_side { (other, child) } else { (child, other) };
            (Link::branch(left, right), added)
        }
    }
}

/// Two leaves that share a place: branches until their bits part.
fn part(old: Placed, new: Placed, depth: usize) -> Link {
    match (bit(&old.path, depth), bit(&new.path, depth)) {
        (false, false) => Link::branch(part(old, new, depth + 1), Link::Empty),
        (true, true) => Link::branch(Link::Empty, part(old, new, depth + 1)),
        (false, true) => Link::branch(Link::Leaf(old.leaf), Link::Leaf(new.leaf)),
        (true, false) => Link::branch(Link::Leaf(new.leaf), Link::Leaf(old.leaf)),
    }
}

/// The tree of leaves whose paths strictly ascend.
pub(crate) fn build(leaves: &[Placed], depth: usize, join: &impl Join) -> Link {
    match leaves {
        [] => Link::Empty,
        [one] => Link::Leaf(one.leaf.clone()),
        _ => {
            let middle = leaves.partition_point(|leaf| !bit(&leaf.path, depth));
            let (left, right) = leaves.split_at(middle);
            let (left, right) = if depth < FORKS && leaves.len() >= WORTH_A_FORK {
                join.join(|| build(left, depth + 1, join), || build(right, depth + 1, join))
            } else {
                (build(left, depth + 1, join), build(right, depth + 1, join))
            };
            Link::branch(left, right)
        }
    }
}

/// The leaves of a tree, in the order of their paths.
pub(crate) struct InOrder<'a>(Vec<&'a Link>);

impl<'a> InOrder<'a> {
    pub(crate) fn new(root: &'a Link) -> Self {
        Self(Vec::from([root]))
    }
}

impl<'a> Iterator for InOrder<'a> {
    type Item = &'a Leaf;

    fn next(&mut self) -> Option<&'a Leaf> {
        loop {
            match self.0.pop()? {
                Link::Empty => {}
                Link::Leaf(leaf) => return Some(leaf),
                Link::Branch(branch) => self.0.extend([&branch.right, &branch.left]),
            }
        }
    }
}
