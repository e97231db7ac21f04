use muster_api::ClientError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a gateway does not start. What happens later is in its status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operator named no node.
    #[error("no node to follow: name at least one")]
    NoNodes,
    /// The operator named a node that cannot be reached in this way.
    #[error("node {0}")]
    Node(#[from] ClientError),
    /// The genesis is not one (the operator's fault).
    #[error("genesis: {0}")]
    Genesis(muster_ledger::Refusal),
    /// The folder cannot be used (the operator's or the machine's fault).
    #[error("{path}: {error}")]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Two gateways on one folder (the operator's fault).
    #[error("{0} is in use by another gateway: give each its own folder")]
    InUse(PathBuf),
    /// The folder was made for another network (the operator's fault).
    #[error("{0} belongs to another network: give the genesis it was made with, or another folder")]
    OtherNetwork(PathBuf),
    /// Another version wrote the folder (the operator's fault).
    #[error(
        "{dir} is of format {found} and this muster reads format {ours}: use the version that wrote \
         it or a newer one, or give this one a folder of its own, which it fills from a node"
    )]
    OtherFormat {
        /// The folder.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// That of this code.
        ours: u32,
    },
    /// The folder's content is not what was verified (the machine's fault, or somebody's).
    #[error("{path}: {why}; move the folder away and let the gateway follow anew")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Nothing can be checked before a head is (the operator's fault).
    #[error("no head of the ledger is verified yet: connect to a node first")]
    NoHead,
    /// The gateway was closed (the caller's fault).
    #[error("the gateway is closed")]
    Closed,
    /// More devices than the folder may hold (the operator's fault).
    #[error("at most {most} devices can be loaded: give the site its own devices only")]
    TooManyDevices {
        /// The bound.
        most: u64,
    },
    /// A topic file cannot be read (the operator's fault).
    #[error("topic rules, line {line}: {reason}; {cure}")]
    TopicRule {
        /// Which line; 0 is the whole file.
        line: usize,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        cure: &'static str,
    },
    /// Away for longer than the trust period: old validator keys may be anybody's by now.
    #[error(
        "the last verified head (size {size}) is {days} days old, more than the trust period \
         allows: pin a later head that you know from another source"
    )]
    TrustPeriod {
        /// Its size.
        size: u64,
        /// Its age in days.
        days: u64,
    },
}

impl Error {
    pub(crate) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Folder { path, error }
    }

    pub(crate) fn damaged(path: &Path, why: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }
}
