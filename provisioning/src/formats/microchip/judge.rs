use super::super::document::{Finding, Verdict};
use super::super::secrets::shown;
use super::super::signers::Signers;
use super::chain;
use super::entry::{self, Entry, Slot};
use crate::RowFault;
use crate::sources::Sources;
use muster_identity::PublicKey;
use muster_ledger::VouchedBy;

/// The vendor's signing slot: in all manifests seen it is the one with certificates.
const SIGNING_SLOT: &str = "0";

/// Why an entry ends without a key.
pub(super) enum Broken {
    Refused(RowFault),
    Waiting(RowFault),
    PrivateKey(String),
}

impl From<RowFault> for Broken {
    fn from(fault: RowFault) -> Self {
        Self::Refused(fault)
    }
}

/// Judges an entry by the signers the user named.
pub(crate) fn judge(text: &str, sources: &Sources) -> Finding {
    let (mut serial, mut notes) = (None, Vec::new());
    let entry = entry::read(text, &mut serial);
    let verdict = match &entry {
        Ok(entry) => weigh(entry, sources, &mut notes),
        Err(_) => Ok(Verdict::NoKey),
    };
    let (model, lot) = match &entry {
        Ok(entry) => (entry.model.clone(), entry.group.clone()),
        Err(_) => (None, None),
    };
    let verdict = match (entry.err(), verdict) {
        (None, Ok(verdict)) => verdict,
        (Some(broken), _) | (None, Err(broken)) => match broken {
            Broken::Refused(fault) => Verdict::Refused(fault),
            Broken::Waiting(fault) => Verdict::Waiting(fault),
            Broken::PrivateKey(field) => Verdict::PrivateKey(field),
        },
    };
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    Finding { serial, lot, model, note, verdict }
}

fn weigh(entry: &Entry, sources: &Sources, notes: &mut Vec<String>) -> Result<Verdict, Broken> {
    check_signature(entry, sources, notes)?;
    if entry.encrypted {
        notes.push("encryptedSecretKeySet is not read".into());
    }
    let slots = match &entry.slots {
        Some(slots) if !slots.is_empty() => slots,
        _ => return Ok(Verdict::NoKey),
    };
    let wanted = sources.slot.map_or(SIGNING_SLOT.into(), |slot| slot.to_string());
    let names = |of: &mut dyn Iterator<Item = &Slot>| -> String {
        of.map(|slot| shown(&slot.name)).collect::<Vec<_>>().join(", ")
    };
    let Some(slot) = slots.iter().find(|slot| slot.name == wanted) else {
        let reason = format!("slot {wanted} is not among slots {}", names(&mut slots.iter()));
        return Err(RowFault::new("slot", reason).into());
    };
    let key = key_of(slot)?;
    if let Some(x5c) = &slot.x5c {
        notes.extend(chain::check(x5c, &key, entry.time, &sources.signers)?);
    }
    if slots.len() > 1 {
        let others = names(&mut slots.iter().filter(|other| other.name != wanted));
        notes.push(format!("slot {wanted} is enrolled, not {others}"));
    }
    Ok(Verdict::Key { key, by: VouchedBy::VendorManifest, digest: entry.digest })
}

fn key_of(slot: &Slot) -> Result<PublicKey, RowFault> {
    slot.key.read(Some("P-256")).map_err(|fault| {
        let reason = format!("slot {}: {}", shown(&slot.name), fault.reason);
        RowFault::new("public-key-set", reason)
    })
}

fn check_signature(
    entry: &Entry,
    sources: &Sources,
    notes: &mut Vec<String>,
) -> Result<(), Broken> {
    let (kid, x5t) = (entry.kid.as_deref(), entry.x5t.as_deref());
    let named = format!("kid {}", shown(kid.unwrap_or("absent")));
    let unknown = |why: &str| Broken::Waiting(RowFault::new("unknown-signer", why));
    let signers: &Signers = &sources.signers;
    let Some((signer, by_all_names)) = signers.named(kid, x5t) else {
        return Err(unknown(&format!("no certificate is known for the signer, {named}")));
    };
    signer.key.verify(entry.signed.as_bytes(), &entry.signature).map_err(|_| {
        let reason = format!("the signature is not by the signer that is named, {named}");
        RowFault::new("bad-signature", reason)
    })?;
    if !by_all_names {
        let why = format!("the signer's certificate is not the one that is known, {named}");
        return Err(unknown(&why));
    }
    // A signer is judged at the time it says it signed: files outlive certificates.
    let certificate = &signer.certificate;
    if !certificate.is_valid_at(entry.time) {
        let reason = format!(
            "the signer's certificate was not valid when the chip was provisioned, {named}"
        );
        return Err(RowFault::new("signer-expired", reason).into());
    }
    if certificate.not_after() < sources.now {
        let until = certificate.parsed().tbs_certificate().validity().not_after;
        notes.push(format!("the signer's certificate has expired since, on {until}"));
    }
    Ok(())
}
