//! The bounds of what validators tell each other, each with its reason.

muster_ledger::limits! {
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
}
