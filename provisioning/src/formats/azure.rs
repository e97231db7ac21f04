//! Devices as Azure's services export and import them: enrolments of the Device Provisioning
//! Service and lines of an IoT Hub's import. They nest what a row says, and most name only the
//! thumbprint of a certificate.

use super::fields::{Draft, Field};
use super::json::Json;
use crate::RowFault;

/// What such an object says.
#[derive(Debug)]
pub(super) struct Cloud {
    kind: Kind,
    serial: Option<String>,
    certificate: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// An individual enrolment.
    Provisioning,
    /// A device of a hub.
    Hub,
}

/// Members that are read here, though they may have a meaning elsewhere.
const PROVISIONING: [&str; 2] = ["registrationId", "deviceId"];
const HUB: [&str; 2] = ["id", "deviceId"];

/// Reads the object, if it is one of theirs.
pub(super) fn read(members: &[(String, Json)]) -> Result<Option<Cloud>, RowFault> {
    if let Some(attestation) = object(members, "attestation") {
        let Some(id) = text(members, "registrationId") else {
            if text(members, "enrollmentGroupId").is_none() {
                return Ok(None);
            }
            let reason = "an enrolment group names no device, but the issuer of many";
            return Err(RowFault::new("serial-missing", reason));
        };
        let tpm = object(attestation, "tpm");
        if tpm.is_some_and(|tpm| text(tpm, "endorsementKey").is_some()) {
            let reason = "the enrolment names a TPM's endorsement key, which does not sign";
            return Err(RowFault::new("endorsement-key", reason));
        }
        let of = |name| object(object(object(attestation, "x509")?, "clientCertificates")?, name);
        let certificate = of("primary").and_then(|primary| text(primary, "certificate"));
        // Registration ids do not depend on case; the service keeps them in small letters.
        let serial = Some(id.to_lowercase());
        let certificate = certificate.map(String::from);
        return Ok(Some(Cloud { kind: Kind::Provisioning, serial, certificate }));
    }
    if object(members, "authentication").is_some() || text(members, "importMode").is_some() {
        let id = text(members, "id").or_else(|| text(members, "deviceId"));
        let serial = id.map(String::from);
        return Ok(Some(Cloud { kind: Kind::Hub, serial, certificate: None }));
    }
    Ok(None)
}

impl Cloud {
    /// Whether a member is read here.
    pub(super) fn reads(&self, name: &str) -> bool {
        match self.kind {
            Kind::Provisioning => PROVISIONING.contains(&name),
            Kind::Hub => HUB.contains(&name),
        }
    }

    /// Fills what the row does not say itself; what the user should know.
    pub(super) fn settle(self, draft: &mut Draft) -> Option<&'static str> {
        if let (None, Some(serial)) = (&draft.serial, &self.serial) {
            draft.set(Field::Serial, serial);
        }
        if let (None, Some(certificate)) = (&draft.document, &self.certificate) {
            draft.set(Field::Certificate, certificate);
        }
        let keyless = draft.document.is_none() && draft.public_key.is_none();
        keyless.then_some(
            "rows of Azure without certificates wait: a thumbprint is no key; give the keys by \
             --keys FILE",
        )
    }
}

fn member<'a>(members: &'a [(String, Json)], name: &str) -> Option<&'a Json> {
    members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn object<'a>(members: &'a [(String, Json)], name: &str) -> Option<&'a [(String, Json)]> {
    match member(members, name)? {
        Json::Object(members) => Some(members),
        _ => None,
    }
}

fn text<'a>(members: &'a [(String, Json)], name: &str) -> Option<&'a str> {
    match member(members, name)? {
        Json::Text(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}
