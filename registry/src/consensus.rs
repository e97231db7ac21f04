//! What orders operations, and what it orders them for. Solo is one implementation; a BFT engine
//! among several nodes is another, behind the same trait.

use crate::Error;
use muster_api::BoxFuture;
use muster_identity::{Did, Signer};
use muster_ledger::{
    BatchId, Block, Bundle, Chain, Checkpoint, Genesis, GrantId, Head, QuorumCheckpoint,
    SignedOperation, Time, UpgradeAhead,
};
use std::sync::Arc;
use tokio::sync::watch;

/// Whether the enrolment of a batch may be put in a block now.
pub type MayEnrol<'a> = &'a (dyn Fn(&BatchId) -> bool + Send + Sync);

/// A batch whose leaves this node lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The batch.
    pub batch: BatchId,
    /// Who enrols or enrolled it, whoever owns it by now.
    pub organisation: Did,
    /// Under which grant.
    pub grant: GrantId,
    /// Model of its devices.
    pub model: String,
    /// Number of leaves.
    pub count: u64,
    /// Root of the leaf tree.
    pub root: [u8; 32],
    /// It is on the ledger, so nothing of it can be refused any more.
    pub decided: bool,
}

/// Why a bundle was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The bundle is not the batch's: another peer may have the right one.
    #[error("the bundle is refused: {0}")]
    Peer(String),
    /// The batch can never be ready here, whoever sends it.
    #[error("the batch is refused: {0}")]
    Batch(String),
    /// It cannot be taken now: another announced batch has one of its keys, or there is no room.
    #[error("the batch must wait: {0}")]
    Later(String),
    /// This node cannot take it.
    #[error(transparent)]
    Here(#[from] Error),
}

/// The ledger as consensus sees it. One task drives it; what is asked by `&self` may be asked by
/// others at any time.
pub trait Application: Send + Sync {
    /// The network's genesis.
    fn genesis(&self) -> &Genesis;

    /// What was decided; it may be ahead of what is published.
    fn chain(&self) -> Chain;

    /// The newest head that a quorum signed and that was published here; none before the first.
    fn published(&self) -> Option<QuorumCheckpoint>;

    /// Log entries from a place on, as far as they are decided here.
    fn entries(&self, from: u64, count: u64) -> BoxFuture<'_, Result<Vec<Vec<u8>>, Error>>;

    /// What this node signed last, in this life or an earlier one.
    fn signed(&self) -> Option<Head>;

    /// Resolves as soon as an operation waits that the decided state accepts, and if it is an
    /// enrolment, whose batch `may_enrol`. It takes nothing out. `may_enrol` is asked again
    /// whenever an operation comes or a block is decided, and at least each second.
    fn waiting<'a>(&'a self, may_enrol: MayEnrol<'a>) -> BoxFuture<'a, ()>;

    /// The next block, made of waiting operations in their order of arrival; none if no operation
    /// can be put in one. They go on waiting until a block with them is decided. Those that the
    /// decided state refuses are answered at once.
    fn propose<'a>(&'a self, now: Time, may_enrol: MayEnrol<'a>) -> BoxFuture<'a, Option<Block>>;

    /// Whether a block that another node proposed may be voted for. Whether its enrolments have
    /// the votes that they need is the caller's to check.
    fn validate<'a>(&'a self, block: &'a Block, now: Time) -> BoxFuture<'a, Result<(), Error>>;

    /// Commits a block that was decided, wherever it came from. When it returns, the block is on
    /// disk and nothing undoes it; when it fails, nothing happened. Batches whose leaves are not
    /// here are wanted from then on.
    fn decide(&self, block: Block) -> BoxFuture<'_, Result<(), Error>>;

    /// Commits many blocks in one transaction if they lead to this checkpoint, and publishes it.
    fn catch_up<'a>(
        &'a self,
        blocks: Vec<Block>,
        checkpoint: &'a Checkpoint,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// The head of what was decided, to be signed at a time.
    fn head(&self, time: Time) -> Result<Head, Error>;

    /// Signs a head: one line of its checkpoint. What is about to be signed is on disk before it
    /// is signed, and two heads of one size, a smaller one or an earlier one are refused.
    fn sign(&self, head: &Head, signer: &dyn Signer) -> Result<Checkpoint, Error>;

    /// The protocol version that is announced and not known here. Once it is due nothing can be
    /// decided, so no later time is signed: a roll that takes no revocation must not look fresh.
    fn upgrade_ahead(&self) -> Result<Option<UpgradeAhead>, Error>;

    /// Takes a head's checkpoint with a quorum's signatures, shows it to readers and answers
    /// whoever waits for it. It may be the head of an earlier block than the last one decided; one
    /// that is older than what is published changes nothing.
    fn publish(&self, checkpoint: &Checkpoint) -> Result<(), Error>;

    /// Nothing may be decided or signed for now: operations that wait are refused.
    fn halted<'a>(&'a self, error: &'a Error) -> BoxFuture<'a, ()>;

    /// The head cannot be signed for now: whoever waits for it is told so.
    fn unsigned(&self, error: &Error);

    /// Waits for operations that clients brought to this node since the last call, and gives them.
    fn submitted(&self) -> BoxFuture<'_, Vec<SignedOperation>>;

    /// Takes operations from a peer; gives those that are new. What the state refuses is left out:
    /// whoever tells is not the one who asked for it. [`Error::Peer`] if one is no signed operation,
    /// which an honest peer would have found.
    fn told(
        &self,
        operations: Vec<SignedOperation>,
    ) -> BoxFuture<'_, Result<Vec<SignedOperation>, Error>>;

    /// Some of what waits, in the order of arrival, to be told to a peer that connected.
    fn pending(&self) -> Vec<SignedOperation>;

    /// The highest block that is decided elsewhere for sure. As long as it is above what is decided
    /// here, clients are not told that the state refuses an operation, but that this node is behind.
    fn peers_at(&self, height: u64);

    /// Batches whose leaves this node lacks: announced, or decided.
    fn wanted(&self) -> Vec<Wanted>;

    /// Announced batches that are not decided and whose leaves are here, complete and checked.
    fn ready_here(&self) -> Vec<BatchId>;

    /// Resolves when [`Self::wanted`] or [`Self::ready_here`] may have changed since it resolved
    /// last. One task waits for it.
    fn wants_changed(&self) -> BoxFuture<'_, ()>;

    /// The place of the next bundle of a wanted batch.
    fn next_bundle<'a>(&'a self, batch: &'a BatchId) -> BoxFuture<'a, Result<u64, Error>>;

    /// Leaves of an announced batch that is ready here, or of one on the ledger; none if they are
    /// not here.
    fn bundle<'a>(
        &'a self,
        batch: &'a BatchId,
        index: u64,
    ) -> BoxFuture<'a, Result<Option<Bundle>, Error>>;

    /// Takes bundles of a wanted batch, from a place on, in ascending order: all or none. True: the
    /// last is among them, and the batch is ready. Several are written at once, which costs the
    /// disk as much as one.
    fn take_bundles<'a>(
        &'a self,
        batch: &'a BatchId,
        first: u64,
        bundles: Vec<Bundle>,
    ) -> BoxFuture<'a, Result<bool, Refused>>;

    /// Promises to keep the leaves of a batch that is ready here, and to vote for nothing that
    /// clashes with it, until a moment of the ledger's time. It is on disk when it returns: a vote
    /// is signed after it.
    fn promise<'a>(&'a self, batch: &'a BatchId, until: Time) -> BoxFuture<'a, Result<(), Error>>;

    /// The batches that a block would enrol, in order.
    fn enrolled_by(&self, block: &Block) -> Result<Vec<BatchId>, Error>;

    /// Leaves of a decided batch are missing: nothing is signed and nothing voted for, since keys
    /// cannot be compared.
    fn lacks_leaves(&self) -> bool;
}

/// Drives an application until it is told to close; then finishes what waits.
pub trait Consensus: Send {
    /// Runs.
    fn run(
        self: Box<Self>,
        application: Arc<dyn Application>,
        closing: watch::Receiver<bool>,
    ) -> BoxFuture<'static, ()>;
}

/// Who decides what a node commits.
pub enum Deciding {
    /// This node alone, as the network's only validator.
    Solo {
        /// The validator's key.
        signer: Arc<dyn Signer>,
        /// A change of the validators to the signer's key, for a ledger whose validator's key was
        /// replaced, lost or stolen. Looked at only while the signer is not the validator yet.
        succession: Option<SignedOperation>,
    },
    /// Several nodes. This one may be a validator or not.
    Together(Box<dyn Consensus>),
}
