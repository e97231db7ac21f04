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

    /// Requests of one peer that are worked at or answered at the same time: two lanes of what is told,
    /// what is asked, and as many again for a peer that connected twice.
    pub const REQUESTS_AT_ONCE: usize = 16 => "requests";

    /// Questions to one peer at the same time. Each may hold an answer of two megabytes.
    pub const ASKED_AT_ONCE: usize = 4 => "requests";

    /// Questions of all peers at the same time: 128 MiB of answers in memory.
    pub const ANSWERED_AT_ONCE: usize = 64 => "requests";

    /// Requests of all peers that are worked at: beyond it everybody hears that the node is busy.
    pub const WORKED_AT: usize = 512 => "requests";

    /// Requests of one peer a second. An honest one tells at most 500 times and asks less often.
    pub const REQUESTS_A_SECOND: u32 = 1_000 => "requests";

    /// Bytes of requests of one peer a second: what two lanes of full requests never reach.
    pub const REQUEST_BYTES_A_SECOND: u32 = 32 << 20 => "bytes";

    /// Bytes of answers to one peer a second: a million leaves in six seconds.
    pub const ANSWER_BYTES_A_SECOND: u32 = 32 << 20 => "bytes";

    /// How often a peer may hear in a second that it asks too much, before its connections are closed.
    /// An honest one waits a quarter of a second after each.
    pub const BUSY_ANSWERS_A_SECOND: u32 = 100 => "answers";

    /// Streams of one connection: requests of both sides and those that are being opened. With windows
    /// of 256 KiB this bounds what a peer can make this node hold.
    pub const STREAMS: usize = 64 => "streams";

    /// Bytes that all streams of one connection may have unread.
    pub const UNREAD_BYTES: usize = 32 << 20 => "bytes";

    /// Connections of nodes that this node does not dial.
    pub const STRANGERS: usize = 64 => "connections";

    /// Connections from one address, or one /64 of IPv6. Not for loopback, nor for addresses of peers
    /// that this node dials: proxies and tests have many nodes behind one.
    pub const STRANGERS_OF_ONE_ADDRESS: usize = 8 => "connections";

    /// Connections from addresses of peers that this node dials: 128 validators, twice each.
    pub const CONFIGURED_CONNECTIONS: usize = 256 => "connections";

    /// Peers that a node is told to dial: as many as there may be validators.
    pub const CONFIGURED_PEERS: usize = 128 => "peers";

    /// Addresses of one name that are tried.
    pub const ADDRESSES_OF_A_NAME: usize = 16 => "addresses";

    /// Peers that are refused for what they did, for a while. The oldest is forgotten first.
    pub const REFUSED_PEERS: usize = 1_024 => "peers";

    /// Operations that wait to be told to one peer: more than a node keeps. A peer that reads so slowly
    /// is disconnected, and hears when it is back what still waits.
    pub const LANE_MESSAGES: usize = 16_384 => "messages";

    /// Bytes of operations that wait to be told to one peer.
    pub const LANE_BYTES: usize = 16 << 20 => "bytes";

    /// Votes, signatures and beats that wait to be told to one peer: four of each validator.
    pub const URGENT_MESSAGES: usize = 1_024 => "messages";

    /// Bytes of votes, signatures and beats that wait to be told to one peer.
    pub const URGENT_BYTES: usize = 4 << 20 => "bytes";

    /// Questions of this node that wait for its swarm.
    pub const QUESTIONS: usize = 256 => "questions";

    /// Comings and goings of peers that a reader may be behind.
    pub const CHANGES: usize = 256 => "changes";

    /// How often requests to a peer may fail in a row before its connections are closed.
    pub const FAILURES_IN_A_ROW: u32 = 5 => "failures";

    /// How long a node waits for an answer of another: two megabytes pass in it at 2 Mbit/s.
    pub const ANSWER_WITHIN: Duration = Duration::from_secs(10) => "milliseconds";

    /// How long a request is worked at before its peer hears that this node is busy: a little less than
    /// it waits.
    pub const WORK_WITHIN: Duration = Duration::from_secs(8) => "milliseconds";

    /// How long a connection may take until both sides know each other.
    pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10) => "milliseconds";

    /// How long a connection may stay without a request. An honest peer tells its status each second.
    pub const IDLE: Duration = Duration::from_secs(20) => "milliseconds";

    /// How often a node tells where it stands.
    pub const STATUS_EVERY: Duration = Duration::from_secs(1) => "milliseconds";

    /// Shortest time between two requests of one lane: what is said meanwhile goes in one.
    pub const LANE_PACE: Duration = Duration::from_millis(4) => "milliseconds";

    /// The same of operations. The first goes at once; under load a node then works at dozens at a
    /// time, and waking up for each would cost more than the work.
    pub const OPERATIONS_PACE: Duration = Duration::from_millis(20) => "milliseconds";

    /// How long a node leaves a peer alone that said it was busy.
    pub const BUSY_PAUSE: Duration = Duration::from_millis(250) => "milliseconds";

    /// Pause before a peer is dialled again, doubled with each failure.
    pub const REDIAL_FIRST: Duration = Duration::from_millis(500) => "milliseconds";

    /// Longest pause before a peer is dialled again.
    pub const REDIAL_LAST: Duration = Duration::from_secs(10) => "milliseconds";

    /// How long a peer is refused that broke a rule: long enough to cost it something, short enough
    /// for an operator who mends it.
    pub const REFUSED_FOR: Duration = Duration::from_secs(30) => "milliseconds";

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

    /// How far it may fall behind before it stops the engine and fetches pages instead.
    pub const BEHIND: u64 = 64 => "blocks";

    /// How long a validator that decides nothing waits before it stops the engine and asks a peer that
    /// merely says it is ahead: often enough to come back after the whole set was changed, so seldom
    /// that a liar costs it nothing.
    pub const FORGOTTEN: Duration = Duration::from_secs(300) => "milliseconds";

    /// For how much longer than now promises must hold that a block counts, in milliseconds: rounds
    /// of consensus take that long.
    pub const PROMISE_MARGIN_MS: u64 = 5_000 => "milliseconds";

    /// Bundles that are fetched at once: as many as are staged together (`muster_registry`).
    pub const BUNDLES_AT_ONCE: usize = 16 => "bundles";

    /// How long after its last signature a validator counts as there, in milliseconds: two heartbeats
    /// and some.
    pub const PRESENT_MS: u64 = 25_000 => "milliseconds";

    /// Proofs of what validators did wrong that are kept: the first say all.
    pub const EVIDENCES: usize = 256 => "files";

    /// How often whoever waits looks around even without news: what a lost message costs.
    pub const LOOK: Duration = Duration::from_secs(1) => "milliseconds";

    /// How long after leaves could not be had they are asked for again.
    pub const LEAVES_RETRY: Duration = Duration::from_secs(2) => "milliseconds";

    /// How long a batch that cannot be voted for is left alone.
    pub const BATCH_REFUSED: Duration = Duration::from_secs(600) => "milliseconds";
}

/// As many of these entries as one answer holds.
#[cfg(feature = "nodes")]
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
