//! Bounds of what other nodes may ask of this one, each with its reason.

/// Operations that are given or told at once: a quarter of a full block.
pub(crate) const TOLD_AT_ONCE: usize = 256;

/// Of the operations that may wait, those that other nodes brought: a quarter stays free for the
/// clients of this node, whoever floods it.
pub(crate) const TOLD_WAITING: usize = muster_api::limits::WAITING_OPERATIONS / 4 * 3;

/// With more than so many waiting, what peers tell and the state refuses is not kept.
pub(crate) const TOLD_REFUSED: usize = 256;

/// How long an operation from a peer that the state refuses is kept, in milliseconds: this node
/// may be some blocks behind the one that took it.
pub(crate) const TOLD_PATIENCE_MS: u64 = 10_000;

/// How far this node's clock may be ahead of the time that the network signed last, in
/// milliseconds, and still tell what ran out: three heartbeats.
pub(crate) const CLOCK_APART_MS: u64 = 3 * muster_ledger::limits::HEARTBEAT_MS;

/// How often what waits is judged anew though nothing came: holds and operations run out.
pub(crate) const LOOK_AGAIN_SECONDS: u64 = 1;

/// Decided operations that are remembered, so that a peer's late word is no news: four full blocks.
pub(crate) const REMEMBERED: usize = 4 * muster_ledger::limits::BLOCK_OPERATIONS;

/// Decided blocks whose head may still be published: beyond that signatures are far behind, and the
/// newest head is published next.
pub(crate) const UNSIGNED_BLOCKS: usize = 64;

/// Bundles of leaves that are staged by one transaction: as many rows as a client's upload has.
pub const BUNDLES_TOGETHER: usize =
    muster_api::limits::UPLOAD_ROWS / muster_ledger::limits::BUNDLE_LEAVES as usize;

/// Batches of others that are fetched or kept before they are decided: with full batches some 4 GB.
pub(crate) const FOREIGN_BATCHES: usize = 16;

/// Of those, the ones of one organisation: nobody takes all places.
pub(crate) const FOREIGN_OF_ONE: usize = 4;

/// Decided batches without leaves that are named at once; the others follow.
pub(crate) const WANTED_AT_ONCE: usize = 64;

/// Furthest that a promise may reach beyond the ledger's time, in milliseconds (10 min): for so
/// long a proposer that never comes back keeps a key from another batch.
pub const PROMISE_MS: u64 = 10 * 60 * 1_000;

/// Promises in force at once: as many as may be fetched, and the node's own uploads.
pub(crate) const PROMISES: usize = 256;
