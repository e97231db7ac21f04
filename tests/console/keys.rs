//! Keys made in the browser and kept there; what they sign, the Rust crates verify.

use crate::bench::Bench;
use crate::browser::Browser;
use crate::site::Site;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use muster_identity::{
    Algorithm, Did, Inception, Invite, InviteTerms, Login, LoginTerms, PublicKey, Role, SecretKey,
    Signer, invite, log_in, sha256,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::P256];
const NETWORK: [u8; 32] = [0x5a; 32];
const NOW: u64 = 1_800_000_000;

/// Runs a function body with the modules at hand, each under its name.
pub(crate) fn run(browser: &Browser, body: &str, arguments: &[Value]) -> Result<Value, String> {
    let names = ["bytes", "cose", "keys", "operation", "public_key", "token"];
    let imports: Vec<_> = names.iter().map(|name| format!("import('/js/{name}.js')")).collect();
    let script = format!(
        "return (async function () {{ const [{}] = await Promise.all([{}]); {body} }})\
         .apply(null, arguments)",
        names.join(", "),
        imports.join(", ")
    );
    browser.try_script(&script, arguments)
}

/// The name of an algorithm in WebCrypto.
pub(crate) fn web_name(algorithm: Algorithm) -> &'static str {
    if algorithm == Algorithm::Ed25519 { "Ed25519" } else { "P-256" }
}

pub(crate) fn secret(algorithm: Algorithm, byte: u8) -> SecretKey {
    SecretKey::from_bytes(algorithm, &Zeroizing::new([byte; 32])).expect("a scalar")
}

fn organisation(key: &PublicKey) -> Did {
    Did::of(&Inception::from_key(*key))
}

fn about(site: &Site) -> Value {
    json!({ "network": HEXLOWER.encode(&NETWORK), "organisation": "did:muster:zQm", "label": "Zoë",
        "origin": site.origin(), "role": "admin" })
}

#[test]
fn a_key_is_made_kept_used_and_removed() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    for algorithm in ALGORITHMS {
        let arguments = [about(&site), json!(web_name(algorithm))];
        let made = run(
            &browser,
            "const key = await keys.make(arguments[0], arguments[1]); return key.about;",
            &arguments,
        );
        let made = made.expect("a key");
        let multikey = made["multikey"].as_str().expect("a Multikey").to_owned();
        let key = PublicKey::from_multikey(&multikey).expect("a key");
        assert_eq!(key.algorithm(), algorithm);
        // Still there after the page is gone, and it signs what Rust verifies.
        browser.reload();
        let signed = run(
            &browser,
            "const key = await keys.get(arguments[0]);
             return [key.about, bytes.hex(await key.sign(bytes.utf8('what is signed')))];",
            &[json!(multikey)],
        );
        let signed = signed.expect("a signature");
        assert_eq!(signed[0]["label"], "Zoë");
        assert_eq!(signed[0]["organisation"], "did:muster:zQm");
        let signature = HEXLOWER.decode(signed[1].as_str().expect("hex").as_bytes()).expect("hex");
        let signature = muster_identity::Signature(signature.try_into().expect("64 bytes"));
        assert_eq!(key.verify(b"what is signed", &signature), Ok(()));
    }
    // Nothing that is kept can be read as a private key, by any form of WebCrypto.
    let stolen = run(
        &browser,
        "const db = await new Promise((done) => {
           const open = indexedDB.open('muster'); open.onsuccess = () => done(open.result); });
         const rows = await new Promise((done) => {
           const all = db.transaction('keys').objectStore('keys').getAll();
           all.onsuccess = () => done(all.result); });
         db.close();
         const tries = rows.flatMap((row) => ['pkcs8', 'jwk', 'raw'].map((form) =>
           crypto.subtle.exportKey(form, row.privateKey).then(() => 'READ', (e) => e.name)));
         return [rows.map((row) => row.privateKey.extractable), await Promise.all(tries)];",
        &[],
    );
    let stolen = stolen.expect("an answer");
    assert_eq!(stolen[0], json!([false, false]));
    assert!(!stolen[1].to_string().contains("READ"), "{stolen}");
    // Another browser has none of them; removing one leaves the other.
    let other = bench.browser();
    other.open(&site.url("/plain"));
    let count = "return (await keys.list()).length";
    assert_eq!(run(&other, count, &[]), Ok(json!(0)));
    let left = run(
        &browser,
        "const all = await keys.list(); await keys.update(all[0].about.multikey, { role: 'viewer' });
         await keys.remove(all[1].about.multikey);
         return (await keys.list()).map((key) => [key.about.role, key.publicKey.algorithm]);",
        &[],
    );
    assert_eq!(left, Ok(json!([["viewer", "Ed25519"]])));
}

#[test]
fn a_key_file_becomes_a_key_of_the_browser() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    let import = |pem: &str| {
        run(
            &browser,
            "const key = await keys.importPem(arguments[0], arguments[1]);
             const row = await keys.get(key.about.multikey);
             return [row.about.multikey, bytes.hex(await row.sign(bytes.utf8('m')))];",
            &[json!(pem), about(&site)],
        )
    };
    for algorithm in ALGORITHMS {
        let key = secret(algorithm, 7);
        // As `muster key new` writes it.
        let pem = key.to_pem().expect("a file");
        let found = import(&pem).expect("it is read");
        assert_eq!(found[0], json!(key.public_key().to_multikey()));
        let signature = HEXLOWER.decode(found[1].as_str().expect("hex").as_bytes()).expect("hex");
        let signature = muster_identity::Signature(signature.try_into().expect("64 bytes"));
        assert_eq!(key.public_key().verify(b"m", &signature), Ok(()));
    }
    // As other programs write it: with the public key behind (RFC 5958 version 2), and OpenSSL's.
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;
    let both = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let pem = both.to_pkcs8_pem(Default::default()).expect("a file");
    let found = import(&pem).expect("it is read");
    assert_eq!(found[0], json!(secret(Algorithm::Ed25519, 9).public_key().to_multikey()));
    for options in [
        &["-algorithm", "ed25519"][..],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ] {
        let made = std::process::Command::new("openssl").arg("genpkey").args(options).output();
        let pem = String::from_utf8(made.expect("openssl").stdout).expect("PEM");
        let key = SecretKey::from_pem(&pem).expect("a key").public_key();
        assert_eq!(import(&pem).expect("it is read")[0], json!(key.to_multikey()));
    }
    // A file that was brought in before gives the key that is there; for another network, anew.
    let again = run(
        &browser,
        "const [pem, about] = arguments; const before = (await keys.list()).length;
         const key = await keys.importPem(pem, { ...about, label: 'again' });
         const moved = await keys.importPem(pem, { ...about, network: 'aa'.repeat(32) });
         return [key.about.label, moved.about.network, (await keys.list()).length - before];",
        &[json!(*secret(Algorithm::Ed25519, 7).to_pem().expect("a file")), about(&site)],
    );
    assert_eq!(again, Ok(json!(["Zoë", "aa".repeat(32), 0])));
    // Files that are refused, each with what to do.
    let sealed =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let x25519 =
        std::process::Command::new("openssl").args(["genpkey", "-algorithm", "X25519"]).output();
    let x25519 = String::from_utf8(x25519.expect("openssl").stdout).expect("PEM");
    let rsa = std::process::Command::new("openssl").args(["genpkey", "-algorithm", "RSA"]).output();
    let rsa = String::from_utf8(rsa.expect("openssl").stdout).expect("PEM");
    for (pem, words) in [
        (sealed, "muster key unseal"),
        (x25519.as_str(), "neither Ed25519 nor P-256"),
        (rsa.as_str(), "use PKCS#8 with Ed25519 or P-256"),
        ("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "damaged"),
        ("hello", "no private key"),
    ] {
        assert!(import(pem).is_err_and(|fault| fault.contains(words)), "{words}");
    }
}

#[test]
fn tokens_are_the_same_bytes_as_of_rust() {
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    let jti = BASE64URL_NOPAD.encode(&[3; 16]);
    for algorithm in ALGORITHMS {
        let key = secret(algorithm, 5);
        let did = organisation(&key.public_key());
        let tokens = run(
            &browser,
            "const key = await keys.importPem(arguments[0], arguments[1]);
             const { organisation, network, jti, now } = arguments[2];
             const login = await token.login({ organisation, network, jti, now, nonce: 'n-0_' }, key);
             const admits = await token.invite({ organisation, network, jti, now, seconds: 600,
               role: 'operator', name: 'Zoë, night', secret: bytes.utf8('one time') }, key);
             return [login, admits.token, admits.secret];",
            &[json!(*key.to_pem().expect("a file")), about(&site), json!({
                "organisation": did.to_string(), "network": HEXLOWER.encode(&NETWORK),
                "jti": jti, "now": NOW * 1_000 + 999 })],
        );
        let tokens = tokens.expect("tokens");
        let text = |i: usize| tokens[i].as_str().expect("a token");
        let login = LoginTerms {
            // The browser's own word, not the test's.
            audience: site.origin().parse().expect("an origin"),
            nonce: "n-0_".into(),
            iat: NOW,
            exp: NOW + 60,
            jti: jti.clone(),
            network: NETWORK,
        };
        let invited = InviteTerms {
            network: NETWORK,
            jti: jti.clone(),
            iat: NOW,
            exp: NOW + 600,
            role: Role::Operator,
            name: "Zoë, night".into(),
            secret_hash: sha256(&[b"one time"]),
        };
        let read = Login::parse(text(0)).expect("a login");
        assert_eq!((read.terms(), read.organisation()), (&login, &did));
        assert_eq!(read.verify_signature(&key.public_key()), Ok(()));
        let admits = Invite::parse(text(1)).expect("an invite");
        assert_eq!((admits.terms(), admits.organisation()), (&invited, &did));
        assert_eq!(admits.verify_signature(&key.public_key()), Ok(()));
        assert!(admits.opens(&BASE64URL_NOPAD.decode(text(2).as_bytes()).expect("base64url")));
        // Up to the signature byte by byte; of Ed25519, which has no randomness, to the end.
        let ours = [log_in(&did, &login, &key), invite(&did, &invited, &key)];
        for (i, ours) in ours.into_iter().enumerate() {
            let ours = ours.expect("a token");
            let end = if algorithm == Algorithm::Ed25519 {
                ours.len()
            } else {
                ours.rfind('.').expect("a dot")
            };
            assert_eq!(text(i)[..end], ours[..end]);
        }
    }
    // What nobody would take is not signed.
    for terms in [json!({ "nonce": "a b" }), json!({ "nonce": "n", "network": "5A".repeat(32) })] {
        let refused = run(
            &browser,
            "const [key] = await keys.list();
             return token.login({ organisation: 'did:muster:z', network: arguments[1], now: 1e12, ...arguments[0] }, key);",
            &[terms, json!(HEXLOWER.encode(&NETWORK))],
        );
        assert!(refused.is_err(), "{refused:?}");
    }
}
