use super::super::json::Json;
use super::super::key_text::{Jwk, KeyText};
use super::super::secrets;
use super::judge::Broken;
use crate::RowFault;
use crate::limits::SLOTS;
use crate::x509::moment_of_text;
use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Signature, sha256};
use muster_ledger::Time;

/// An entry that was read: its form is right, its signature not yet checked.
#[derive(Debug)]
pub(super) struct Entry {
    /// `protected.payload`, which is signed (RFC 7515 §5.1).
    pub(super) signed: String,
    pub(super) signature: Signature,
    /// SHA-256 of `protected.payload.signature`.
    pub(super) digest: [u8; 32],
    /// How the signer is named.
    pub(super) kid: Option<String>,
    pub(super) x5t: Option<String>,
    /// When the chip was provisioned, as the signer says.
    pub(super) time: Time,
    pub(super) model: Option<String>,
    pub(super) group: Option<String>,
    /// Absent if the set is.
    pub(super) slots: Option<Vec<Slot>>,
    pub(super) encrypted: bool,
}

/// A key of the chip.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its number, as the manifest writes it.
    pub(super) name: String,
    pub(super) key: KeyText,
    /// Certificates in base64, the device's first.
    pub(super) x5c: Option<Vec<String>>,
}

type Members = [(String, Json)];

/// Reads an entry; `serial` hears the chip's id as soon as it is known.
pub(super) fn read(text: &str, serial: &mut Option<String>) -> Result<Entry, Broken> {
    let jws = object(text.as_bytes(), "row")?;
    let [protected, payload, signature] =
        ["protected", "payload", "signature"].map(|name| (name, string(&jws, name)));
    let text_of = |(name, text): (&'static str, Option<&str>)| {
        text.map(String::from).ok_or_else(|| jws_fault(name, "is not there, or is no text"))
    };
    let (protected, payload) = (text_of(protected)?, text_of(payload)?);
    let signature_text = text_of(signature)?;
    let claims = object(&bytes(&payload, "payload")?, "payload")?;
    let id = string(&claims, "uniqueId");
    *serial = id.map(String::from);
    let Some(Json::Object(header)) = member(&jws, "header") else {
        return Err(jws_fault("header", "is not there, or is no object"));
    };
    if id.is_none() || id != string(header, "uniqueId") {
        let reason = "the entry's header names another chip than its payload";
        return Err(RowFault::new("unique-id-mismatch", reason).into());
    }
    let names = object(&bytes(&protected, "protected")?, "protected")?;
    if string(&names, "alg") != Some("ES256") {
        return Err(RowFault::new("jws-alg", "the entry is not signed by ES256").into());
    }
    // RFC 7515 §4.1.11: what must be understood and is not, is refused. §7.2.1: no name twice.
    if names.iter().any(|(name, _)| name == "crit" || member(header, name).is_some()) {
        return Err(jws_fault("protected", "demands an extension, or stands in `header` as well"));
    }
    if !matches!(member(&claims, "version"), Some(Json::Integer(v)) if v == "1" || v == "2") {
        return Err(RowFault::new("manifest-version", "the entry is of no known version").into());
    }
    let time = string(&claims, "provisioningTimestamp").and_then(moment_of_text);
    let time = time.ok_or_else(|| {
        RowFault::new("timestamp", "provisioningTimestamp is not there, or no moment in UTC")
    })?;
    let signature = bytes(&signature_text, "signature")?.try_into();
    let signature = signature.map_err(|_| jws_fault("signature", "is not 64 bytes"))?;
    let signed = format!("{protected}.{payload}");
    Ok(Entry {
        digest: sha256(&[signed.as_bytes(), b".", signature_text.as_bytes()]),
        signed,
        signature: Signature(signature),
        kid: string(&names, "kid").map(String::from),
        x5t: string(&names, "x5t#S256").map(String::from),
        time,
        model: string(&claims, "partNumber").or(string(&claims, "model")).map(String::from),
        group: string(&claims, "groupId").map(String::from),
        slots: present(&claims, "publicKeySet").map(slots).transpose()?,
        encrypted: present(&claims, "encryptedSecretKeySet").is_some(),
    })
}

fn slots(set: &Json) -> Result<Vec<Slot>, Broken> {
    let fault = |reason: &str| Broken::from(RowFault::new("public-key-set", reason));
    let Json::Object(set) = set else { return Err(fault("publicKeySet is no object")) };
    let Some(Json::Array(keys)) = member(set, "keys") else {
        return Err(fault("publicKeySet holds no list of keys"));
    };
    if keys.len() > SLOTS {
        return Err(fault("publicKeySet holds more than 16 keys"));
    }
    let mut slots: Vec<Slot> = Vec::new();
    for key in keys {
        let Json::Object(key) = key else { return Err(fault("a key is no object")) };
        let name = match member(key, "kid") {
            Some(Json::Text(text) | Json::Integer(text)) if text.len() <= 16 => text.clone(),
            _ => return Err(fault("a key does not name its slot")),
        };
        if slots.iter().any(|slot| slot.name == name) {
            return Err(fault("two keys name one slot"));
        }
        let x5c = match member(key, "x5c") {
            None => None,
            Some(Json::Array(list)) => Some(list.iter().map(text).collect::<Option<_>>()),
            Some(_) => Some(None),
        };
        let x5c = match x5c {
            Some(None) => return Err(fault("an x5c is no list of texts")),
            Some(Some(list)) => Some(list),
            None => None,
        };
        slots.push(Slot { name, key: KeyText::Jwk(Jwk::from_members(key.clone())), x5c });
    }
    Ok(slots)
}

/// JSON that is one object with no member twice, at any depth, and no private key.
fn object(bytes: &[u8], field: &'static str) -> Result<Vec<(String, Json)>, Broken> {
    let parsed = str::from_utf8(bytes).ok().and_then(|text| Json::parse(text).ok());
    let Some(json) = parsed else {
        if secrets::in_unreadable(bytes) {
            return Err(Broken::PrivateKey(field.into()));
        }
        return Err(RowFault::new("not-json", format!("`{field}` is not JSON"))
            .of_field(field)
            .into());
    };
    if let Some(inner) = secrets::in_json(&json) {
        return Err(Broken::PrivateKey(inner));
    }
    if let Some(name) = json.doubled() {
        let reason = format!("`{}` stands twice", secrets::shown(name));
        return Err(RowFault::new("duplicate-field", reason).of_field(field).into());
    }
    match json {
        Json::Object(members) => Ok(members),
        _ => {
            Err(RowFault::new("not-json", format!("`{field}` is no object")).of_field(field).into())
        }
    }
}

fn bytes(text: &str, field: &'static str) -> Result<Vec<u8>, Broken> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| jws_fault(field, "is not base64url"))
}

fn jws_fault(field: &'static str, what: &str) -> Broken {
    RowFault::new("jws", format!("`{field}` {what}")).of_field(field).into()
}

fn member<'a>(members: &'a Members, name: &str) -> Option<&'a Json> {
    members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// A member that is something.
fn present<'a>(members: &'a Members, name: &str) -> Option<&'a Json> {
    member(members, name).filter(|value| **value != Json::Null)
}

fn string<'a>(members: &'a Members, name: &str) -> Option<&'a str> {
    match member(members, name)? {
        Json::Text(text) => Some(text),
        _ => None,
    }
}

fn text(json: &Json) -> Option<String> {
    match json {
        Json::Text(text) => Some(text.clone()),
        _ => None,
    }
}
