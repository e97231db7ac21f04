use crate::x509::{CERTIFICATES, Certificate, X509Fault, certificates};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Algorithm, PublicKey, sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Issuers of device certificates that are remembered: a reel of chips has a few.
const ISSUERS: usize = 1_024;

/// Certificates of those who sign manifests, as the user trusts them.
#[derive(Debug, Default)]
pub struct Signers {
    known: Vec<Signer>,
    /// Issuers met in `x5c`, checked once each, by the digest of what stands there.
    issuers: Mutex<BTreeMap<[u8; 32], Issuer>>,
}

/// One signer.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) certificate: Certificate,
    pub(super) key: PublicKey,
    /// Its subject key identifier, as a JWS names it in `kid`.
    pub(super) kid: Option<String>,
    /// `x5t#S256`.
    pub(super) x5t: String,
}

/// A checked issuer of device certificates, or why it is none.
pub(super) type Issuer = Result<Arc<(Certificate, Option<String>)>, String>;

impl Signers {
    /// Adds the certificates of a file, which must be ES256 signers.
    pub fn add(&mut self, file: &[u8]) -> Result<(), X509Fault> {
        for certificate in certificates(file)? {
            let key = certificate.public_key()?;
            if key.algorithm() != Algorithm::P256 {
                return Err(X509Fault::KeyType);
            }
            let x5t = BASE64URL_NOPAD.encode(&certificate.sha256());
            if self.known.iter().any(|signer| signer.x5t == x5t) {
                continue;
            }
            if self.known.len() == CERTIFICATES {
                return Err(X509Fault::TooMany);
            }
            let kid = certificate.subject_key_id().map(|id| BASE64URL_NOPAD.encode(id));
            self.known.push(Signer { certificate, key, kid, x5t });
        }
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The signer that a JWS names, and whether by all the names it gives.
    pub(super) fn named(&self, kid: Option<&str>, x5t: Option<&str>) -> Option<(&Signer, bool)> {
        let by_kid = |s: &Signer| kid.is_some() && s.kid.as_deref() == kid;
        let by_x5t = |s: &Signer| Some(s.x5t.as_str()) == x5t;
        let fits = |s: &Signer| (kid.is_none() || by_kid(s)) && (x5t.is_none() || by_x5t(s));
        if kid.is_none() && x5t.is_none() {
            return None;
        }
        let whole = self.known.iter().find(|s| fits(s)).map(|s| (s, true));
        whole.or_else(|| Some((self.known.iter().find(|s| by_x5t(s) || by_kid(s))?, false)))
    }

    /// Whether a certificate is one of them, or issued by one of them.
    pub(super) fn know(&self, certificate: &Certificate) -> bool {
        self.known.iter().any(|signer| {
            signer.certificate.der() == certificate.der()
                || (signer.certificate.is_ca()
                    && certificate.check_issued_by(&signer.certificate).is_ok())
        })
    }

    /// An issuer that stands in many rows, checked when it is first met.
    pub(super) fn issuer(&self, texts: &[&str], check: impl FnOnce() -> Issuer) -> Issuer {
        let parts: Vec<&[u8]> = texts.iter().flat_map(|t| [t.as_bytes(), b"."]).collect();
        let digest = sha256(&parts);
        let lock = || self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&digest) {
            return known.clone();
        }
        let issuer = check();
        let mut issuers = lock();
        if issuers.len() < ISSUERS {
            issuers.insert(digest, issuer.clone());
        }
        issuer
    }
}
