use muster_api::Resolution;

/// Why a DID is not resolved. DID Resolution 1.0 §10 gives each kind its type URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Caller: the text is no DID, or not one of its method.
    #[error("not a valid DID: {0}")]
    InvalidDid(String),
    /// Caller: no resolver for this method here.
    #[error("the method `{0}` is not supported here")]
    MethodNotSupported(String),
    /// Caller: a DID that nobody registered.
    #[error("{0} is not known")]
    NotFound(String),
    /// Caller: none of the accepted media types can be sent.
    #[error("none of the accepted media types can be sent; ask for application/did")]
    RepresentationNotSupported,
    /// Peer, operator or us: the place that knows the answer did not give it.
    #[error("{0}")]
    Internal(String),
}

/// Who is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever asked.
    Caller,
    /// Whoever runs what was asked.
    Operator,
}

impl Error {
    /// The last part of the type URL, `https://www.w3.org/ns/did#...`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidDid(_) => "INVALID_DID",
            Self::MethodNotSupported(_) => "METHOD_NOT_SUPPORTED",
            Self::NotFound(_) => "NOT_FOUND",
            Self::RepresentationNotSupported => "REPRESENTATION_NOT_SUPPORTED",
            Self::Internal(_) => "INTERNAL_ERROR",
        }
    }

    /// Who is at fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Internal(_) => Fault::Operator,
            _ => Fault::Caller,
        }
    }
}

impl From<Error> for Resolution {
    fn from(error: Error) -> Self {
        Self::failed(error.name(), error.to_string())
    }
}
