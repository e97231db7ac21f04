use super::secrets::shown;
use crate::RowFault;
use crate::limits::CHAIN;
use crate::x509::{Certificate, Crl, Subject, X509Fault};
use muster_identity::sha256;
use muster_ledger::Time;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage,
    SubjectAltName,
};

/// Issuers that are remembered, each checked once: a run has a few.
const ISSUERS: usize = 1_024;

/// Issuers of device certificates that the user trusts, and their revocation lists.
#[derive(Debug, Default)]
pub struct Trust {
    /// By the subject's name.
    anchors: BTreeMap<Vec<u8>, Vec<Certificate>>,
    /// By the issuer's name, with their files.
    lists: BTreeMap<Vec<u8>, Vec<(String, Crl)>>,
    /// Issuers met, by the digest of their certificate and of what stood beside it.
    met: Mutex<BTreeMap<[u8; 32], Checked>>,
}

/// Why a certificate is not believed.
#[derive(Debug, Clone)]
pub(super) enum Doubt {
    /// It cannot be judged with what is here.
    Waiting(RowFault),
    /// It is no good.
    Refused(RowFault),
}

impl From<RowFault> for Doubt {
    fn from(fault: RowFault) -> Self {
        Self::Refused(fault)
    }
}

/// An issuer that leads to one the user trusts, or why it does not.
type Checked = Result<Arc<Issuer>, Doubt>;

#[derive(Debug)]
struct Issuer {
    certificate: Certificate,
    subject: Subject,
    /// Its lists: digests of those that it signed.
    lists: Vec<[u8; 32]>,
}

impl Trust {
    /// Adds the certificate of an issuer.
    pub fn add(&mut self, certificate: Certificate) {
        let same = self.anchors.entry(certificate.subject().to_vec()).or_default();
        if same.iter().all(|known| known.der() != certificate.der()) {
            same.push(certificate);
        }
    }

    /// Adds a revocation list.
    pub fn add_list(&mut self, list: Crl, file: &str) {
        self.lists.entry(list.issuer().to_vec()).or_default().push((file.into(), list));
    }

    /// Whether no issuer is there.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Refuses a list that its issuer did not sign; the file's name and why. A list whose issuer
    /// is not here may be of one that comes with the devices, so it is kept.
    pub(crate) fn check_lists(
        &self,
        warnings: &mut Vec<String>,
    ) -> Result<(), (String, X509Fault)> {
        for (name, lists) in &self.lists {
            let issuers = self.anchors.get(name).map_or(&[][..], |issuers| &issuers[..]);
            for (file, list) in lists {
                let checks = issuers.iter().map(|issuer| list.check_issued_by(issuer));
                let checks: Vec<_> = checks.collect();
                if let Some(Err(fault)) =
                    checks.iter().find(|check| check.is_ok()).or(checks.last())
                {
                    return Err((file.clone(), *fault));
                }
                if checks.is_empty() {
                    let text = "is of an issuer that is not there";
                    warnings.push(format!("--trust: the revocation list {file} {text}"));
                }
            }
        }
        Ok(())
    }

    /// Checks that a device's certificate was issued by somebody the user trusts, by way of the
    /// certificates that stood beside it if need be (RFC 5280 §6.1), and was not revoked.
    pub(super) fn check(
        &self,
        device: &Certificate,
        chain: &[Certificate],
        now: Time,
    ) -> Result<(), Doubt> {
        let same = self.anchors.get(device.subject()).into_iter().flatten();
        if same.into_iter().any(|known| known.der() == device.der()) {
            // The user named this very certificate.
            return Ok(());
        }
        let issuer = self.issuer_of(device, chain)?;
        let issuer = self.checked(issuer, chain, now)?;
        self.check_revocation(device, &issuer)?;
        check_matter(device, &issuer.subject)
    }

    /// The certificate whose key signed another, among those trusted and those beside it.
    fn issuer_of<'a>(
        &'a self,
        child: &Certificate,
        chain: &'a [Certificate],
    ) -> Result<&'a Certificate, Doubt> {
        let wanted = authority_key_id(child);
        let trusted = self.anchors.get(child.issuer()).into_iter().flatten();
        let beside = chain.iter().filter(|c| c.subject() == child.issuer());
        let candidates =
            trusted.chain(beside).filter(|candidate| match (&wanted, candidate.subject_key_id()) {
                (Some(wanted), Some(id)) => wanted == id,
                _ => true,
            });
        let mut last = None;
        for candidate in candidates {
            match child.check_issued_by(candidate) {
                Ok(()) => return Ok(candidate),
                Err(fault) => last = Some(fault),
            }
        }
        let name = shown(&child.issuer_text());
        Err(match last {
            None => Doubt::Waiting(RowFault::new(
                "unknown-issuer",
                format!("no certificate is known for the issuer, {name}"),
            )),
            Some(X509Fault::Signature | X509Fault::Malformed) => Doubt::Refused(RowFault::new(
                "certificate-signature",
                format!("the certificate was not signed by the issuer it names, {name}"),
            )),
            Some(fault) => Doubt::Waiting(RowFault::new(
                "issuer-algorithm",
                format!("the signature of the issuer {name} cannot be checked: {fault}"),
            )),
        })
    }

    /// An issuer, checked when it is first met.
    fn checked(&self, issuer: &Certificate, chain: &[Certificate], now: Time) -> Checked {
        let parts: Vec<Vec<u8>> =
            [issuer].into_iter().chain(chain).map(|c| c.sha256().to_vec()).collect();
        let digest = sha256(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let lock = || self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&digest) {
            return known.clone();
        }
        let checked = self.climb(issuer, chain, now, 0, 0);
        let mut met = lock();
        if met.len() < ISSUERS {
            met.insert(digest, checked.clone());
        }
        checked
    }

    /// Follows an issuer up to where trust ends: at a certificate that the user named and above
    /// which none is known.
    fn climb(
        &self,
        ca: &Certificate,
        chain: &[Certificate],
        now: Time,
        depth: usize,
        below: usize,
    ) -> Checked {
        let name = shown(&ca.subject_text());
        let fault = |why: &str| RowFault::new("certificate-chain", format!("{why}: {name}"));
        if depth > CHAIN {
            return Err(fault("the chain has more than 4 issuers").into());
        }
        if !ca.is_ca() {
            return Err(fault("the issuer may not issue certificates").into());
        }
        if !ca.is_valid_at(now) {
            return Err(fault("the issuer's certificate has expired or is not valid yet").into());
        }
        if let Some(oid) = unknown_critical(ca) {
            return Err(fault(&format!("critical extension {oid} of the issuer")).into());
        }
        let basic = ca.parsed().tbs_certificate().get_extension::<BasicConstraints>();
        let longest = basic.ok().flatten().and_then(|(_, basic)| basic.path_len_constraint);
        if longest.is_some_and(|longest| usize::from(longest) < below) {
            return Err(fault("the chain is longer than the issuer allows (path length)").into());
        }
        let self_issued = ca.issuer() == ca.subject();
        let named = self.anchors.get(ca.subject()).into_iter().flatten();
        let trusted = named.into_iter().any(|anchor| anchor.der() == ca.der());
        if trusted && self_issued {
            ca.check_issued_by(ca).map_err(|_| fault("a root did not sign itself"))?;
        } else if self_issued {
            let why = format!("the root is not among the trusted, {name}");
            return Err(Doubt::Waiting(RowFault::new("unknown-issuer", why)));
        } else {
            match self.issuer_of(ca, chain) {
                Ok(parent) => {
                    let parent = self.climb(parent, chain, now, depth + 1, below + 1)?;
                    self.check_revocation(ca, &parent)?;
                    check_matter(ca, &parent.subject)?;
                }
                Err(Doubt::Waiting(_)) if trusted => {}
                Err(doubt) => return Err(doubt),
            }
        }
        let lists = self.lists.get(ca.subject()).into_iter().flatten();
        let own = lists.filter(|(_, list)| list.check_issued_by(ca).is_ok());
        Ok(Arc::new(Issuer {
            certificate: ca.clone(),
            subject: Subject::of(ca.parsed().tbs_certificate().subject()),
            lists: own.map(|(_, list)| list.sha256()).collect(),
        }))
    }

    fn check_revocation(&self, child: &Certificate, issuer: &Issuer) -> Result<(), Doubt> {
        let lists = self.lists.get(issuer.certificate.subject()).into_iter().flatten();
        let mut names = lists.filter(|(_, list)| list.names(child.serial()));
        if issuer.lists.is_empty() || !names.any(|(_, list)| issuer.lists.contains(&list.sha256()))
        {
            return Ok(());
        }
        let name = shown(&child.subject_text());
        let reason = format!("a revocation list of its issuer names the certificate {name}");
        Err(RowFault::new("revoked-by-issuer", reason).into())
    }
}

/// The ids of a device are those of its issuer, where the issuer has any (Matter Core §6.2.3).
fn check_matter(device: &Certificate, issuer: &Subject) -> Result<(), Doubt> {
    let subject = Subject::of(device.parsed().tbs_certificate().subject());
    let differs = |own: Option<u16>, above: Option<u16>| above.is_some() && own != above;
    if differs(subject.vendor, issuer.vendor) || differs(subject.product, issuer.product) {
        let reason = "vendor or product id in the certificate are not those of its issuer";
        return Err(RowFault::new("matter-id", reason).into());
    }
    Ok(())
}

fn authority_key_id(certificate: &Certificate) -> Option<Vec<u8>> {
    let tbs = certificate.parsed().tbs_certificate();
    let (_, id) = tbs.get_extension::<AuthorityKeyIdentifier>().ok()??;
    Some(id.key_identifier?.as_bytes().to_vec())
}

/// A critical extension that is not understood here (RFC 5280 §4.2): name constraints and policy
/// constraints are among them.
pub(super) fn unknown_critical(certificate: &Certificate) -> Option<String> {
    let known = [
        BasicConstraints::OID,
        KeyUsage::OID,
        ExtendedKeyUsage::OID,
        SubjectAltName::OID,
        CertificatePolicies::OID,
    ];
    let extensions = certificate.parsed().tbs_certificate().extensions()?;
    let unknown = extensions.iter().find(|e| e.critical && !known.contains(&e.extn_id))?;
    Some(unknown.extn_id.to_string())
}
