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
}

/// How long a node waits for an answer of another: a page of two megabytes passes in it at 2 Mbit/s.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
