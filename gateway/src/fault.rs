use muster_api::ClientError;
use muster_ledger::{ChainFault, NoteFault, SnapshotFault};
use std::io;

/// What is wrong with a node's answer, or with what the quorum signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The node cannot be reached or answers no feed.
    #[error("{0}")]
    Unreachable(#[from] ClientError),
    /// The node does not answer, or nothing new for longer than a heartbeat.
    #[error("stalled: {0}")]
    Stalled(&'static str),
    /// A true head, signed long ago by the machine's clock: a node that is cut off, or that holds
    /// newer ones back.
    #[error("late: its newest head was signed {} s ago", .0 / 1_000)]
    Late(u64),
    /// The feed contradicts itself.
    #[error("malformed feed: {0}")]
    Malformed(String),
    /// A head that this network's quorum did not sign.
    #[error("{0}")]
    Unsigned(NoteFault),
    /// An honest old head: smaller than ours, and signed before it.
    #[error("behind: its head of size {theirs} is older than ours of size {ours}")]
    Behind { theirs: u64, ours: u64 },
    /// A head smaller than ours but signed after it: history was taken back.
    #[error("rolled back: a head of size {theirs} was signed after ours of size {ours}")]
    RolledBack { theirs: u64, ours: u64 },
    /// Another ledger of the same size.
    #[error("fork: another ledger at size {0} was signed")]
    Forked(u64),
    /// A snapshot that is not what its checkpoint states. Nobody signed it, so it convicts nobody.
    #[error("{0}")]
    Snapshot(#[from] SnapshotFault),
    /// A true snapshot that is of no use here.
    #[error("snapshot: {0}")]
    Useless(&'static str),
    /// A signed head that the operations do not give.
    #[error("{0}")]
    Mismatch(ChainFault),
    /// A signed head that does not contain the operations: it continues another ledger than
    /// ours, or the node made them up. Only the log itself could tell which.
    #[error(
        "the head is signed but does not contain the operations{0}: a fork, or false operations"
    )]
    Apart(String),
    /// The pinned head is not on this ledger.
    #[error("the ledger does not have the pinned head of size {0}")]
    Pinned(u64),
    /// A quorum signed an invalid step: nobody can be followed past it.
    #[error("the quorum signed an invalid operation: {0}")]
    Invalid(String),
    /// A step of a later protocol: this program cannot follow past it.
    #[error("upgrade needed: {0}")]
    Upgrade(String),
    /// The last verified head is too old to go on from.
    #[error("the last verified head is older than the trust period: pin a later one")]
    TrustPeriod,
    /// The folder cannot be written.
    #[error("the folder cannot be written: {0}")]
    Disk(io::Error),
}

impl Fault {
    /// A stable word for metrics and evidence files.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Stalled(_) => "stalled",
            Self::Late(_) => "late",
            Self::Malformed(_) => "malformed",
            Self::Unsigned(_) => "unsigned",
            Self::Behind { .. } => "behind",
            Self::RolledBack { .. } => "rolled-back",
            Self::Forked(_) => "fork",
            Self::Snapshot(_) | Self::Useless(_) => "snapshot",
            Self::Mismatch(_) => "mismatch",
            Self::Apart(_) => "apart",
            Self::Pinned(_) => "pinned",
            Self::Invalid(_) => "invalid-operation",
            Self::Upgrade(_) => "upgrade-needed",
            Self::TrustPeriod => "trust-period",
            Self::Disk(_) => "disk",
        }
    }

    /// Whether a quorum signed something that contradicts what was verified: worth keeping, and
    /// worth an alarm.
    pub(crate) fn convicts(&self) -> bool {
        matches!(
            self,
            Self::RolledBack { .. }
                | Self::Forked(_)
                | Self::Mismatch(_)
                | Self::Apart(_)
                | Self::Pinned(_)
                | Self::Invalid(_)
        )
    }

    /// Whether no other node can help.
    pub(crate) fn halts(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Upgrade(_) | Self::TrustPeriod)
    }
}
