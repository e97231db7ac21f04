//! X.509 certificates (RFC 5280) as far as enrolment needs them: who, whose key, from when to
//! when, signed by whom.

mod crl;
mod fault;
mod issuer;
mod names;
mod pem;
mod request;
mod secret;
mod signature;
#[cfg(test)]
mod tests;

pub use crl::{CRL_BYTES, Crl};
pub use fault::X509Fault;
pub use issuer::{IssuerKey, verify_signed};
pub use names::{Subject, device_serial, name_text, names_a_tpm};
pub use pem::{bundle, certificates, revocations};
pub use request::Request;
pub(crate) use secret::private_key;
pub use signature::{fixed_signature, key_of_spki};

use muster_identity::PublicKey;
use muster_ledger::Time;
use sha2::{Digest as _, Sha256};
use std::sync::OnceLock;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{DateTime, Decode as _, Encode as _, Header, Reader as _, SliceReader};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use x509_cert::name::Name;

/// Bytes of one certificate. Device certificates have some 500 to 1,500.
pub const CERTIFICATE_BYTES: usize = 16 << 10;

/// Certificates of one file or folder of signers or roots.
pub const CERTIFICATES: usize = 1_024;

/// A certificate that was read; nothing about it is believed yet.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: Vec<u8>,
    signed: Signed,
    inner: x509_cert::Certificate,
    key: Result<PublicKey, X509Fault>,
    /// Its key as an issuer's, read when the first signature is checked by it.
    issuer_key: OnceLock<Result<IssuerKey, X509Fault>>,
    spki: Vec<u8>,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

/// Where the part that is signed lies (`tbsCertificate`).
type Signed = std::ops::Range<usize>;

impl Certificate {
    /// Reads one certificate in DER. Nothing may stand behind it.
    pub fn from_der(der: &[u8]) -> Result<Self, X509Fault> {
        if der.len() > CERTIFICATE_BYTES {
            return Err(X509Fault::TooLong);
        }
        let inner = x509_cert::Certificate::from_der(der).map_err(|_| X509Fault::Malformed)?;
        let signed = signed_part(der).ok_or(X509Fault::Malformed)?;
        let tbs = inner.tbs_certificate();
        // RFC 5280 §4.1.1.2: both name the same algorithm, or one could be swapped.
        if tbs.signature() != inner.signature_algorithm() {
            return Err(X509Fault::Malformed);
        }
        let extensions = tbs.extensions().map_or(&[][..], |list| &list[..]);
        // RFC 5280 §4.2: no extension stands twice.
        if extensions
            .iter()
            .enumerate()
            .any(|(i, a)| extensions[..i].iter().any(|b| a.extn_id == b.extn_id))
        {
            return Err(X509Fault::Malformed);
        }
        let spki = tbs.subject_public_key_info().to_der().map_err(|_| X509Fault::Malformed)?;
        let key_id = tbs
            .get_extension::<SubjectKeyIdentifier>()
            .map_err(|_| X509Fault::Malformed)?
            .map(|(_, id)| id.0.as_bytes().to_vec());
        let name = |name: &Name| name.to_der().map_err(|_| X509Fault::Malformed);
        let (subject, issuer) = (name(tbs.subject())?, name(tbs.issuer())?);
        Ok(Self {
            der: der.to_vec(),
            signed,
            key: key_of_spki(&spki),
            issuer_key: OnceLock::new(),
            spki,
            subject,
            issuer,
            key_id,
            inner,
        })
    }

    /// The certificate as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the certificate in DER: its fingerprint, and `x5t#S256` (RFC 7515 §4.1.8).
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// The parsed certificate, for what has no shorthand here.
    pub fn parsed(&self) -> &x509_cert::Certificate {
        &self.inner
    }

    /// The holder's key; RSA and others are a fault, since no device of ours may have one.
    pub fn public_key(&self) -> Result<PublicKey, X509Fault> {
        self.key
    }

    /// The holder's key as one that signs documents.
    pub fn issuer_key(&self) -> Result<&IssuerKey, X509Fault> {
        let key = self.issuer_key.get_or_init(|| IssuerKey::of_spki(&self.spki));
        key.as_ref().map_err(|fault| *fault)
    }

    /// The subject's name in DER.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The issuer's name in DER.
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The subject's name as text. Foreign: make it printable before it is shown.
    pub fn subject_text(&self) -> String {
        name_text(self.inner.tbs_certificate().subject())
    }

    /// The issuer's name, likewise.
    pub fn issuer_text(&self) -> String {
        name_text(self.inner.tbs_certificate().issuer())
    }

    /// The subject key identifier (RFC 5280 §4.2.1.2).
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    /// The serial number, big-endian, with the sign byte if it has one: at most 21 bytes.
    pub fn serial(&self) -> &[u8] {
        self.inner.tbs_certificate().serial_number().as_bytes()
    }

    /// From when it is valid.
    pub fn not_before(&self) -> Time {
        moment(self.inner.tbs_certificate().validity().not_before)
    }

    /// Until when; 9999-12-31 means that it does not expire (RFC 5280 §4.1.2.5).
    pub fn not_after(&self) -> Time {
        moment(self.inner.tbs_certificate().validity().not_after)
    }

    /// Whether it is valid at a moment; both ends count (RFC 5280 §4.1.2.5).
    pub fn is_valid_at(&self, time: Time) -> bool {
        // The end is a whole second, which counts as a whole.
        self.not_before() <= time && time.seconds() <= self.not_after().seconds()
    }

    /// Whether it may issue certificates: `cA` is set and `keyUsage`, if there is one, says so
    /// (RFC 5280 §4.2.1.3, §4.2.1.9).
    pub fn is_ca(&self) -> bool {
        let tbs = self.inner.tbs_certificate();
        let basic = tbs.get_extension::<BasicConstraints>();
        let usage = tbs.get_extension::<KeyUsage>();
        matches!(basic, Ok(Some((_, basic))) if basic.ca)
            && match usage {
                Ok(Some((_, usage))) => usage.key_cert_sign(),
                Ok(None) => true,
                Err(_) => false,
            }
    }

    /// The value of an extension, in DER.
    pub fn extension(&self, oid: &str) -> Option<&[u8]> {
        let oid = ObjectIdentifier::new(oid).ok()?;
        let extensions = self.inner.tbs_certificate().extensions()?;
        Some(extensions.iter().find(|e| e.extn_id == oid)?.extn_value.as_bytes())
    }

    /// Checks that `issuer` signed this certificate: names and signature. Whether it might,
    /// [`Self::is_ca`] says; whether it was valid then, [`Self::is_valid_at`].
    pub fn check_issued_by(&self, issuer: &Self) -> Result<(), X509Fault> {
        if self.issuer != issuer.subject {
            return Err(X509Fault::OtherIssuer);
        }
        self.check_signature(issuer.issuer_key()?)
    }

    /// Checks that the holder of `key` signed this certificate.
    pub fn check_signature(&self, key: &IssuerKey) -> Result<(), X509Fault> {
        let signature = self.inner.signature().as_bytes().ok_or(X509Fault::Malformed)?;
        let algorithm = self.inner.signature_algorithm().oid;
        key.verify(&algorithm, &self.der[self.signed.clone()], signature)
    }
}

/// The first element inside the outer SEQUENCE, byte for byte as it was signed. The form of
/// PKCS#10 (RFC 2986 §4.2) is the same.
fn signed_part(der: &[u8]) -> Option<Signed> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    let start = usize::try_from(reader.position()).ok()?;
    let length = reader.tlv_bytes().ok()?.len();
    Some(start..start + length)
}

/// The bytes that the signature of a certificate or signing request covers.
pub fn to_be_signed(der: &[u8]) -> Option<&[u8]> {
    der.get(signed_part(der)?)
}

/// A moment in UTC as RFC 3339 writes it; parts of a second do not count.
pub fn moment_of_text(text: &str) -> Option<Time> {
    // RFC 3339 §5.6: both are UTC.
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let moment: DateTime = format!("{text}Z").parse().ok()?;
    Some(Time(moment.unix_duration().as_secs().saturating_mul(1_000)))
}

fn moment(time: x509_cert::time::Time) -> Time {
    Time(time.to_unix_duration().as_secs().saturating_mul(1_000))
}
