//! Logins of people and invites.

use super::Vector;
use super::presentations::{identity, sign};
use crate::inputs::secret;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_identity::{
    Algorithm, Audience, INVITE_LIFETIME, InviteTerms, LoginTerms, MAX_LIFETIME, MAX_PERSON, Role,
    invite, log_in, sha256,
};

const IAT: u64 = 1_800_000_000;
const NETWORK: [u8; 32] = [0x5a; 32];
const SECRET: &[u8] = b"one time";

fn login() -> LoginTerms {
    LoginTerms {
        audience: "https://console.example:7700".parse().unwrap(),
        nonce: "pL0-x_9".into(),
        iat: IAT,
        exp: IAT + MAX_LIFETIME,
        jti: BASE64URL_NOPAD.encode(&[0x5a; 16]),
        network: NETWORK,
    }
}

fn invited() -> InviteTerms {
    InviteTerms {
        network: NETWORK,
        jti: BASE64URL_NOPAD.encode(&[0x5a; 16]),
        iat: IAT,
        exp: IAT + 3_600,
        role: Role::Operator,
        name: "Zoë, night shift".into(),
        secret_hash: sha256(&[SECRET]),
    }
}

pub(super) fn valid() -> Vec<Vector> {
    let (ed, p256) = (Algorithm::Ed25519, Algorithm::P256);
    let says = |algorithm, name: &str, about, terms: LoginTerms| {
        let (did, key) = identity(algorithm);
        let token = log_in(&did, &terms, &secret(algorithm)).unwrap();
        Vector::valid("login", name, about)
            .text("multikey", key.to_multikey())
            .text("token", token)
            .text("organisation", did)
            .text("audience", terms.audience)
            .text("nonce", terms.nonce)
            .text("window", format!("{}..{}", terms.iat, terms.exp))
            .text("jti", terms.jti)
            .hex("network", &terms.network)
    };
    let admits = |algorithm, name: &str, about, terms: InviteTerms| {
        let (did, key) = identity(algorithm);
        let token = invite(&did, &terms, &secret(algorithm)).unwrap();
        Vector::valid("invite", name, about)
            .text("multikey", key.to_multikey())
            .text("token", token)
            .text("organisation", did)
            .hex("network", &terms.network)
            .text("jti", terms.jti)
            .text("window", format!("{}..{}", terms.iat, terms.exp))
            .text("role", terms.role.word())
            .text("name", terms.name)
            .hex("secret", SECRET)
    };
    vec![
        says(ed, "ed25519", "Signs in for a minute.", login()),
        says(p256, "p256", "By a browser without Ed25519.", login()),
        says(
            p256,
            "longest",
            "Every member at its bound.",
            LoginTerms {
                audience: "x".repeat(Audience::MAX).parse().unwrap(),
                nonce: "n".repeat(64),
                iat: u64::MAX - MAX_LIFETIME,
                exp: u64::MAX,
                jti: "j".repeat(64),
                network: [0xff; 32],
            },
        ),
        admits(ed, "operator", "By a root key.", invited()),
        admits(p256, "viewer", "By a root key of P-256.", {
            InviteTerms { role: Role::Viewer, ..invited() }
        }),
        admits(ed, "auditor", "For one second.", {
            InviteTerms { role: Role::Auditor, exp: IAT + 1, ..invited() }
        }),
        admits(ed, "longest", "Every member at its bound.", {
            InviteTerms {
                jti: "j".repeat(64),
                exp: IAT + INVITE_LIFETIME,
                role: Role::Admin,
                name: "é".repeat(MAX_PERSON / 2),
                ..invited()
            }
        }),
    ]
}

pub(super) fn invalid() -> Vec<Vector> {
    let mut all = flawed_logins();
    all.extend(flawed_invites());
    let (did, key) = identity(Algorithm::Ed25519);
    let (_, stranger) = identity(Algorithm::P256);
    let token = log_in(&did, &login(), &secret(Algorithm::Ed25519)).unwrap();
    all.push(
        Vector::invalid("login", "of-another-key", "other_key")
            .text("multikey", stranger.to_multikey())
            .text("token", &token),
    );
    let token = invite(&did, &invited(), &secret(Algorithm::Ed25519)).unwrap();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    all.push(
        Vector::invalid("invite", "altered-signature", "signature")
            .text("multikey", key.to_multikey())
            .text("token", format!("{head}.{flipped}{}", &signature[1..])),
    );
    all
}

/// What is wrong: its name, the fault, and what stands where something else did.
type Flaw<'a> = (&'a str, &'a str, &'a str, &'a str);

/// `typ` in place of what stands there is the `typ` of the header.
fn flawed(kind: &'static str, typ: &str, good: &str, flaws: &[Flaw<'_>]) -> Vec<Vector> {
    let (did, key) = identity(Algorithm::Ed25519);
    let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{}"}}"#, did.url(&key));
    let flaws = flaws.iter().map(|(name, fault, from, to)| {
        let (mut header, mut claims) = (header.clone(), good.to_owned());
        if *from == "typ" {
            header = header.replacen(typ, to, 1);
        } else {
            assert!(claims.contains(from), "{name}");
            claims = claims.replacen(from, to, 1);
        }
        Vector::invalid(kind, name, fault)
            .text("multikey", key.to_multikey())
            .text("token", sign(Algorithm::Ed25519, &header, &claims))
    });
    flaws.collect()
}

fn flawed_logins() -> Vec<Vector> {
    let did = identity(Algorithm::Ed25519).0.to_string();
    let other = identity(Algorithm::P256).0.to_string();
    let net = HEXLOWER.encode(&NETWORK);
    let good = format!(
        r#"{{"iss":"{did}","aud":"https://c.example","nonce":"n0","iat":100,"exp":160,"jti":"j0","net":"{net}"}}"#
    );
    let padding = format!("x{}", "y".repeat(1_500));
    flawed(
        "login",
        "muster-login+jwt",
        &good,
        &[
            ("presentation-typ", "wrong_typ", "typ", "muster+jwt"),
            ("invite-typ", "wrong_typ", "typ", "muster-invite+jwt"),
            ("other-issuer", "wrong_iss", &did, &other),
            ("unknown-claim", "unknown_member", r#""iat""#, r#""sub":"x","iat""#),
            ("twice", "duplicate_member", r#""iat":100"#, r#""iat":100,"iat":101"#),
            ("no-nonce", "missing_member", r#""nonce":"n0","#, ""),
            ("no-network", "missing_member", &format!(r#","net":"{net}""#), ""),
            ("audience-with-space", "wrong_aud", "https://c.example", "https://c example"),
            (
                "audience-a-list",
                "wrong_json_type",
                r#""https://c.example""#,
                r#"["https://c.example"]"#,
            ),
            ("nonce-empty", "wrong_nonce", r#""n0""#, r#""""#),
            ("jti-not-base64url", "wrong_jti", r#""j0""#, r#""j=""#),
            ("lifetime-too-long", "lifetime", "160", "161"),
            ("lifetime-zero", "lifetime", "160", "100"),
            ("time-as-text", "wrong_json_type", "160", r#""160""#),
            ("network-upper-case", "wrong_claim", &net, &net.to_uppercase()),
            ("network-short", "wrong_claim", &net, &net[2..]),
            ("too-long", "token_too_long", "n0", &padding),
        ],
    )
}

fn flawed_invites() -> Vec<Vector> {
    let did = identity(Algorithm::Ed25519).0.to_string();
    let other = identity(Algorithm::P256).0.to_string();
    let (aud, hash) = (HEXLOWER.encode(&NETWORK), BASE64URL_NOPAD.encode(&sha256(&[SECRET])));
    let good = format!(
        r#"{{"iss":"{did}","aud":"{aud}","jti":"j0","iat":100,"exp":200,"role":"admin","name":"Zoe","secret_hash":"{hash}"}}"#
    );
    let (week, name) = (101 + INVITE_LIFETIME, "n".repeat(MAX_PERSON + 1));
    flawed(
        "invite",
        "muster-invite+jwt",
        &good,
        &[
            ("login-typ", "wrong_typ", "typ", "muster-login+jwt"),
            ("other-issuer", "wrong_iss", &did, &other),
            ("unknown-claim", "unknown_member", r#""iat""#, r#""sub":"x","iat""#),
            ("twice", "duplicate_member", r#""role":"admin""#, r#""role":"viewer","role":"admin""#),
            ("no-secret", "missing_member", &format!(r#","secret_hash":"{hash}""#), ""),
            ("network-short", "wrong_aud", &aud, &aud[2..]),
            ("jti-empty", "wrong_jti", r#""j0""#, r#""""#),
            ("lifetime-too-long", "wrong_claim", r#""exp":200"#, &format!(r#""exp":{week}"#)),
            ("lifetime-zero", "wrong_claim", r#""exp":200"#, r#""exp":100"#),
            ("role-unknown", "wrong_claim", "admin", "root"),
            ("role-capital", "wrong_claim", "admin", "Admin"),
            ("name-empty", "wrong_claim", "Zoe", ""),
            ("name-too-long", "wrong_claim", "Zoe", &name),
            ("name-with-control", "wrong_claim", "Zoe", r"Z\u001boe"),
            ("name-with-quote", "wrong_claim", "Zoe", r#"Z\"oe"#),
            ("secret-short", "wrong_claim", &hash, "WlpaWlpaWlpaWlpaWlpaWg"),
        ],
    )
}
