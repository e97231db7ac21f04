use super::names::Subject;
use super::{CERTIFICATE_BYTES, X509Fault, key_of_spki, to_be_signed, verify_signed};
use muster_identity::PublicKey;
use sha2::{Digest as _, Sha256};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::request::CertReq;

/// A signing request (PKCS#10, RFC 2986) whose holder signed it with the key inside.
#[derive(Debug, Clone)]
pub struct Request {
    key: PublicKey,
    digest: [u8; 32],
}

impl Request {
    /// Reads a request in DER and checks its own signature (RFC 2986 §4.2).
    pub fn from_der(der: &[u8]) -> Result<Self, X509Fault> {
        if der.len() > CERTIFICATE_BYTES {
            return Err(X509Fault::TooLong);
        }
        let inner = CertReq::from_der(der).map_err(|_| X509Fault::Malformed)?;
        let spki = inner.info.public_key.to_der().map_err(|_| X509Fault::Malformed)?;
        let key = key_of_spki(&spki)?;
        let signed = to_be_signed(der).ok_or(X509Fault::Malformed)?;
        let signature = inner.signature.as_bytes().ok_or(X509Fault::Malformed)?;
        verify_signed(&key, &inner.algorithm.oid, signed, signature)?;
        Ok(Self { key, digest: Sha256::digest(der).into() })
    }

    /// Who a request in DER says it is about, whether it is good or not.
    pub fn subject_of(der: &[u8]) -> Option<Subject> {
        let request = CertReq::from_der(der.get(..der.len().min(CERTIFICATE_BYTES))?).ok()?;
        Some(Subject::of(&request.info.subject))
    }

    /// The key, which signed the request.
    pub fn public_key(&self) -> PublicKey {
        self.key
    }

    /// SHA-256 of the request in DER.
    pub fn sha256(&self) -> [u8; 32] {
        self.digest
    }
}
