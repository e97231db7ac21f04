use muster_identity::KeyFault;
use std::fmt;

/// Why a certificate or a part of it is of no use. It becomes the reason of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum X509Fault {
    /// Above its bound of bytes.
    TooLong,
    /// More certificates than the bound.
    TooMany,
    /// Not DER of this kind, or a serial number above 20 bytes, or an extension twice.
    Malformed,
    /// PEM that is not base64, or not closed.
    Pem,
    /// The key is RSA.
    Rsa,
    /// The key is neither Ed25519 nor P-256.
    KeyType,
    /// The key is of a kind that fits, and no good.
    Key(KeyFault),
    /// An issuer's key that this version cannot check by.
    IssuerKey,
    /// Signed by an algorithm this version does not check.
    SignatureAlgorithm,
    /// A revocation list that lists changes only, or certificates of others.
    PartialCrl,
    /// The issuer's name is another.
    OtherIssuer,
    /// The signature does not verify.
    Signature,
}

impl fmt::Display for X509Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "longer than 16,384 bytes",
            Self::TooMany => "more than 1,024 certificates",
            Self::Malformed => "not DER of RFC 5280",
            Self::Pem => "PEM that is not base64 or not closed",
            Self::Rsa => "the key is RSA; Muster takes Ed25519 and P-256",
            Self::KeyType => "the key is neither Ed25519 nor P-256",
            Self::Key(fault) => return write!(f, "the key: {fault}"),
            Self::IssuerKey => {
                "its key is none of Ed25519, P-256, P-384, and RSA of 2,048 to 8,192 bits for PKCS#1 v1.5"
            }
            Self::SignatureAlgorithm => {
                "signed by another algorithm than Ed25519, or ECDSA or RSA PKCS#1 v1.5 with SHA-2"
            }
            Self::PartialCrl => "a delta or indirect revocation list; give the whole one",
            Self::OtherIssuer => "the issuer's name is another",
            Self::Signature => "the signature does not verify",
        })
    }
}
