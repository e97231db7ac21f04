use alloc::string::String;

/// Everything this crate can refuse. All of it is the sender's fault: the crate
/// reads foreign bytes and holds no state of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not the one deterministic encoding (RFC 8949 §4.2.1) of the expected shape.
    #[error("CBOR, byte {at}: {reason}")]
    Cbor {
        /// Offset of the offending item.
        at: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A public key that no verifier may use.
    #[error("public key: {0}")]
    Key(#[from] KeyFault),
    /// The signature is not valid for this key and message.
    #[error("the signature does not verify")]
    Signature,
    /// Text that is not a `did:muster` identifier.
    #[error("not a did:muster identifier: {0}")]
    Did(&'static str),
    /// A private key that cannot be read.
    #[error("private key: {0}")]
    Secret(String),
    /// A value outside its stated bounds.
    #[error("{what} must be {bound}")]
    Bound {
        /// The value in question.
        what: &'static str,
        /// The bound it breaks.
        bound: &'static str,
    },
}

/// Why a public key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The multicodec prefix is neither Ed25519, P-256 nor (for key agreement) X25519.
    #[error("unsupported key type (Ed25519 and P-256 sign, X25519 agrees)")]
    UnsupportedType,
    /// The number of bytes does not fit the key type.
    #[error("wrong length for its type")]
    Length,
    /// The bytes are not a point of the curve, or not its only encoding.
    #[error("not a canonical point of its curve")]
    Point,
    /// The point lies in the small subgroup: anyone could sign for it.
    #[error("a small-order point, for which anybody can make signatures")]
    SmallOrder,
    /// The text is not multibase base58btc (`z...`).
    #[error("not a Multikey: expected `z` and base58btc characters")]
    Multibase,
}
