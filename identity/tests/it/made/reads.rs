//! Signed reads.

use super::Vector;
use super::presentations::{identity, sign};
use crate::inputs::secret;
use muster_identity::{Algorithm, Asked, MAX_TARGET, sign_read};

const IAT: u64 = 1_800_000_000;

fn asked() -> Asked {
    Asked {
        audience: "https://node.example:7700".parse().unwrap(),
        target: "/v1/lots?lot=A+17%2F2&order=9".into(),
        iat: IAT,
        exp: IAT + 60,
        jti: "AAECAwQFBgcICQoLDA0ODw".into(),
    }
}

pub(super) fn valid() -> Vec<Vector> {
    let read = |algorithm, name: &str, about, asked: Asked| {
        let (did, key) = identity(algorithm);
        let token = sign_read(&did, &asked, &secret(algorithm)).unwrap();
        Vector::valid("read", name, about)
            .text("multikey", key.to_multikey())
            .text("token", token)
            .text("organisation", did)
            .text("audience", &asked.audience)
            .text("target", &asked.target)
            .text("times", format!("{} {}", asked.iat, asked.exp))
            .text("jti", &asked.jti)
    };
    let longest = Asked {
        audience: "h".repeat(255).parse().unwrap(),
        target: format!("/{}", "~".repeat(MAX_TARGET - 1)),
        iat: u64::MAX - 60,
        exp: u64::MAX,
        jti: "_".repeat(64),
    };
    vec![
        read(Algorithm::Ed25519, "ed25519", "A question about a lot.", asked()),
        read(Algorithm::P256, "p256", "The gateways, asked by a key of the other kind.", {
            Asked { target: "/v1/gateways".into(), exp: IAT + 1, ..asked() }
        }),
        read(Algorithm::P256, "longest", "Every member at its bound.", longest),
    ]
}

pub(super) fn invalid() -> Vec<Vector> {
    let ed = Algorithm::Ed25519;
    let (did, key) = identity(ed);
    let (other, stranger) = identity(Algorithm::P256);
    let header = format!(r#"{{"alg":"EdDSA","typ":"muster-read+jwt","kid":"{}"}}"#, did.url(&key));
    let good = format!(
        r#"{{"iss":"{did}","aud":"https://node.example","path":"/v1/lots","iat":100,"exp":160,"jti":"abc"}}"#
    );
    let long = format!("/{}", "a".repeat(MAX_TARGET));
    let (did_text, other) = (did.to_string(), other.to_string());
    let flaws = [
        ("presentation-typ", "wrong_typ", "typ", "muster+jwt"),
        ("registration-typ", "wrong_typ", "typ", "muster-registration+jwt"),
        ("other-issuer", "wrong_iss", &did_text, &other),
        ("unknown-claim", "unknown_member", r#""iat""#, r#""method":"GET","iat""#),
        ("twice", "duplicate_member", r#""iat":100"#, r#""iat":100,"iat":101"#),
        ("no-path", "missing_member", r#""path":"/v1/lots","#, ""),
        ("no-expiry", "missing_member", r#","exp":160"#, ""),
        ("path-relative", "wrong_claim", "/v1/lots", "v1/lots"),
        ("path-with-space", "wrong_claim", "/v1/lots", "/v1/lots?lot=A 17"),
        ("path-with-quote", "wrong_claim", "/v1/lots", r#"/v1/lots?lot=\"A\""#),
        ("path-too-long", "wrong_claim", "/v1/lots", &long),
        (
            "audience-list",
            "wrong_json_type",
            r#""https://node.example""#,
            r#"["https://n.example"]"#,
        ),
        ("audience-empty", "wrong_aud", "https://node.example", ""),
        ("lifetime-zero", "lifetime", "160", "100"),
        ("lifetime-too-long", "lifetime", "160", "161"),
        ("expires-before-issue", "lifetime", "160", "99"),
        ("jti-empty", "wrong_jti", "abc", ""),
        ("jti-not-base64url", "wrong_jti", "abc", "a+c"),
    ];
    let mut all = Vec::new();
    for (name, fault, from, to) in flaws {
        let (header, claims) = match from {
            "typ" => (header.replacen("muster-read+jwt", to, 1), good.clone()),
            _ => {
                assert!(good.contains(from), "{name}");
                (header.clone(), good.replacen(from, to, 1))
            }
        };
        let token = sign(ed, &header, &claims);
        all.push(
            Vector::invalid("read", name, fault)
                .text("multikey", key.to_multikey())
                .text("token", token),
        );
    }
    let token = sign_read(&did, &asked(), &secret(ed)).unwrap();
    all.push(
        Vector::invalid("read", "of-another-key", "other_key")
            .text("multikey", stranger.to_multikey())
            .text("token", &token),
    );
    let (head, signature) = token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    all.push(
        Vector::invalid("read", "altered-signature", "signature")
            .text("multikey", key.to_multikey())
            .text("token", format!("{head}.{flipped}{}", &signature[1..])),
    );
    all
}
