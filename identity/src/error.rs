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
    /// The token names a key in its `kid`, and this is not it.
    #[error("the token names another key")]
    OtherKey,
    /// A gateway's proof for another device or another presentation.
    #[error("the proof is for another presentation")]
    OtherPresentation,
    /// A token that is not admissible: a presentation, an acknowledgement, a registration, a
    /// gateway's proof, a login, an invite, a signed read.
    #[error("token: {0}")]
    Presentation(#[from] PresentationFault),
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

impl Error {
    /// A stable name for the kind of fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cbor { .. } => "cbor",
            Self::Key(fault) => fault.code(),
            Self::Signature => "signature",
            Self::OtherKey => "other_key",
            Self::OtherPresentation => "other_presentation",
            Self::Presentation(fault) => fault.code(),
            Self::Did(_) => "did",
            Self::Secret(_) => "secret",
            Self::Bound { .. } => "bound",
        }
    }
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

impl KeyFault {
    /// The stable name of the fault.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnsupportedType => "key_type",
            Self::Length => "key_length",
            Self::Point => "key_point",
            Self::SmallOrder => "key_small_order",
            Self::Multibase => "key_multibase",
        }
    }
}

/// Why a token is refused before its signature is looked at. [`Self::code`] is stable: it is
/// what a gateway logs and what the vectors name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentationFault {
    /// Longer than [`crate::MAX_TOKEN`], or than the bound of its kind.
    #[error("longer than a token of its kind may be")]
    TooLong,
    /// Not `header.payload.signature` (RFC 7515 §3.1).
    #[error("not three parts joined by dots")]
    Compact,
    /// Padding, a character outside base64url, or trailing bits that are not zero (RFC 7515 §2,
    /// RFC 4648 §3.5).
    #[error("the {0} is not base64url without padding and stray bits")]
    Base64(&'static str),
    /// Not one JSON object (RFC 8259).
    #[error("the {0} is not a JSON object")]
    Json(&'static str),
    /// A member stands twice (RFC 7515 §4, RFC 7519 §4 let us refuse that).
    #[error("a member of the {0} stands twice")]
    Duplicate(&'static str),
    /// A member that this type of token does not have.
    #[error("the {0} has an unknown member")]
    Unknown(&'static str),
    /// A member that this type of token must have.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member with another JSON type than it must have; an `aud` of several names is one.
    #[error("`{0}` has the wrong JSON type")]
    WrongType(&'static str),
    /// `typ` is that of another message.
    #[error("`typ` is not the one of this message")]
    Typ,
    /// `alg` is unknown, `none`, or not the algorithm of the key.
    #[error("`alg` is not the algorithm of the key that `kid` names")]
    Alg,
    /// `kid` is not a DID URL that ends in a Multikey of a signature key.
    #[error("`kid` is not a did:muster URL with the Multikey of a signing key")]
    Kid,
    /// `iss` is not the DID of `kid`.
    #[error("`iss` is not the DID of `kid`")]
    Iss,
    /// `aud` breaks the rule of [`crate::Audience`].
    #[error("`aud` is not 1 to 255 printable ASCII characters")]
    Aud,
    /// `exp` does not follow `iat`, or follows it by more than [`crate::MAX_LIFETIME`] seconds.
    #[error("`exp` must follow `iat` by 1 to 60 seconds")]
    Lifetime,
    /// Both a time window and a nonce: which one counts would be anybody's guess.
    #[error("both a time window and a nonce")]
    TwoFreshness,
    /// `nonce` is not 1 to 64 characters of base64url.
    #[error("`nonce` is not 1 to 64 base64url characters")]
    Nonce,
    /// `jti` is not 1 to 64 characters of base64url.
    #[error("`jti` is not 1 to 64 base64url characters")]
    Jti,
    /// A claim that breaks the rule of its kind of token.
    #[error("`{0}` breaks its rule")]
    Claim(&'static str),
    /// The signature is not 64 bytes long.
    #[error("the signature is not 64 bytes long")]
    SignatureLength,
}

impl PresentationFault {
    /// The stable name of the fault.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Compact => "not_compact",
            Self::Base64(_) => "base64url",
            Self::Json(_) => "not_json",
            Self::Duplicate(_) => "duplicate_member",
            Self::Unknown(_) => "unknown_member",
            Self::Missing(_) => "missing_member",
            Self::WrongType(_) => "wrong_json_type",
            Self::Typ => "wrong_typ",
            Self::Alg => "wrong_alg",
            Self::Kid => "wrong_kid",
            Self::Iss => "wrong_iss",
            Self::Aud => "wrong_aud",
            Self::Lifetime => "lifetime",
            Self::TwoFreshness => "two_freshness",
            Self::Nonce => "wrong_nonce",
            Self::Jti => "wrong_jti",
            Self::Claim(_) => "wrong_claim",
            Self::SignatureLength => "signature_length",
        }
    }
}
