use super::{Certificate, X509Fault, moment, to_be_signed};
use muster_identity::sha256;
use muster_ledger::Time;
use std::collections::BTreeSet;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::KeyUsage;

/// Bytes of one revocation list: some 400,000 certificates.
pub const CRL_BYTES: usize = 16 << 20;

/// A list that says changes only (RFC 5280 §5.2.4), and an entry about another issuer's
/// certificate (§5.3.3): neither may be read like the rest.
const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const OTHER_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.29");

/// A revocation list (RFC 5280 §5) that was read; who signed it is not known yet.
#[derive(Debug)]
pub struct Crl {
    issuer: Vec<u8>,
    next_update: Option<Time>,
    revoked: BTreeSet<Vec<u8>>,
    algorithm: ObjectIdentifier,
    der: Vec<u8>,
    signature: Vec<u8>,
}

impl Crl {
    /// Reads a list in DER.
    pub fn from_der(der: Vec<u8>) -> Result<Self, X509Fault> {
        if der.len() > CRL_BYTES {
            return Err(X509Fault::TooLong);
        }
        let malformed = |_| X509Fault::Malformed;
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&der);
        let list = list.map_err(malformed)?;
        let tbs = list.tbs_cert_list;
        if tbs.signature != list.signature_algorithm {
            return Err(X509Fault::Malformed);
        }
        let has = |extensions: &Option<Vec<Extension>>, oid| {
            extensions.iter().flatten().any(|extension| extension.extn_id == oid)
        };
        let entries = tbs.revoked_certificates.unwrap_or_default();
        if has(&tbs.crl_extensions, DELTA)
            || entries.iter().any(|entry| has(&entry.crl_entry_extensions, OTHER_ISSUER))
        {
            return Err(X509Fault::PartialCrl);
        }
        Ok(Self {
            issuer: tbs.issuer.to_der().map_err(malformed)?,
            next_update: tbs.next_update.map(moment),
            revoked: entries.iter().map(|e| e.serial_number.as_bytes().to_vec()).collect(),
            algorithm: list.signature_algorithm.oid,
            signature: list.signature.as_bytes().ok_or(X509Fault::Malformed)?.to_vec(),
            der,
        })
    }

    /// The issuer's name in DER.
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// When the next one was due.
    pub fn next_update(&self) -> Option<Time> {
        self.next_update
    }

    /// Whether it names a certificate of its issuer, by the number as [`Certificate::serial`].
    pub fn names(&self, serial: &[u8]) -> bool {
        self.revoked.contains(serial)
    }

    /// Checks that the issuer signed it, and may (RFC 5280 §6.3.3 (f), (g)).
    pub fn check_issued_by(&self, issuer: &Certificate) -> Result<(), X509Fault> {
        if self.issuer != issuer.subject() {
            return Err(X509Fault::OtherIssuer);
        }
        let usage = issuer.parsed().tbs_certificate().get_extension::<KeyUsage>();
        if usage.map_err(|_| X509Fault::Malformed)?.is_some_and(|(_, usage)| !usage.crl_sign()) {
            return Err(X509Fault::Signature);
        }
        let signed = to_be_signed(&self.der).ok_or(X509Fault::Malformed)?;
        issuer.issuer_key()?.verify(&self.algorithm, signed, &self.signature)
    }

    /// Its fingerprint.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&[&self.der])
    }
}
