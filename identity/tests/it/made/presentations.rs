use super::Vector;
use crate::inputs::secret;
use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Algorithm, Audience, Did, Freshness, Inception, PublicKey, Signer, present};

const IAT: u64 = 1_800_000_000;

pub(super) fn identity(algorithm: Algorithm) -> (Did, PublicKey) {
    let key = secret(algorithm).public_key();
    (Did::of(&Inception::from_key(key)), key)
}

fn of(vector: Vector, algorithm: Algorithm, token: &str) -> Vector {
    vector.text("multikey", identity(algorithm).1.to_multikey()).text("token", token)
}

/// A token of any header and payload, truly signed: its flaw is the only one.
pub(super) fn sign(algorithm: Algorithm, header: &str, claims: &str) -> String {
    let b64 = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = secret(algorithm).sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature.0))
}

pub(super) fn valid() -> Vec<Vector> {
    let audience: Audience = "gateway.example".parse().unwrap();
    let longest: Audience = "x".repeat(Audience::MAX).parse().unwrap();
    let made = |algorithm, name: &str, about, audience: &Audience, freshness: &Freshness| {
        let (did, _) = identity(algorithm);
        let token = present(&did, audience, freshness, &[0x5a; 16], &secret(algorithm)).unwrap();
        of(Vector::valid("presentation", name, about), algorithm, &token)
            .text("did", did)
            .text("audience", audience)
            .text(
                "freshness",
                match freshness {
                    Freshness::Window { iat, exp } => format!("{iat}..{exp}"),
                    Freshness::Nonce(nonce) => nonce.clone(),
                },
            )
            .text("jti", BASE64URL_NOPAD.encode(&[0x5a; 16]))
    };
    let time = Freshness::Window { iat: IAT, exp: IAT + 60 };
    let nonce = Freshness::Nonce("pL0-x_9".into());
    let (ed, p256) = (Algorithm::Ed25519, Algorithm::P256);
    vec![
        made(ed, "ed25519-time", "Sixty seconds.", &audience, &time),
        made(ed, "ed25519-nonce", "A device without a clock.", &audience, &nonce),
        made(p256, "p256-time", "Sixty seconds.", &audience, &time),
        made(p256, "p256-nonce", "A device without a clock.", &audience, &nonce),
        made(
            p256,
            "longest",
            "Every member at its bound.",
            &longest,
            &Freshness::Nonce("n".repeat(64)),
        ),
        of(
            Vector::valid("presentation", "p256-other-s", "Both forms of s are met in the field."),
            p256,
            &with_other_s(
                &present(&identity(p256).0, &audience, &time, &[0x5a; 16], &secret(p256)).unwrap(),
            ),
        )
        .text("did", identity(p256).0)
        .text("audience", &audience)
        .text("freshness", format!("{IAT}..{}", IAT + 60))
        .text("jti", BASE64URL_NOPAD.encode(&[0x5a; 16])),
    ]
}

/// (r, s) and (r, n - s) verify alike; both are accepted, so nothing is keyed by signatures.
fn with_other_s(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&bytes).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&other.to_bytes()))
}

pub(super) fn invalid() -> Vec<Vector> {
    let ed = Algorithm::Ed25519;
    let (did, key) = identity(ed);
    let (p256_did, p256_key) = identity(Algorithm::P256);
    let kid = did.url(&key).to_string();
    let header = format!(r#"{{"alg":"EdDSA","typ":"muster+jwt","kid":"{kid}"}}"#);
    let claims = format!(
        r#"{{"iss":"{did}","aud":"gateway.example","iat":{IAT},"exp":{},"jti":"Wlpa"}}"#,
        IAT + 60
    );
    let good = sign(ed, &header, &claims);
    let parts: Vec<&str> = good.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);

    let token =
        |name, fault, token: &str| of(Vector::invalid("presentation", name, fault), ed, token);
    let raw =
        |name, fault, header: &str, claims: &str| token(name, fault, &sign(ed, header, claims));
    // One replacement in the good header or claims.
    let in_header = |name, fault, from: &str, to: &str| {
        assert!(header.contains(from), "{name}");
        raw(name, fault, &header.replacen(from, to, 1), &claims)
    };
    let in_claims = |name, fault, from: &str, to: &str| {
        assert!(claims.contains(from), "{name}");
        raw(name, fault, &header, &claims.replacen(from, to, 1))
    };
    let time = format!(r#""iat":{IAT},"exp":{}"#, IAT + 60);
    let exp = format!(r#""exp":{}"#, IAT + 60);
    let multikey = key.to_multikey();
    let b58 = |bytes: &[u8]| multibase::encode(multibase::Base::Base58Btc, bytes);
    let mut small_order = vec![0xed, 0x01, 0x01];
    small_order.extend([0; 31]);
    let x25519 = [&[0xec, 0x01][..], key.raw()].concat();
    // 64 bytes leave four spare bits in the last of 86 characters: here they are not zero.
    let stray = |part: &str| {
        let last = BASE64URL_NOPAD.specification().symbols.find(part.chars().last().unwrap());
        let next = BASE64URL_NOPAD.specification().symbols.as_bytes()[last.unwrap() + 1];
        format!("{}{}", &part[..part.len() - 1], next as char)
    };
    let mut altered = BASE64URL_NOPAD.decode(s.as_bytes()).unwrap();
    altered[0] ^= 1;
    let short = BASE64URL_NOPAD.encode(&altered[..63]);
    let der = p256::ecdsa::Signature::from_slice(&[1; 64]).unwrap().to_der();
    let der = BASE64URL_NOPAD.encode(der.as_bytes());
    let spoilt_json = sign(ed, &header, &format!("{claims}x"));

    vec![
        // The compact form.
        token("padding", "base64url", &format!("{h}.{p}.{s}==")),
        token("trailing-bits", "base64url", &format!("{h}.{p}.{}", stray(s))),
        token("standard-base64", "base64url", &format!("{h}.{p}.{}", "+/".repeat(43))),
        token("white-space", "base64url", &format!("{good}\n")),
        token("two-parts", "not_compact", &format!("{h}.{p}")),
        token("four-parts", "not_compact", &format!("{good}.")),
        token("empty", "not_compact", ""),
        token("too-long", "token_too_long", &format!("{h}.{}.{s}", "A".repeat(1000))),
        token("unsigned", "signature_length", &format!("{h}.{p}.")),
        token("short-signature", "signature_length", &format!("{h}.{p}.{short}")),
        token("der-signature", "signature_length", &format!("{h}.{p}.{der}")),
        // The header.
        in_header("alg-none", "wrong_alg", "EdDSA", "none"),
        in_header("alg-hs256", "wrong_alg", "EdDSA", "HS256"),
        in_header("alg-of-another-key", "wrong_alg", "EdDSA", "ES256"),
        in_header("wrong-typ", "wrong_typ", "muster+jwt", "muster-gateway+jwt"),
        in_header("generic-typ", "wrong_typ", "muster+jwt", "JWT"),
        in_header("missing-typ", "missing_member", r#""typ":"muster+jwt","#, ""),
        in_header("crit", "unknown_member", "{", r#"{"crit":["exp"],"#),
        in_header("jwk", "unknown_member", "{", r#"{"jwk":{"kty":"OKP"},"#),
        in_header("duplicate-header", "duplicate_member", "{", r#"{"alg":"EdDSA","#),
        in_header("kid-without-key", "wrong_kid", &format!("#{multikey}"), ""),
        in_header("kid-key-number", "wrong_kid", &multikey, "key-1"),
        in_header("kid-other-method", "wrong_kid", "did:muster:", "did:example:"),
        in_header("kid-agreement-key", "wrong_kid", &multikey, &b58(&x25519)),
        in_header("small-order-key", "key_small_order", &multikey, &b58(&small_order)),
        in_header("kid-iss-mismatch", "wrong_iss", &did.to_string(), &p256_did.to_string()),
        // The claims.
        in_claims("iss-of-another", "wrong_iss", &did.to_string(), &p256_did.to_string()),
        in_claims(
            "two-audiences",
            "wrong_json_type",
            r#""gateway.example""#,
            r#"["gateway.example","b"]"#,
        ),
        in_claims(
            "audience-list-of-one",
            "wrong_json_type",
            r#""gateway.example""#,
            r#"["gateway.example"]"#,
        ),
        in_claims("empty-audience", "wrong_aud", "gateway.example", ""),
        in_claims("audience-with-space", "wrong_aud", "gateway.example", "gateway example"),
        in_claims("audience-not-ascii", "wrong_aud", "gateway.example", "gateway.ex\u{e4}mple"),
        in_claims("missing-audience", "missing_member", r#""aud":"gateway.example","#, ""),
        in_claims("unknown-claim", "unknown_member", "{", &format!(r#"{{"nbf":{IAT},"#)),
        in_claims("duplicate-claim", "duplicate_member", "{", r#"{"aud":"gateway.example","#),
        in_claims(
            "duplicate-claim-escaped",
            "duplicate_member",
            "{",
            r#"{"\u0061ud":"b.example","#,
        ),
        in_claims("lifetime-too-long", "lifetime", &exp, &format!(r#""exp":{}"#, IAT + 61)),
        in_claims("lifetime-zero", "lifetime", &exp, &format!(r#""exp":{IAT}"#)),
        in_claims("expires-before-issue", "lifetime", &exp, &format!(r#""exp":{}"#, IAT - 1)),
        in_claims("fraction-of-a-second", "wrong_json_type", &exp, r#""exp":1800000060.0"#),
        in_claims("time-as-text", "wrong_json_type", &exp, r#""exp":"1800000060""#),
        in_claims("negative-time", "wrong_json_type", &time, r#""iat":-30,"exp":20"#),
        in_claims("no-freshness", "missing_member", &format!("{time},"), ""),
        in_claims("iat-without-exp", "missing_member", &format!(",{exp}"), ""),
        in_claims("nonce-and-time", "two_freshness", &time, &format!(r#"{time},"nonce":"n""#)),
        in_claims("empty-nonce", "wrong_nonce", &time, r#""nonce":"""#),
        in_claims("nonce-not-base64url", "wrong_nonce", &time, r#""nonce":"a b""#),
        in_claims(
            "nonce-too-long",
            "wrong_nonce",
            &time,
            &format!(r#""nonce":"{}""#, "n".repeat(65)),
        ),
        in_claims("missing-jti", "missing_member", r#","jti":"Wlpa""#, ""),
        in_claims("empty-jti", "wrong_jti", "Wlpa", ""),
        in_claims("jti-too-long", "wrong_jti", "Wlpa", &"j".repeat(65)),
        in_claims("jti-null", "wrong_json_type", r#""Wlpa""#, "null"),
        token("json-trailing", "not_json", &spoilt_json),
        raw("json-array", "not_json", &header, &format!("[{claims}]")),
        // Well formed, and still not by this key over these bytes.
        token(
            "altered-signature",
            "signature",
            &format!("{h}.{p}.{}", BASE64URL_NOPAD.encode(&altered)),
        ),
        token("signed-by-another", "signature", &{
            let other = sign(Algorithm::P256, &header, &claims);
            format!("{h}.{p}.{}", other.rsplit('.').next().unwrap())
        }),
        of(
            Vector::invalid("presentation", "key-of-another", "other_key"),
            ed,
            &sign(
                Algorithm::P256,
                &format!(r#"{{"alg":"ES256","typ":"muster+jwt","kid":"{}"}}"#, did.url(&p256_key)),
                &claims,
            ),
        ),
    ]
}
