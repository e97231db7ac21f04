//! The Ed25519 edge cases of C2SP/CCTV, on which libraries disagree. A ledger may not.
//!
//! The rule: refuse what has a small-order key or commitment, an encoding that is not canonical,
//! or fails the equation without cofactor (a low-order residue). Accept all else; a key or
//! commitment with a low-order *component* is no flaw by itself.

use crate::inputs::{hex, shared};
use muster_identity::{PublicKey, Signature};
use serde_json::Value;

const REFUSED: [&str; 5] =
    ["low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue"];
/// Of these the rule asks nothing: `reencoded_k` comes with an encoding that is refused anyway.
const INDIFFERENT: [&str; 3] = ["low_order_component_A", "low_order_component_R", "reencoded_k"];

#[test]
fn every_edge_case_has_the_stated_verdict() {
    let Some(text) = shared("cctv-ed25519/ed25519vectors.json") else { return };
    let vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for vector in &vectors {
        let no = &vector["number"];
        let flags: Vec<&str> =
            vector["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for flag in &flags {
            assert!(REFUSED.contains(flag) || INDIFFERENT.contains(flag), "{no}: new flag {flag}");
        }
        let field = |name: &str| hex(vector[name].as_str().unwrap());
        let key = PublicKey::ed25519(field("key").try_into().unwrap());
        let small_order_or_alias =
            flags.contains(&"low_order_A") || flags.contains(&"non_canonical_A");
        assert_eq!(key.is_err(), small_order_or_alias, "{no}: the key, {flags:?}");

        let signature = Signature(field("sig").try_into().unwrap());
        let message = vector["msg"].as_str().unwrap().as_bytes();
        let verdict = key.is_ok_and(|key| key.verify(message, &signature).is_ok());
        // Reading and verifying in one is the same rule.
        let bytes: [u8; 32] = field("key").try_into().unwrap();
        let at_once = PublicKey::ed25519_verified(&bytes, message, &signature);
        assert_eq!(at_once.is_ok(), verdict, "{no}: at once, {flags:?}");
        assert_eq!(verdict, !flags.iter().any(|f| REFUSED.contains(f)), "{no}: {flags:?}");
        if verdict { accepted += 1 } else { refused += 1 }
    }
    println!("cctv-ed25519: {accepted} accepted, {refused} refused");
    assert!(accepted > 0 && refused > 0);
}
