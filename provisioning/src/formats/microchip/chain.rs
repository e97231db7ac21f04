//! `x5c` of a key (RFC 7517 §4.7): certificates in standard base64, the device's first.

use super::super::secrets::shown;
use super::super::signers::{Issuer, Signers};
use crate::RowFault;
use crate::limits::CHAIN;
use crate::x509::Certificate;
use data_encoding::BASE64;
use muster_identity::PublicKey;
use muster_ledger::Time;
use std::sync::Arc;

/// Checks that the device's certificate is of this key and signed by the next, and so on up. Gives
/// notes about what was not checked: the manifest's signature vouches for the key in any case.
pub(super) fn check(
    x5c: &[String],
    key: &PublicKey,
    provisioned: Time,
    signers: &Signers,
) -> Result<Vec<String>, RowFault> {
    let fault = |reason: String| RowFault::new("x5c", reason);
    let (leaf, issuers) = match x5c {
        [leaf, issuers @ ..] if x5c.len() <= CHAIN => (leaf, issuers),
        _ => return Err(fault("x5c does not hold 1 to 4 certificates".into())),
    };
    let leaf = certificate(leaf).map_err(fault)?;
    if leaf.public_key() != Ok(*key) {
        return Err(fault("the certificate in x5c is of another key than the entry's".into()));
    }
    let mut notes = Vec::new();
    if !leaf.is_valid_at(provisioned) {
        notes.push("the device's certificate was not valid when the chip was provisioned".into());
    }
    if issuers.is_empty() {
        if !signers.know(&leaf) {
            notes.push("the issuer of the device's certificate is not known".into());
        }
        return Ok(notes);
    }
    let texts: Vec<&str> = issuers.iter().map(String::as_str).collect();
    let issuer = signers.issuer(&texts, || chain(&texts, signers)).map_err(fault)?;
    let (issuer, note) = &*issuer;
    leaf.check_issued_by(issuer)
        .map_err(|e| fault(format!("the device's certificate is not by the next in x5c: {e}")))?;
    notes.extend(note.clone());
    Ok(notes)
}

/// The device's issuer, checked with those above it. It is the same for a whole reel.
fn chain(texts: &[&str], signers: &Signers) -> Issuer {
    let chain = texts.iter().map(|text| certificate(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some(certificate) = chain.iter().find(|certificate| !certificate.is_ca()) {
        let name = shown(&certificate.subject_text());
        return Err(format!("a certificate in x5c may not issue others: {name}"));
    }
    for pair in chain.windows(2) {
        pair[0].check_issued_by(&pair[1]).map_err(|e| format!("x5c is no chain: {e}"))?;
    }
    let known = chain.last().is_some_and(|last| signers.know(last));
    let mut chain = chain.into_iter();
    let issuer = chain.next().ok_or("x5c is empty")?;
    let note = (!known).then(|| {
        let name = shown(&issuer.subject_text());
        format!("x5c is checked up to {name}, whose issuer is not known")
    });
    Ok(Arc::new((issuer, note)))
}

fn certificate(text: &str) -> Result<Certificate, String> {
    let der = BASE64.decode(text.as_bytes()).map_err(|_| "x5c is not base64")?;
    Certificate::from_der(&der).map_err(|e| format!("a certificate in x5c: {e}"))
}
