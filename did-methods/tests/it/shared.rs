//! Vectors shared between projects: `$MUSTER_VECTORS`, else `../shared/vectors` beside the
//! workspace. Where they are absent the test says so.

use crate::{error, resolve};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn vectors(name: &str) -> Option<Value> {
    let near = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = std::env::var_os("MUSTER_VECTORS").map_or_else(near, PathBuf::from);
    let path = folder.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).expect("vectors are JSON")),
        Err(error) => {
            eprintln!("NOT RUN: {name}: {} ({error}); set MUSTER_VECTORS", path.display());
            None
        }
    }
}

/// A raw key, from whichever form the verification method has.
fn raw(method: &Value) -> Vec<u8> {
    let decode = |text: &Value| {
        BASE64URL_NOPAD.decode(text.as_str().expect("text").as_bytes()).expect("base64url")
    };
    if let Some(text) = method["publicKeyMultibase"].as_str() {
        return multibase::decode(text).expect("multibase").1[2..].to_vec();
    }
    if let Some(text) = method["publicKeyBase58"].as_str() {
        return multibase::decode(format!("z{text}")).expect("base58").1;
    }
    let jwk = &method["publicKeyJwk"];
    match jwk["y"].is_string() {
        false => decode(&jwk["x"]),
        true => {
            [vec![2 + (decode(&jwk["y"]).last().expect("bytes") & 1)], decode(&jwk["x"])].concat()
        }
    }
}

/// The keys that a relation names, as raw bytes.
fn keys(document: &Value, relation: &str) -> BTreeSet<Vec<u8>> {
    let methods = document["verificationMethod"].as_array().expect("methods");
    let named = document[relation].as_array().into_iter().flatten();
    named
        .map(|name| match name {
            Value::String(_) => raw(methods.iter().find(|m| m["id"] == *name).expect("a method")),
            method => raw(method),
        })
        .collect()
}

async fn compare(suite: &str) {
    let Some(suite) = vectors(suite) else { return };
    let cases = suite.as_object().expect("an object");
    assert!(!cases.is_empty());
    for (did, case) in cases {
        let expected = &case["didDocument"];
        let found = resolve(did).await.did_document.expect("a document");
        assert_eq!(found["id"], expected["id"]);
        for relation in [
            "authentication",
            "assertionMethod",
            "capabilityInvocation",
            "capabilityDelegation",
            "keyAgreement",
        ] {
            assert_eq!(keys(&found, relation), keys(expected, relation), "{did}: {relation}");
        }
        let ids = |document: &Value| -> BTreeSet<String> {
            let methods = document["verificationMethod"].as_array().expect("methods");
            methods.iter().map(|m| m["id"].to_string()).collect()
        };
        assert_eq!(ids(&found), ids(expected), "{did}");
    }
}

#[tokio::test]
async fn did_key_ed25519() {
    compare("did-key/ed25519-x25519.json").await;
}

#[tokio::test]
async fn did_key_secp256k1() {
    compare("did-key/secp256k1.json").await;
}

#[tokio::test]
async fn universal_resolver_identifiers() {
    let Some(all) = vectors("universal-resolver/test-identifiers.json") else { return };
    let list = |name: &str| -> Vec<String> {
        let list = all[name].as_array().expect("a list");
        list.iter().map(|did| did.as_str().expect("text").to_owned()).collect()
    };
    for did in list("key").into_iter().chain(list("jwk")) {
        let resolution = resolve(&did).await;
        assert_eq!(error(&resolution), None, "{did}: {resolution:?}");
        assert_eq!(resolution.did_document.expect("a document")["id"], did);
    }
    for did in list("peer") {
        assert_eq!(error(&resolve(&did).await), Some("METHOD_NOT_SUPPORTED"), "{did}");
    }
}
