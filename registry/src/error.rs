use muster_api::Problem;
use std::fmt::Display;
use std::path::Path;

/// What went wrong, by who is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Whoever called gave something that cannot be used.
    #[error("{0}")]
    Caller(String),
    /// Another node proposed something that no node may accept.
    #[error("{0}")]
    Peer(String),
    /// Whoever runs this node must do something first.
    #[error("{what}; {cure}")]
    Operator {
        /// What is in the way.
        what: String,
        /// What to do about it.
        cure: String,
    },
    /// Whoever runs this node must make room, or make the folder writable.
    #[error("nothing can be written: {0}")]
    Full(String),
    /// The database server cannot be reached, or is starting or ending; nothing was changed.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// The folder is not what this code wrote: a damaged disk, or somebody changed it.
    #[error("the store is damaged: {0}; run `muster ledger audit` and restore a backup")]
    Damaged(String),
    /// The wall clock jumped ahead of the time that passed; the node waits until it is right.
    #[error("the clock went {} s further than the time that passed", ahead_ms / 1_000)]
    Clock {
        /// How far it is ahead.
        ahead_ms: u64,
    },
    /// The node has no head yet that a quorum signed: nobody's fault.
    #[error("the node has no signed head to answer by yet")]
    Starting,
    /// The node is shutting down: nobody's fault.
    #[error("the node is shutting down")]
    Closing,
    /// A mistake of ours.
    #[error("internal: {0}")]
    Us(String),
}

/// What to do about a clock that jumped.
pub(crate) const CLOCK_CURE: &str = "whoever runs the node must set its clock right; if it is \
    right, because the machine was suspended, restart the node";

impl Error {
    pub(crate) fn operator(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Operator { what: what.into(), cure: cure.into() }
    }

    /// A file or folder that cannot be used.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let what = format!("{}: {error}", path.display());
        match error.kind() {
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge | K::ReadOnlyFilesystem => {
                Self::Full(what)
            }
            _ => Self::operator(what, "the node needs a folder of its own that it may write to"),
        }
    }

    pub(crate) fn damaged(what: impl Display) -> Self {
        Self::Damaged(what.to_string())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let title = error.to_string();
        match error {
            Error::Caller(_) => Self::new(400, "malformed", title),
            Error::Peer(_) => Self::new(502, "peer", title),
            Error::Full(_) => {
                tracing::error!("{title}");
                Self::new(507, "disk-full", "the node's disk is full, or takes no writes")
                    .cure("nothing was changed; the node's operator must make room, then try again")
            }
            Error::Away(_) => {
                tracing::error!("{title}");
                Self::new(503, "store-away", "the node's database cannot be reached")
                    .cure("nothing was changed; try again when the node's operator has it back")
            }
            Error::Clock { .. } => Self::new(503, "clock", title).cure(CLOCK_CURE),
            Error::Starting => Self::new(503, Self::STARTING, title)
                .cure("it waits for the signatures of the network's validators; try again later"),
            Error::Closing => Self::new(503, "closing", title).cure("try again when it is back"),
            // What the disk says is for the operator's log, not for whoever asked.
            Error::Operator { .. } | Error::Damaged(_) => {
                tracing::error!("{title}");
                Self::new(500, "store", "the node's store cannot be used")
            }
            Error::Us(_) => {
                tracing::error!("{title}");
                Self::new(500, "internal", "the node made a mistake")
            }
        }
    }
}
