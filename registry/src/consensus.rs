//! What orders operations, and what it orders them for. Solo is one implementation; a BFT engine
//! among several nodes is another, behind the same trait.

use crate::Error;
use muster_api::BoxFuture;
use muster_ledger::{Block, Checkpoint, Head, Time, UpgradeAhead};
use std::sync::Arc;
use tokio::sync::watch;

/// The ledger as consensus sees it. Only one task drives it.
pub trait Application: Send + Sync {
    /// Resolves as soon as an operation waits for a block.
    fn waiting(&self) -> BoxFuture<'_, ()>;

    /// The next block, made of waiting operations in their order of arrival; none if all of them
    /// are refused. Those are answered at once.
    fn propose(&self, now: Time) -> BoxFuture<'_, Option<Block>>;

    /// Whether a block that another node proposed may be voted for.
    fn validate<'a>(&'a self, block: &'a Block, now: Time) -> BoxFuture<'a, Result<(), Error>>;

    /// Commits a block that was decided. When it returns, the block is on disk and nothing
    /// undoes it; when it fails, nothing happened.
    fn decide(&self, block: Block) -> BoxFuture<'_, Result<(), Error>>;

    /// The head of what was decided, to be signed at a time.
    fn head(&self, time: Time) -> Result<Head, Error>;

    /// The protocol version that is announced and not known here. Once it is due nothing can be
    /// decided, so no later time is signed: a roll that takes no revocation must not look fresh.
    fn upgrade_ahead(&self) -> Result<Option<UpgradeAhead>, Error>;

    /// Takes the head's checkpoint with a quorum's signatures, shows it to readers and answers
    /// whoever waits for it.
    fn publish(&self, checkpoint: &Checkpoint) -> Result<(), Error>;

    /// Nothing may be decided or signed for now: operations that wait are refused.
    fn halted<'a>(&'a self, error: &'a Error) -> BoxFuture<'a, ()>;

    /// The head cannot be signed for now: whoever waits for it is told so.
    fn unsigned(&self, error: &Error);
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
