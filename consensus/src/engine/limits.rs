//! Bounds of the engine, each with its reason.

use std::time::Duration;

muster_ledger::limits! {
    /// Bytes of a proposal: a full block of 1 MiB and as much again for the votes about batches.
    pub const PROPOSAL_BYTES: usize = 2 << 20 => "bytes";

    /// Bytes of one piece of a proposal: far below the 4 MiB of one message, so that other messages
    /// get between.
    pub const PIECE_BYTES: usize = 256 << 10 => "bytes";

    /// Pieces of a proposal, with its head and its end.
    pub const PIECES: u64 = 16 => "pieces";

    /// Proposals that arrive at once from one publisher: this round's, and those sent again.
    pub const STREAMS_OF_ONE: usize = 4 => "streams";

    /// Proposals that arrive at once in all. With their bytes bounded this is at most 64 MiB.
    pub const STREAMS: usize = 32 => "streams";

    /// Proposals of one height that are kept until it is decided: one for each round, and then some
    /// of a proposer that lies.
    pub const UNDECIDED: usize = 32 => "proposals";

    /// Decided proposals that are kept for nodes that lag: who lags more takes pages of the log.
    pub const DECISIONS: usize = 1_024 => "heights";

    /// Bytes of the decided proposals that are kept, beyond which the oldest go.
    pub const DECISIONS_BYTES: u64 = 256 << 20 => "bytes";

    /// Bytes of decided proposals in one answer to a node that lags: below the 10 MiB that one
    /// answer may have.
    pub const ANSWER_BYTES: usize = 6 << 20 => "bytes";

    /// Decided proposals in one answer to a node that lags.
    pub const ANSWER_HEIGHTS: usize = 64 => "heights";

    /// Signatures of a certificate: as many as a network may have validators.
    pub const SIGNATURES: usize = muster_ledger::limits::VALIDATORS => "signatures";

    /// Votes of a round certificate: two kinds of each validator.
    pub const ROUND_VOTES: usize = 2 * muster_ledger::limits::VALIDATORS => "signatures";

    /// Bytes of a libp2p peer id.
    pub const PEER_ID_BYTES: usize = 64 => "bytes";

    /// Bytes of a stream's name.
    pub const STREAM_ID_BYTES: usize = 32 => "bytes";

    /// Things heard from peers that wait to be looked at; a lost one is said again.
    pub const HEARD: usize = 64 => "messages";

    /// Certificates of prevotes that are kept until their proposal comes: those of a few rounds.
    pub const POLKAS: usize = 32 => "certificates";

    /// Bytes of the file of signed votes after which it is written anew.
    pub const SIGN_STATE_BYTES: u64 = 64 << 10 => "bytes";

    /// Connections from one address: several nodes may stand behind one.
    pub const CONNECTIONS_PER_ADDRESS: usize = 64 => "connections";
}

/// How long the host may look for something to propose. The engine waits for the answer and does
/// nothing else meanwhile.
pub const PROPOSE_WITHIN: Duration = Duration::from_millis(400);

/// How long stopping may take before the rest is dropped.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How long to wait before a value that the host could not check is asked for again.
pub const CHECK_AGAIN: Duration = Duration::from_millis(250);
