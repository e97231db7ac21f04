//! Bounds of the consortium, each with its reason.

use std::time::Duration;

muster_ledger::limits! {
    /// Bytes of a request between nodes: four of the largest operations, some 200 ordinary ones.
    pub const REQUEST_BYTES: usize = 64 << 10 => "bytes";

    /// Bytes of an answer between nodes: a bundle of the largest leaves has 1.05 MiB, a page of the
    /// log as much as its sender wants below this.
    pub const ANSWER_BYTES: usize = 2 << 20 => "bytes";

    /// Messages told in one request: more than fit in its bytes, unless they are very short.
    pub const TOLD_AT_ONCE: usize = 256 => "messages";

    /// Entries of the log in one answer: four of the fullest blocks.
    pub const FEED_PAGE: usize = 4_096 => "entries";

    /// Leaves of a bundle, which travels whole and is checked by one path.
    pub const BUNDLE_LEAVES: usize = 256 => "leaves";

    /// Hashes above a bundle: a batch of 2^20 leaves has 4,096 bundles.
    pub const BUNDLE_PATH: usize = 12 => "hashes";

    /// Waiting operations told at once to a node that connects: what fits in an answer.
    pub const PENDING_OPERATIONS: usize = 256 => "operations";

    /// Enrolments in one block: as many as uploads may be open at one node.
    pub const READY_IN_A_BLOCK: usize = 256 => "batches";

    /// Batches that one validator's votes are kept for: those of all open uploads of a few nodes.
    pub const READY_OF_A_VALIDATOR: usize = 1_024 => "batches";

    /// Heads that signatures are gathered for: a few blocks and the heartbeats between them.
    pub const GATHERED_HEADS: usize = 64 => "heads";

    /// How long a validator promises to vote for no batch that shares a key with one it voted for, in
    /// milliseconds: some rounds of consensus. Two factories that enrol one key at once wait so long.
    pub const PROMISE_MS: u64 = 60_000 => "milliseconds";

    /// How long after its time a heartbeat is signed, in milliseconds: so far clocks may differ.
    pub const BEAT_DELAY_MS: u64 = 2_000 => "milliseconds";

    /// Bytes of entries that are held until a signed head confirms them.
    pub const CATCH_UP_BYTES: usize = 256 << 20 => "bytes";

    /// Bytes of entries in one answer, so that it stays below an answer's bound.
    pub const FEED_BYTES: usize = 1 << 20 => "bytes";

    /// How far a validator may be behind and let the engine fetch the rest.
    pub const NEAR: u64 = 16 => "blocks";

    /// How far it may fall behind before it stops the engine and fetches pages instead.
    pub const BEHIND: u64 = 64 => "blocks";

    /// For how much longer than now promises must hold that a block counts, in milliseconds: rounds
    /// of consensus take that long.
    pub const PROMISE_MARGIN_MS: u64 = 5_000 => "milliseconds";

    /// Bundles that are fetched at once: 4,096 leaves, which are staged together.
    pub const BUNDLES_AT_ONCE: usize = 16 => "bundles";

    /// Proofs of what validators did wrong that are kept: the first say all.
    pub const EVIDENCES: usize = 256 => "files";
}

/// How long a node waits for an answer of another: a page of two megabytes passes in it at 2 Mbit/s.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often whoever waits looks around even without news: what a lost message costs.
pub const LOOK: Duration = Duration::from_secs(1);

/// How long after leaves could not be had they are asked for again.
pub const LEAVES_RETRY: Duration = Duration::from_secs(2);

/// How long a batch that cannot be voted for is left alone.
pub const BATCH_REFUSED: Duration = Duration::from_secs(600);

/// As many of these entries as one answer holds.
pub(crate) fn fitting(mut entries: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut bytes = 0;
    let fits = entries.iter().take_while(|entry| {
        bytes += entry.len();
        bytes <= FEED_BYTES
    });
    let count = fits.count().max(1);
    entries.truncate(count);
    entries
}
