use muster_ledger::{Chain, QuorumCheckpoint, State, Time};
use muster_verifier::RollView;
use tokio::time::Instant;

/// What a gateway knows of the ledger: operations it applied itself, confirmed by a quorum.
#[derive(Debug)]
pub struct Roll {
    chain: Chain,
    checkpoint: QuorumCheckpoint,
    received: Instant,
}

impl Roll {
    pub(crate) fn new(chain: Chain, checkpoint: QuorumCheckpoint) -> Self {
        Self { chain, checkpoint, received: Instant::now() }
    }

    /// The ledger as recomputed here.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The checkpoint that confirms it.
    pub fn checkpoint(&self) -> &QuorumCheckpoint {
        &self.checkpoint
    }

    /// Number of log entries.
    pub fn size(&self) -> u64 {
        self.checkpoint.head().size
    }

    /// Roll age: the greater of now − checkpoint time and the monotonic time since receipt, so
    /// that neither a clock set back nor a checkpoint from the future makes it young.
    pub fn age_ms(&self, now: Time) -> u64 {
        now.since(self.checkpoint.head().time).max(self.since_receipt_ms())
    }

    /// When it was verified.
    pub(crate) fn received(&self) -> Instant {
        self.received
    }

    /// Monotonic time since its checkpoint was received, or read from the folder.
    pub(crate) fn since_receipt_ms(&self) -> u64 {
        u64::try_from(self.received.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn view(&self, age_ms: u64) -> RollView<'_, State> {
        RollView {
            network: self.chain.network(),
            state: self.chain.state(),
            checkpoint_time: self.checkpoint.head().time,
            age_ms,
        }
    }
}
