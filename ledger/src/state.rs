//! The state: an authenticated map. Its root is that of a Jellyfish Merkle tree with SHA-256
//! (crate `jmt` 0.12, which the tests use as oracle): a binary tree over the hashed keys in
//! which a subtree with one leaf is that leaf. The tree is persistent: a clone costs nothing
//! and stays as it was, so a commit that fails leaves no trace and readers never wait.

use crate::{BatchId, Changes, Error, GrantId, View, limits, merkle};
use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Inception, PublicKey, sha256};

type Hash = [u8; 32];

const LEAF_DOMAIN: &[u8] = b"JMT::LeafNode";
const INTERNAL_DOMAIN: &[u8] = b"JMT::IntrnalNode";
const EMPTY: Hash = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";

/// Where a record stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StateKey {
    /// The rules of the network.
    Rules,
    /// The validators.
    Validators,
    /// An organisation.
    Organisation(Did),
    /// A grant.
    Grant(GrantId),
    /// A batch.
    Batch(BatchId),
    /// A device that changed since enrolment.
    Device(Did),
    /// A key that entered by an operation, and whose it is.
    Key([u8; 32]),
}

impl StateKey {
    /// The place of a key: the digest of the DID that a device with this key and nothing else
    /// has, so that one comparison tells whether a key is on the ledger as either.
    pub fn of_key(key: &PublicKey) -> Self {
        Self::Key(*Did::of(&Inception::from_key(*key)).digest())
    }

    /// The bytes that are hashed to place the record: a tag, then the id.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (tag, id): (u8, &[u8]) = match self {
            Self::Rules => (1, &[]),
            Self::Validators => (2, &[]),
            Self::Organisation(did) => (3, did.digest()),
            Self::Grant(id) => (4, &id.0),
            Self::Batch(id) => (5, &id.0),
            Self::Device(did) => (6, did.digest()),
            Self::Key(digest) => (7, digest),
        };
        [&[tag], id].concat()
    }

    /// Back from its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, id) = bytes.split_first()?;
        let digest = || <[u8; 32]>::try_from(id).ok();
        Some(match tag {
            1 if id.is_empty() => Self::Rules,
            2 if id.is_empty() => Self::Validators,
            3 => Self::Organisation(Did::from_digest(digest()?)),
            4 => Self::Grant(GrantId(digest()?)),
            5 => Self::Batch(BatchId(digest()?)),
            6 => Self::Device(Did::from_digest(digest()?)),
            7 => Self::Key(digest()?),
            _ => return None,
        })
    }

    fn path(&self) -> Hash {
        sha256(&[&self.to_bytes()])
    }
}

/// The state of the ledger after some operation.
#[derive(Clone, Default)]
pub struct State {
    root: Link,
    len: usize,
}

type Link = Option<Arc<Node>>;

enum Node {
    Leaf { path: Hash, key: StateKey, value: Arc<[u8]>, hash: Hash },
    Branch { left: Link, right: Link, hash: Hash },
}

impl Node {
    fn leaf(path: Hash, key: StateKey, value: Arc<[u8]>) -> Self {
        let hash = leaf_hash(&path, &sha256(&[&value]));
        Self::Leaf { path, key, value, hash }
    }

    fn branch(left: Link, right: Link) -> Self {
        let hash = node_hash(&hash_of(&left), &hash_of(&right));
        Self::Branch { left, right, hash }
    }
}

fn leaf_hash(path: &Hash, value_hash: &Hash) -> Hash {
    sha256(&[LEAF_DOMAIN, path, value_hash])
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[INTERNAL_DOMAIN, left, right])
}

fn hash_of(link: &Link) -> Hash {
    match link.as_deref() {
        None => EMPTY,
        Some(Node::Leaf { hash, .. } | Node::Branch { hash, .. }) => *hash,
    }
}

fn bit(path: &Hash, depth: usize) -> bool {
    path[depth / 8] >> (7 - depth % 8) & 1 == 1
}

impl State {
    /// The root.
    pub fn root(&self) -> Hash {
        hash_of(&self.root)
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The state after some changes; this one stays as it is.
    pub fn with(&self, changes: &Changes) -> Self {
        let mut state = self.clone();
        for (key, value) in &changes.0 {
            let leaf = Node::leaf(key.path(), *key, value.clone());
            let (root, added) = insert(&state.root, leaf, 0);
            state.root = Some(root);
            state.len += usize::from(added);
        }
        state
    }

    /// All records, in the order of the tree.
    pub fn iter(&self) -> impl Iterator<Item = (StateKey, &[u8])> {
        let mut stack: Vec<&Node> = self.root.as_deref().into_iter().collect();
        core::iter::from_fn(move || {
            loop {
                match stack.pop()? {
                    Node::Leaf { key, value, .. } => return Some((*key, &value[..])),
                    Node::Branch { left, right, .. } => {
                        stack.extend(right.as_deref());
                        stack.extend(left.as_deref());
                    }
                }
            }
        })
    }

    /// Proves what the state holds, or does not hold, at a key.
    pub fn prove(&self, key: &StateKey) -> StateProof {
        let path = key.path();
        let mut siblings = Vec::new();
        let mut link = &self.root;
        let mut other = None;
        for depth in 0.. {
            match link.as_deref() {
                None => break,
                Some(Node::Leaf { path: found, value, .. }) => {
                    if *found != path {
                        other = Some((*found, sha256(&[value])));
                    }
                    break;
                }
                Some(Node::Branch { left, right, .. }) => {
                    let (next, sibling) =
                        if bit(&path, depth) { (right, left) } else { (left, right) };
                    siblings.push(hash_of(sibling));
                    link = next;
                }
            }
        }
        siblings.reverse();
        StateProof { siblings, other }
    }
}

impl View for State {
    fn record(&self, key: &StateKey) -> Option<Arc<[u8]>> {
        let path = key.path();
        let mut link = &self.root;
        for depth in 0.. {
            match link.as_deref()? {
                Node::Leaf { path: found, value, .. } => {
                    return (*found == path).then(|| value.clone());
                }
                Node::Branch { left, right, .. } => {
                    link = if bit(&path, depth) { right } else { left };
                }
            }
        }
        None
    }
}

/// Inserts or replaces a leaf; says whether the tree grew.
fn insert(link: &Link, leaf: Node, depth: usize) -> (Arc<Node>, bool) {
    let Node::Leaf { path, .. } = &leaf else { unreachable!("only leaves are inserted") };
    match link.as_deref() {
        None => (Arc::new(leaf), true),
        Some(Node::Leaf { path: found, .. }) if found == path => (Arc::new(leaf), false),
        Some(Node::Leaf { path: found, .. }) => {
            // Two leaves share this place: push the old one down until their bits part.
            let (old, old_right, new_right) = (link.clone(), bit(found, depth), bit(path, depth));
            let branch = match (old_right, new_right) {
                (false, false) => Node::branch(Some(insert(&old, leaf, depth + 1).0), None),
                (true, true) => Node::branch(None, Some(insert(&old, leaf, depth + 1).0)),
                (false, true) => Node::branch(old, Some(Arc::new(leaf))),
                (true, false) => Node::branch(Some(Arc::new(leaf)), old),
            };
            (Arc::new(branch), true)
        }
        Some(Node::Branch { left, right, .. }) => {
            let right_side = bit(path, depth);
            let (child, added) = insert(if right_side { right } else { left }, leaf, depth + 1);
            let branch = if right_side {
                Node::branch(left.clone(), Some(child))
            } else {
                Node::branch(Some(child), right.clone())
            };
            (Arc::new(branch), added)
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({} records)", self.len)
    }
}

/// Proof of what a state holds at a key, or that it holds nothing there (*unchanged since
/// enrolment*, for a device).
///
/// CBOR map: 1 siblings from the leaf upwards (one byte string), optional 2 the other leaf that
/// stands in the place: `[hashed key, hashed value]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateProof {
    siblings: Vec<Hash>,
    other: Option<(Hash, Hash)>,
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
