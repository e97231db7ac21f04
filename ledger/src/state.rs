//! The state: an authenticated map. Its root is that of a Jellyfish Merkle tree with SHA-256
//! (crate `jmt` 0.12, which the tests use as oracle). The tree is persistent: a clone costs nothing
//! and stays as it was, so a commit that fails leaves no trace and readers never wait.

use crate::filter::Filter;
use crate::tree::{Hash, InOrder, Join, Leaf, Link, Placed, build, insert};
use crate::{BatchId, Changes, GrantId, ProposalId, Refusal, StateProof, View};
use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use muster_identity::cbor::Decode;
use muster_identity::{Did, Inception, PublicKey, sha256};

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
    /// The protocol version, from its first change on.
    Protocol,
    /// What is counted of an organisation.
    Oversight(Did),
    /// A proposal.
    Proposal(ProposalId),
    /// The organisations of the network, from the first admission on.
    Members,
}

impl StateKey {
    /// The place of a key: the digest of the DID that a device with this key and nothing else
    /// has, so that one comparison tells whether a key is on the ledger as either.
    pub fn of_key(key: &PublicKey) -> Self {
        Self::Key(*Did::of(&Inception::from_key(*key)).digest())
    }

    /// The bytes that are hashed to place the record: a tag, then the id.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (tag, id) = self.parts();
        [&[tag], id].concat()
    }

    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Rules => (1, &[]),
            Self::Validators => (2, &[]),
            Self::Organisation(did) => (3, did.digest()),
            Self::Grant(id) => (4, &id.0),
            Self::Batch(id) => (5, &id.0),
            Self::Device(did) => (6, did.digest()),
            Self::Key(digest) => (7, digest),
            Self::Protocol => (8, &[]),
            Self::Oversight(did) => (9, did.digest()),
            Self::Proposal(id) => (10, &id.0),
            Self::Members => (11, &[]),
        }
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
            8 if id.is_empty() => Self::Protocol,
            9 => Self::Oversight(Did::from_digest(digest()?)),
            10 => Self::Proposal(ProposalId(digest()?)),
            11 if id.is_empty() => Self::Members,
            _ => return None,
        })
    }

    pub(crate) fn path(&self) -> Hash {
        let (tag, id) = self.parts();
        sha256(&[&[tag], id])
    }
}

/// The state of the ledger after some operation.
#[derive(Clone, Default)]
pub struct State {
    root: Link,
    len: usize,
    /// Shared by states that follow each other: it knows the devices of each of them.
    changed: Arc<Filter>,
}

impl State {
    /// The root.
    pub fn root(&self) -> Hash {
        self.root.hash()
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
        let leaves = changes.0.iter().map(|(key, value)| Placed::new(*key, value.clone()));
        if self.is_empty() {
            // A key stands once among changes, so no two leaves have one place.
            let mut leaves: Vec<Placed> = leaves.collect();
            leaves.sort_by_key(|leaf| leaf.path);
            return Self::of_sorted(&leaves, &crate::tree::Alone);
        }
        let mut state = self.clone();
        for (leaf, key) in leaves.zip(changes.0.keys()) {
            let (root, added) = insert(&state.root, leaf, 0);
            state.root = root;
            state.len += usize::from(added);
            if let (true, StateKey::Device(did)) = (added, key) {
                state.changed.add(did.digest());
            }
        }
        if state.changed.is_full(state.len) {
            state.changed = Arc::new(Filter::of(state.len, devices(&state.root)));
        }
        state
    }

    /// The state that holds these leaves, whose paths strictly ascend: in one pass, without the
    /// nodes that putting one after the other would make and throw away.
    pub(crate) fn of_sorted(leaves: &[Placed], join: &impl Join) -> Self {
        let root = build(leaves, 0, join);
        let changed = Arc::new(Filter::of(leaves.len(), devices(&root)));
        Self { root, len: leaves.len(), changed }
    }

    fn find(&self, key: &StateKey) -> Option<&Leaf> {
        match key {
            StateKey::Device(did) if !self.changed.may_hold(did.digest()) => None,
            _ => self.root.find(key, &key.path()),
        }
    }

    /// All records, in the order of the tree.
    pub fn iter(&self) -> impl Iterator<Item = (StateKey, &[u8])> {
        InOrder::new(&self.root).map(|leaf| (leaf.key, &leaf.value[..]))
    }

    /// Proves what the state holds, or does not hold, at a key.
    pub fn prove(&self, key: &StateKey) -> StateProof {
        let (mut siblings, leaf) = self.root.way(&key.path());
        siblings.reverse();
        let other = leaf.filter(|leaf| leaf.key != *key);
        let other = other.map(|leaf| (leaf.key.path(), sha256(&[&leaf.value])));
        StateProof { siblings, other }
    }
}

/// The devices below a link.
fn devices(root: &Link) -> impl Iterator<Item = &[u8; 32]> {
    InOrder::new(root).filter_map(|leaf| match &leaf.key {
        StateKey::Device(did) => Some(did.digest()),
        _ => None,
    })
}

impl View for State {
    fn record(&self, key: &StateKey) -> Option<Arc<[u8]>> {
        self.find(key).map(|leaf| leaf.value.clone())
    }

    /// Reads in place: who only looks does not touch the count of those who hold the bytes, which
    /// lies elsewhere in memory and is every core's.
    fn read<T: Decode>(&self, key: StateKey) -> Result<Option<T>, Refusal> {
        let leaf = self.find(&key);
        leaf.map(|leaf| T::from_cbor_again(&leaf.value).map_err(|_| Refusal::Corrupt("a record")))
            .transpose()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({} records)", self.len)
    }
}
