//! DID documents against DID Core 1.0, clause by clause, and Controlled Identifiers 1.0 §2.2.2.

use crate::inputs::secret;
use muster_identity::{AgreementKey, Algorithm, Did, Document, Inception, Relationships, Signer};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// DID Core §3.1: `did:` method-name `:` method-specific-id.
fn is_did(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let (scheme, method, id) = (parts.next(), parts.next(), parts.next());
    scheme == Some("did")
        && method.is_some_and(|m| {
            !m.is_empty() && m.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
        && id.is_some_and(|id| {
            !id.is_empty()
                && !id.ends_with(':')
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:%".contains(&b))
        })
}

/// What a conforming consumer may object to (DID Core §7.2 and the clauses named here).
fn conforms(document: &Value) -> Result<(), String> {
    let object = document.as_object().ok_or("§6.2: a JSON object")?;
    let known = ["@context", "id", "verificationMethod", "authentication", "keyAgreement"];
    if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("§4.1: a property that this method does not use: {name}"));
    }
    let contexts = document["@context"].as_array().ok_or("§6.3.1: an @context")?;
    if contexts.first() != Some(&json!("https://www.w3.org/ns/did/v1")) {
        return Err("§6.3.1: the first @context".into());
    }
    let id = document["id"].as_str().filter(|id| is_did(id)).ok_or("§5.1.1: id is a DID")?;
    let mut ids = BTreeSet::new();
    if let Some(methods) = object.get("verificationMethod") {
        for method in methods.as_array().ok_or("§5.2: verificationMethod is a set")? {
            let text = |name: &str| method[name].as_str().ok_or(format!("§5.2: {name}"));
            let (did, fragment) =
                text("id")?.split_once('#').ok_or("§5.2: id is a DID URL with a fragment")?;
            if did != id || fragment.is_empty() || !ids.insert(text("id")?) {
                return Err("§5.2: ids are of this document and unique".into());
            }
            if !is_did(text("controller")?) {
                return Err("§5.2: controller is a DID".into());
            }
            if text("type")? != "Multikey" || !text("publicKeyMultibase")?.starts_with('z') {
                return Err("CID §2.2.2: a Multikey is base58btc".into());
            }
            if method.as_object().map(|m| m.len()) != Some(4) {
                return Err("§5.2: one key in one form, and nothing private".into());
            }
            if !contexts.contains(&json!("https://w3id.org/security/multikey/v1")) {
                return Err("§6.3.1: the context that defines Multikey".into());
            }
        }
    }
    for name in ["authentication", "keyAgreement"] {
        let Some(relationship) = object.get(name) else { continue };
        let set = relationship.as_array().ok_or("§5.3: a set")?;
        let unique: BTreeSet<&str> = set.iter().filter_map(Value::as_str).collect();
        if set.is_empty() || unique.len() != set.len() || !unique.is_subset(&ids) {
            return Err(format!("§5.3: {name} names one or more methods of the document, once"));
        }
    }
    Ok(())
}

fn parts() -> (Did, [muster_identity::PublicKey; 2], AgreementKey) {
    let keys = [secret(Algorithm::P256).public_key(), secret(Algorithm::Ed25519).public_key()];
    // RFC 7748 §6.1, Alice's public key.
    let agreement =
        crate::inputs::hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    let agreement = AgreementKey::x25519(agreement.try_into().unwrap()).unwrap();
    (Did::of(&Inception::from_key(keys[0])), keys, agreement)
}

#[test]
fn every_form_conforms_and_reads_back() {
    let (did, keys, agreement) = parts();
    for agreement in [None, Some(&agreement)] {
        for count in 0..=keys.len() {
            for relationships in [Relationships::InForce, Relationships::Withheld] {
                let document = Document::for_keys(&did, &keys[..count], agreement, relationships);
                let json = serde_json::to_value(&document).unwrap();
                assert_eq!(conforms(&json), Ok(()), "{json:#}");
                assert!(json.get("controller").is_none(), "nobody else may change it");
                if count > 0 {
                    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), document);
                }
            }
        }
    }
}

#[test]
fn a_device_in_good_standing() {
    let (did, keys, _) = parts();
    let document = Document::for_keys(&did, &keys[..1], None, Relationships::InForce);
    let (id, key) = (did.to_string(), keys[0].to_multikey());
    assert_eq!(
        serde_json::to_value(&document).unwrap(),
        json!({
            "@context": [
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/multikey/v1",
            ],
            "id": id,
            "verificationMethod": [{
                "id": format!("{id}#{key}"),
                "type": "Multikey",
                "controller": id,
                "publicKeyMultibase": key,
            }],
            "authentication": [format!("{id}#{key}")],
        })
    );
}

#[test]
fn held_keeps_its_methods_and_loses_its_relationships() {
    let (did, keys, agreement) = parts();
    let document = Document::for_keys(&did, &keys, Some(&agreement), Relationships::Withheld);
    let json = serde_json::to_value(document).unwrap();
    assert_eq!(json["verificationMethod"].as_array().unwrap().len(), 3);
    assert!(json.get("authentication").is_none());
    assert!(json.get("keyAgreement").is_none());
}

#[test]
fn deactivated_is_its_id() {
    let (did, ..) = parts();
    let json = serde_json::to_value(Document::deactivated(&did)).unwrap();
    assert_eq!(conforms(&json), Ok(()));
    assert_eq!(json.as_object().unwrap().len(), 2);
    assert_eq!(json["id"], did.to_string());
}

#[test]
fn foreign_documents_are_refused() {
    let (did, keys, agreement) = parts();
    let good = Document::for_keys(&did, &keys, Some(&agreement), Relationships::InForce);
    let good = serde_json::to_value(good).unwrap();
    let altered = |alter: fn(&mut Value)| {
        let mut json = good.clone();
        alter(&mut json);
        json
    };
    for json in [
        altered(|d| d["controller"] = json!("did:muster:z1")),
        altered(|d| d["id"] = json!("did:example:1")),
        altered(|d| d["@context"] = json!("https://www.w3.org/ns/did/v1")),
        altered(|d| d["authentication"] = json!([d["authentication"][0].clone()])),
        altered(|d| d["verificationMethod"][0]["controller"] = json!("did:example:1")),
        altered(|d| d["verificationMethod"][0]["type"] = json!("JsonWebKey")),
        altered(|d| d["verificationMethod"][0]["publicKeyMultibase"] = json!("z6Mk")),
        altered(|d| d["verificationMethod"][0]["secretKeyMultibase"] = json!("z6Mk")),
    ] {
        assert!(serde_json::from_value::<Document>(json.clone()).is_err(), "{json:#}");
    }
}
