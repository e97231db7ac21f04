//! Rows that are documents: read and judged in parallel with all others, since each has
//! signatures to check.

use super::{microchip, x509};
use crate::RowFault;
use crate::sources::Sources;
use muster_identity::PublicKey;
use muster_ledger::VouchedBy;

/// A row as the document that says everything about it, not read any further yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// An entry of a Microchip manifest: a flattened JWS, in JSON.
    Microchip(Box<str>),
    /// A device's certificate.
    Certificate(Box<Papers>),
    /// A device's signing request, in DER, PEM or base64.
    Request(Box<[u8]>),
}

/// A device's certificate and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// The certificate in DER, PEM or base64.
    pub certificate: Box<[u8]>,
    /// What stood behind it or in a column of its own, likewise: certificates of issuers.
    pub chain: Vec<Box<[u8]>>,
}

/// What a document says, and whether it may be believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finding {
    /// Serial number, as far as it could be read.
    pub serial: Option<String>,
    /// Lot.
    pub lot: Option<String>,
    /// Model, where neither the command nor a grant names one.
    pub model: Option<String>,
    /// What the user should know though it does not change the outcome.
    pub note: Option<String>,
    /// What follows.
    pub verdict: Verdict,
}

/// What follows from a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verdict {
    /// It vouches for this key.
    Key {
        /// The key.
        key: PublicKey,
        /// What kind of document it is.
        by: VouchedBy,
        /// SHA-256 of the document as it was signed.
        digest: [u8; 32],
    },
    /// It is good and names no key.
    #[default]
    NoKey,
    /// It cannot be judged yet.
    Waiting(RowFault),
    /// It is no good.
    Refused(RowFault),
    /// It holds private key material in the field of this name: the file is refused.
    PrivateKey(String),
}

impl Document {
    /// Judges it against the certificates that the user named.
    pub fn judge(&self, sources: &Sources) -> Finding {
        match self {
            Self::Microchip(entry) => microchip::judge(entry, sources),
            Self::Certificate(papers) => x509::certificate(papers, sources),
            Self::Request(bytes) => x509::request(bytes),
        }
    }

    /// Bytes it holds, so that a share of rows stays bounded.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Microchip(entry) => entry.len(),
            Self::Certificate(papers) => {
                papers.certificate.len() + papers.chain.iter().map(|der| der.len()).sum::<usize>()
            }
            Self::Request(bytes) => bytes.len(),
        }
    }
}
