use muster_api::{ClientError, Problem};
use muster_identity::SignerError;

/// Why nothing (more) was enrolled. What is wrong with a single row is a [`crate::RowFault`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Caller: the file cannot be used as a manifest.
    #[error("{file}: {why}; {cure}")]
    Manifest {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
        /// What to do.
        cure: String,
    },
    /// Caller: the file holds private key material. Its value is never repeated.
    #[error(
        "{file}, {unit} {line}: `{field}` holds private key material; nothing was stored. A private \
         key never leaves its device: remove it from the file, and treat the key as disclosed"
    )]
    PrivateKey {
        /// The file.
        file: String,
        /// Line or entry, from 1.
        line: u64,
        /// Which of them.
        unit: Unit,
        /// The field, as it is called in the file.
        field: String,
    },
    /// Caller: an argument that cannot be.
    #[error("{what}: {why}")]
    Argument {
        /// The argument.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Caller: no grant lets the organisation enrol this.
    #[error("{0}")]
    Grant(String),
    /// Caller: the files hold more new devices than the grant has left. Nothing was enrolled.
    #[error(
        "the grant {grant} allows {allowed} devices and {used} are enrolled, so {} are left; the \
         file asks for {asked}. Nothing was enrolled: ask for a larger grant or split the file",
        allowed.saturating_sub(*used)
    )]
    GrantExceeded {
        /// Its id.
        grant: String,
        /// Devices in all.
        allowed: u64,
        /// Devices enrolled.
        used: u64,
        /// New devices of this command.
        asked: u64,
    },
    /// Caller: the node refused; operator, if it could not do better (status 500 and above).
    #[error("the node refused: {0}")]
    Refused(Problem),
    /// Peer: the node said something that cannot be true.
    #[error("the node cannot be trusted with this: {what}: ours {ours}, the node's {theirs}")]
    Peer {
        /// What differs.
        what: &'static str,
        /// What we have.
        ours: String,
        /// What the node has.
        theirs: String,
    },
    /// Operator: the node cannot be reached, or answers in another language.
    #[error("{0}; run the command again with --resume, nothing is enrolled twice")]
    Node(ClientError),
    /// Operator: a file cannot be read or written.
    #[error("{file}: {error}")]
    File {
        /// The file.
        file: String,
        /// What happened.
        error: std::io::Error,
    },
    /// Operator: the key could not be used.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Some batches of the command were enrolled, then one failed.
    #[error("{devices} devices were enrolled, then: {error}; run the command again, it goes on")]
    Partly {
        /// Devices enrolled before.
        devices: u64,
        /// What happened then.
        error: Box<Error>,
    },
    /// Us: a bug.
    #[error("internal fault: {0}")]
    Internal(String),
}

/// What the rows of a file are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Lines.
    #[default]
    Line,
    /// Entries or documents, in formats that are not made of lines.
    Entry,
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Entry => "entry",
        })
    }
}

/// Who is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever gave the command: the file, an argument, a missing right.
    Caller,
    /// The node.
    Peer,
    /// Whoever runs the machines: network, disk, key slot.
    Operator,
    /// This program.
    Us,
}

impl Error {
    /// Who is at fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Manifest { .. }
            | Self::PrivateKey { .. }
            | Self::Argument { .. }
            | Self::Grant(_)
            | Self::GrantExceeded { .. } => Fault::Caller,
            Self::Refused(problem) if problem.status < 500 => Fault::Caller,
            Self::Peer { .. } => Fault::Peer,
            Self::Refused(_) | Self::Node(_) | Self::File { .. } | Self::Signer(_) => {
                Fault::Operator
            }
            Self::Partly { error, .. } => error.fault(),
            Self::Internal(_) => Fault::Us,
        }
    }

    /// Whether the command may go on where it was, by `--resume`: nothing is wrong with it.
    pub fn may_go_on(&self) -> bool {
        match self {
            Self::Node(_) => true,
            Self::Refused(problem) => problem.status >= 500,
            Self::Partly { error, .. } => error.may_go_on(),
            _ => false,
        }
    }

    /// A stable word for scripts.
    pub fn code(&self) -> &str {
        match self {
            Self::Manifest { .. } => "manifest",
            Self::PrivateKey { .. } => "private-key",
            Self::Argument { .. } => "argument",
            Self::Grant(_) => "grant",
            Self::GrantExceeded { .. } => "grant-exceeded",
            Self::Refused(problem) => problem.code(),
            Self::Peer { .. } => "peer",
            Self::Node(_) => "node",
            Self::File { .. } => "file",
            Self::Signer(_) => "signer",
            Self::Partly { error, .. } => error.code(),
            Self::Internal(_) => "internal",
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(problem) => Self::Refused(problem),
            other => Self::Node(other),
        }
    }
}
