/// What went wrong, by who is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Whoever called gave something that cannot be used.
    #[error("{0}")]
    Caller(String),
    /// Another node did not answer, or not as it must.
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
    /// The node is shutting down: nobody's fault.
    #[error("the node is shutting down")]
    Closing,
    /// A mistake of ours.
    #[error("internal: {0}")]
    Us(String),
}

impl Error {
    pub(crate) fn operator(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Operator { what: what.into(), cure: cure.into() }
    }

    /// A file or folder that cannot be used.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        let what = format!("{}: {error}", path.display());
        Self::operator(what, "the node needs a folder of its own that it may write to")
    }
}
