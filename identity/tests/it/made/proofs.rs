//! Gateways' proofs of themselves.

use super::Vector;
use super::presentations::{identity, sign};
use crate::inputs::secret;
use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Algorithm, Did, prove_gateway, sha256};

const IAT: u64 = 1_800_000_000;
/// What the gateway received; a proof only holds its hash.
const PRESENTATION: &str = "a.b.c";

fn device() -> Did {
    Did::from_digest([3; 32])
}

fn of(vector: Vector, algorithm: Algorithm, token: &str) -> Vector {
    vector
        .text("multikey", identity(algorithm).1.to_multikey())
        .text("token", token)
        .text("device", device())
        .text("presentation", PRESENTATION)
}

pub(super) fn valid() -> Vec<Vector> {
    [(Algorithm::Ed25519, "ed25519"), (Algorithm::P256, "p256")]
        .into_iter()
        .map(|(algorithm, name)| {
            let (operator, _) = identity(algorithm);
            let hash = sha256(&[PRESENTATION.as_bytes()]);
            let signer = secret(algorithm);
            let token = prove_gateway(&operator, &device(), &hash, IAT, &signer).unwrap();
            of(Vector::valid("gateway-proof", name, "For one presentation."), algorithm, &token)
                .text("operator", operator)
                .text("iat", IAT)
        })
        .collect()
}

pub(super) fn invalid() -> Vec<Vector> {
    let ed = Algorithm::Ed25519;
    let (did, key) = identity(ed);
    let kid = did.url(&key);
    let header = format!(r#"{{"alg":"EdDSA","typ":"muster-gateway+jwt","kid":"{kid}"}}"#);
    let hash = |text: &str| BASE64URL_NOPAD.encode(&sha256(&[text.as_bytes()]));
    let (ours, device) = (hash(PRESENTATION), device());
    let claims = format!(r#"{{"iss":"{did}","aud":"{device}","prs":"{ours}","iat":{IAT}}}"#);
    let one = |name, fault, header: &str, claims: &str| {
        of(Vector::invalid("gateway-proof", name, fault), ed, &sign(ed, header, claims))
    };
    let in_claims = |name, fault, from: &str, to: &str| {
        assert!(claims.contains(from), "{name}");
        one(name, fault, &header, &claims.replacen(from, to, 1))
    };
    let other_key = format!("{}", did.url(&identity(Algorithm::P256).1));
    vec![
        one("presentation-typ", "wrong_typ", &header.replace("muster-gateway", "muster"), &claims),
        one("other-key", "wrong_alg", &header.replace(&kid.to_string(), &other_key), &claims),
        in_claims("other-presentation", "other_presentation", &ours, &hash("d.e.f")),
        in_claims(
            "other-device",
            "other_presentation",
            &device.to_string(),
            &Did::from_digest([4; 32]).to_string(),
        ),
        in_claims("other-issuer", "wrong_iss", &did.to_string(), &device.to_string()),
        in_claims("hash-short", "wrong_claim", &ours, &ours[..40]),
        in_claims("hash-padded", "base64url", &ours, &format!("{ours}=")),
        in_claims("no-time", "missing_member", &format!(r#","iat":{IAT}"#), ""),
        in_claims("time-as-text", "wrong_json_type", &IAT.to_string(), &format!("\"{IAT}\"")),
        in_claims("unknown-claim", "unknown_member", "\"iat\"", "\"x\":1,\"iat\""),
    ]
}
