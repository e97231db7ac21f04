//! What a certificate or signing request is worth.

use super::super::document::{Finding, Papers, Verdict};
use super::super::secrets::shown;
use super::super::trust::{Doubt, unknown_critical};
use super::kind::is_der;
use super::{BEGIN, base64, hex_der};
use crate::RowFault;
use crate::limits::CHAIN;
use crate::sources::Sources;
use crate::x509::{
    Certificate, Request, Subject, X509Fault, bundle, device_serial, names_a_tpm, private_key,
};
use muster_identity::PublicKey;
use muster_ledger::VouchedBy;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage};

/// tcg-kp-EKCertificate (TCG EK Credential Profile §3.2.16): the key of a TPM that decrypts.
const ENDORSEMENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.1");

/// tcg-kp-AIKCertificate (the same §3.2.16), for a key that is restricted.
const ATTESTATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.3");

/// Judges a device's certificate by the issuers the user trusts. What follows the
/// first in PEM are certificates of issuers.
pub(crate) fn certificate(papers: &Papers, sources: &Sources) -> Finding {
    let mut finding = Finding::default();
    finding.verdict = match read(&papers.certificate, &["CERTIFICATE", "X509 CERTIFICATE"]) {
        Err(broken) => broken.into(),
        Ok(mut ders) => {
            let first = ders.remove(0);
            let mut private = false;
            for paper in &papers.chain {
                match read(paper, &["CERTIFICATE", "X509 CERTIFICATE"]) {
                    Ok(more) => ders.extend(more),
                    Err(Unreadable::PrivateKey) => private = true,
                    // Counted and refused like one that is no certificate.
                    Err(Unreadable::Fault(_)) => ders.push(paper.to_vec()),
                }
            }
            if private {
                finding.verdict = Verdict::PrivateKey("chain".into());
                return finding;
            }
            match Certificate::from_der(&first) {
                Ok(device) => {
                    let subject = Subject::of(device.parsed().tbs_certificate().subject());
                    finding.serial = device_serial(&device);
                    finding.model = subject.matter_model();
                    weigh(&device, &ders, sources).unwrap_or_else(Verdict::from)
                }
                Err(fault) => refused("certificate", format!("the certificate is {fault}")),
            }
        }
    };
    finding
}

fn weigh(device: &Certificate, chain: &[Vec<u8>], sources: &Sources) -> Result<Verdict, Doubt> {
    let key = key_of(device)?;
    if chain.len() > CHAIN {
        let reason = "more than 4 certificates stand behind the device's";
        return Err(RowFault::new("certificate-chain", reason).into());
    }
    let chain = chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|fault| {
        let reason = format!("a certificate behind the device's is {fault}");
        RowFault::new("certificate-chain", reason)
    })?;
    if let Some(other) = chain.iter().find(|certificate| !certificate.is_ca()) {
        let name = shown(&other.subject_text());
        let reason = format!("behind the device's certificate stands one of no issuer: {name}");
        return Err(RowFault::new("certificate-chain", reason).into());
    }
    if !device.is_valid_at(sources.now) {
        let expired = device.not_after() < sources.now;
        let reason = if expired { "has expired" } else { "is not valid yet" };
        let reason = format!("the device's certificate {reason}");
        return Err(RowFault::new("certificate-expired", reason).into());
    }
    sources.trust.check(device, &chain, sources.now)?;
    Ok(Verdict::Key { key, by: VouchedBy::Certificate, digest: device.sha256() })
}

/// What the certificate says of itself: a key that signs, of a device, valid now.
fn key_of(device: &Certificate) -> Result<PublicKey, RowFault> {
    let tbs = device.parsed().tbs_certificate();
    let malformed = |_| RowFault::new("certificate", "an extension cannot be read");
    let purposes = tbs.get_extension::<ExtendedKeyUsage>().map_err(malformed)?;
    let is_for = |purpose| purposes.as_ref().is_some_and(|(_, all)| all.0.contains(&purpose));
    let usage = tbs.get_extension::<KeyUsage>().map_err(malformed)?;
    let signs = usage.is_none_or(|(_, usage)| usage.digital_signature());
    if is_for(ENDORSEMENT) || (!signs && names_a_tpm(device)) {
        let reason = "the key is a TPM's endorsement key: it decrypts, it does not sign";
        return Err(RowFault::new("endorsement-key", reason));
    }
    if is_for(ATTESTATION) {
        let reason = "the key is a TPM's attestation key: it signs only what the TPM says itself";
        return Err(RowFault::new("endorsement-key", reason));
    }
    let key = device.public_key().map_err(|fault| match fault {
        X509Fault::Rsa => RowFault::new("rsa-key", "the device's key is RSA"),
        fault => other_key(fault),
    })?;
    if device.is_ca() {
        let name = shown(&device.subject_text());
        let reason = format!("the certificate is an issuer's, not a device's: {name}");
        return Err(RowFault::new("ca-certificate", reason));
    }
    if !signs {
        let reason = "the certificate does not let its key sign (keyUsage)";
        return Err(RowFault::new("key-usage", reason));
    }
    if let Some(oid) = unknown_critical(device) {
        let reason = format!("critical extension {oid} is not understood");
        return Err(RowFault::new("certificate", reason));
    }
    Ok(key)
}

/// Judges a signing request: its own signature is the evidence.
pub(crate) fn request(bytes: &[u8]) -> Finding {
    let mut finding = Finding::default();
    let ders = match read(bytes, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]) {
        Ok(ders) => ders,
        Err(broken) => {
            finding.verdict = broken.into();
            return finding;
        }
    };
    if let Some(subject) = Request::subject_of(&ders[0]) {
        finding.model = subject.matter_model();
        finding.serial = subject.serial_number.or(subject.common_name);
    }
    finding.verdict = match (Request::from_der(&ders[0]), ders.len()) {
        (Ok(request), 1) => {
            let (key, digest) = (request.public_key(), request.sha256());
            Verdict::Key { key, by: VouchedBy::SigningRequest, digest }
        }
        (Ok(_), _) => refused("csr", "more than one request stands here".into()),
        (Err(X509Fault::Signature), _) => {
            refused("csr-signature", "the request was not signed by the key it names".into())
        }
        (Err(X509Fault::Rsa), _) => refused("rsa-key", "the device's key is RSA".into()),
        (Err(fault @ (X509Fault::KeyType | X509Fault::Key(_))), _) => {
            Verdict::Refused(other_key(fault))
        }
        (Err(fault), _) => refused("csr", format!("the request is {fault}")),
    };
    finding
}

/// The documents in DER, at least one, from DER, PEM or base64.
fn read(bytes: &[u8], labels: &[&str]) -> Result<Vec<Vec<u8>>, Unreadable> {
    let text = match str::from_utf8(bytes) {
        Ok(text) if !is_der(bytes) => text.trim(),
        _ => return Ok(vec![bytes.to_vec()]),
    };
    let ders = if text.starts_with(BEGIN) {
        let found = labels.iter().map(|label| bundle(text, label)).collect::<Result<Vec<_>, _>>();
        found.map_err(Unreadable::Fault)?.concat()
    } else {
        let text: String = text.split_whitespace().collect();
        hex_der(&text).or_else(|| base64(&text)).into_iter().collect()
    };
    if ders.iter().any(|der| private_key(der).is_some()) {
        return Err(Unreadable::PrivateKey);
    }
    if ders.is_empty() {
        return Err(Unreadable::Fault(X509Fault::Pem));
    }
    Ok(ders)
}

enum Unreadable {
    PrivateKey,
    Fault(X509Fault),
}

impl From<Unreadable> for Verdict {
    fn from(broken: Unreadable) -> Self {
        match broken {
            Unreadable::PrivateKey => Self::PrivateKey("row".into()),
            Unreadable::Fault(fault) => refused("pem", format!("the text is {fault}")),
        }
    }
}

impl From<Doubt> for Verdict {
    fn from(doubt: Doubt) -> Self {
        match doubt {
            Doubt::Waiting(fault) => Self::Waiting(fault),
            Doubt::Refused(fault) => Self::Refused(fault),
        }
    }
}

/// A document is there, so the cure is not how to write a key.
fn other_key(fault: X509Fault) -> RowFault {
    let cure = "let the device make a key of Ed25519 or P-256, and a document for that";
    RowFault { cure, ..RowFault::new("public-key", fault.to_string()) }
}

fn refused(code: &'static str, reason: String) -> Verdict {
    Verdict::Refused(RowFault::new(code, reason))
}
