//! Manifests that break, and such that are meant to.

use crate::microchip::{SHAPE, judge, made, trusting, word, words};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Algorithm, SecretKey, Signer as _};
use muster_provisioning::Error;
use muster_provisioning::formats::{Format, Item};
use muster_provisioning::sample::microchip::{Shape, Vendor};
use serde_json::{Value, json};
use std::io::{BufReader, Read};

fn vendor() -> Vendor {
    Vendor::new(9).expect("a vendor")
}

fn entry(row: u64) -> String {
    vendor().entry(row, &SHAPE, None).expect("an entry")
}

/// Three entries of which the middle one is `broken`.
fn around(broken: &str) -> Vec<u8> {
    format!("[{},\n{broken},\n{}]", entry(0), entry(2)).into_bytes()
}

#[test]
fn a_broken_entry_costs_one_row() {
    let (_dir, sources) = trusting(&vendor());
    let good = entry(1);
    let cases = [
        (good.replacen("\":", ":", 1), "not-json"),
        (good.replacen(":\"", ":", 1), "not-json"),
        (good.replacen("\",", ",", 1), "not-json"),
        (good.strip_suffix('}').expect("a brace").into(), "not-json"),
        (good.replacen("}", "", 1), "not-json"),
        (good.replacen("}", "]", 1), "not-json"),
        ("17".into(), "not-json"),
        ("\"text\"".into(), "not-json"),
        ("[1]".into(), "not-json"),
        ("{}".into(), "jws"),
        (good.replacen("\"payload\"", "\"payl\"", 1), "jws"),
        (good.replacen("\"header\":{", "\"header\":{\"alg\":\"none\",", 1), "jws"),
        (good.replacen("\"header\":{", "\"header\":{\"uniqueId\":\"x\",", 1), "duplicate-field"),
        (good.replacen('{', "{\"payload\":\"x\",", 1), "duplicate-field"),
        (format!("{}{}", "[".repeat(200), "]".repeat(200)), "not-json"),
    ];
    for (broken, code) in cases {
        let judged = judge(&around(&broken), &sources);
        assert_eq!(words(&judged), ["ok", code, "ok"], "{}", &broken[..broken.len().min(60)]);
    }
    // A lost quote in a file of one line; the entry begins elsewhere, the next one is whole.
    let flat = String::from_utf8(around(&good.replacen("\",", ",", 1))).expect("text");
    let judged = judge(flat.replace('\n', "").as_bytes(), &sources);
    assert_eq!(words(&judged), ["ok", "not-json", "ok"]);
}

#[test]
fn the_form_of_the_array_does_not_matter_and_its_end_does() {
    let (_dir, sources) = trusting(&vendor());
    let (a, b) = (entry(0), entry(1));
    let cases = [
        (format!("\u{feff} \r\n[{a}\r\n,\r\n{b}]\r\n"), vec!["ok", "ok"]),
        (format!("[{a}]\n[{b}]"), vec!["ok", "ok"]),
        (format!("[{a},{b},]"), vec!["ok", "ok"]),
        (format!("[{a},{b}"), vec!["ok", "ok", "cut-short"]),
        (format!("[{a},{b},"), vec!["ok", "ok", "cut-short"]),
        (format!("[{a},{b}] and more"), vec!["ok", "ok", "not-json"]),
        ("[]".into(), vec![]),
        ("[".into(), vec!["cut-short"]),
    ];
    for (text, expected) in cases {
        assert_eq!(words(&judge(text.as_bytes(), &sources)), expected, "{}", text.len());
    }
    for text in ["", "{}", "\u{ff}\u{fe}[", "x"] {
        let first = Format::Microchip.read("test", text.as_bytes()).next().expect("a fault");
        assert!(matches!(first, Err(Error::Manifest { .. })), "{text}: {first:?}");
    }
    for (head, manifest) in [
        (&b"[ {\"payload\":1"[..], true),
        (b"\xef\xbb\xbf[\n{ \"protected\"", true),
        (b"[{\"serial\":1}]", false),
        (b"[1]", false),
    ] {
        assert_eq!(Format::detect(head) == Some(Format::Microchip), manifest);
    }
}

/// Signs any payload under any header, as the trusted vendor's signer would.
fn signed(protected: Value, payload: &Value, signer: &SecretKey) -> String {
    let [protected, payload_text] =
        [&protected, payload].map(|v| BASE64URL_NOPAD.encode(v.to_string().as_bytes()));
    let message = format!("{protected}.{payload_text}");
    let signature = signer.sign(message.as_bytes()).expect("signed").0;
    let jws = json!({"payload": payload_text, "protected": protected,
        "header": {"uniqueId": payload["uniqueId"]}, "signature": BASE64URL_NOPAD.encode(&signature)});
    jws.to_string()
}

#[test]
fn what_a_header_or_payload_may_not_say_is_refused() {
    let (_dir, sources) = trusting(&vendor());
    let whole: Value = serde_json::from_str(&entry(1)).expect("JSON");
    let part = |name: &str| -> Value {
        let text = whole[name].as_str().expect("text");
        serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).expect("it")).expect("JSON")
    };
    let (protected, payload) = (part("protected"), part("payload"));
    let key = SecretKey::from_bytes(Algorithm::P256, &zeroize::Zeroizing::new([5; 32]));
    let key = key.expect("a key");
    let with = |base: &Value, name: &str, value: Value| {
        let mut changed = base.clone();
        changed[name] = value;
        changed
    };
    let cases = [
        (with(&protected, "alg", json!("none")), payload.clone(), "jws-alg"),
        (with(&protected, "alg", json!("HS256")), payload.clone(), "jws-alg"),
        (with(&protected, "alg", json!("RS256")), payload.clone(), "jws-alg"),
        (with(&protected, "crit", json!(["b64"])), payload.clone(), "jws"),
        (with(&protected, "kid", json!("other")), payload.clone(), "bad-signature"),
        (with(&protected, "x5t#S256", json!("other")), payload.clone(), "bad-signature"),
        (json!({"alg": "ES256"}), payload.clone(), "unknown-signer"),
        (protected.clone(), with(&payload, "version", json!(3)), "manifest-version"),
        (protected.clone(), with(&payload, "version", json!("2")), "manifest-version"),
        (protected.clone(), with(&payload, "provisioningTimestamp", json!("2025")), "timestamp"),
        (protected.clone(), with(&payload, "provisioningTimestamp", Value::Null), "timestamp"),
        (protected.clone(), with(&payload, "publicKeySet", json!([])), "public-key-set"),
        (protected.clone(), with(&payload, "publicKeySet", json!({"keys": [1]})), "public-key-set"),
        (protected.clone(), with(&payload, "uniqueId", Value::Null), "unique-id-mismatch"),
        (protected.clone(), payload.clone(), "bad-signature"),
    ];
    for (header, claims, code) in cases {
        let entry = signed(header.clone(), &claims, &key);
        let judged = judge(format!("[{entry}]").as_bytes(), &sources);
        assert_eq!(words(&judged), [code], "{header}");
    }
}

#[test]
fn private_keys_in_an_entry_are_found_wherever_they_stand() {
    let (_dir, sources) = trusting(&vendor());
    let key = SecretKey::from_bytes(Algorithm::P256, &zeroize::Zeroizing::new([5; 32]));
    let key = key.expect("a key");
    let jwk = json!({"kid": "0", "kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "c"});
    let payload = json!({"version": 2, "uniqueId": "1", "publicKeySet": {"keys": [jwk]}});
    let entry = signed(json!({"alg": "ES256"}), &payload, &key);
    assert_eq!(words(&judge(format!("[{entry}]").as_bytes(), &sources)), ["private-key"]);
    let pem = "-----BEGIN EC PRIVATE KEY-----";
    for text in [
        format!("[{{\"payload\":\"{pem}"),
        format!("[{{\"payload\":\"\"}}] {pem}"),
        format!("[{{\"payload\":\"{}{pem}{}", "x".repeat(100_000), "x".repeat(100_000)),
        format!("[{pem}, {{}}]"),
    ] {
        let mut items = Format::Microchip.read("test", text.as_bytes());
        let error = items.find_map(Result::err).expect("the file is refused");
        assert!(matches!(error, Error::PrivateKey { .. }), "{error}");
        assert!(items.next().is_none(), "nothing comes after");
    }
}

/// A file of any size from a pattern, which counts how far ahead it is read.
struct Endless {
    head: &'static [u8],
    pattern: &'static [u8],
    left: u64,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let mut n = 0;
        while n < to.len() && self.left > 0 {
            to[n] = match self.head.split_first() {
                Some((first, rest)) => {
                    self.head = rest;
                    *first
                }
                None => {
                    self.at = (self.at + 1) % self.pattern.len();
                    self.pattern[self.at]
                }
            };
            (n, self.left) = (n + 1, self.left - 1);
        }
        Ok(n)
    }
}

#[test]
fn hostile_files_are_read_in_bounded_memory() {
    // Tests without optimisation read some 20 MB/s here; the size is not what matters, the bound is:
    // nothing above one entry is ever held, so nothing above it is ever given out.
    let cases: [(&'static [u8], &'static [u8], &[&str]); 5] = [
        (b"[{\"payload\":\"", b"a", &["row-too-long"]),
        (b"[\"", b"a", &["row-too-long"]),
        (b"[", b"[", &["row-too-long"]),
        (b"[{\"a\":", b"{\"a\":", &["row-too-long"]),
        (b"[{}] ", b"x", &["jws", "row-too-long"]),
    ];
    let (_dir, sources) = trusting(&vendor());
    for (head, pattern, expected) in cases {
        let endless = Endless { head, pattern, left: 24 << 20, at: 0 };
        let items = Format::Microchip.read("test", BufReader::new(endless));
        let mut found = Vec::new();
        for item in items {
            match item.expect("readable") {
                Item::Draft(draft) => {
                    let document = draft.document.expect("a document");
                    found.push(word(&(draft.line, Ok(document.judge(&sources)))));
                }
                Item::Refused { fault, .. } => {
                    assert!(fault.reason.len() < 200);
                    found.push(fault.code.into_owned());
                }
                Item::Warning(_) => {}
            }
        }
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(head));
    }
}

#[test]
fn a_long_entry_costs_one_row_and_reading_goes_on() {
    let (_dir, sources) = trusting(&vendor());
    let long = format!("{{\"payload\":\"{}\"}}", "x".repeat(3_000_000));
    assert_eq!(words(&judge(&around(&long), &sources)), ["ok", "row-too-long", "ok"]);
    let many = made(&vendor(), 40, |_| None);
    assert_eq!(words(&judge(&many, &sources)), ["ok"; 40]);
}

#[test]
fn no_byte_of_an_entry_costs_another_entry() {
    let (_dir, sources) = trusting(&vendor());
    let shape = Shape { version: 1, slots: 1, x5c: false };
    let [first, middle, last] =
        [0, 1, 2].map(|row| vendor().entry(row, &shape, None).expect("an entry"));
    for (at, replaced) in (0..middle.len()).zip(b"\"{}[],\\\nx".iter().cycle()) {
        for join in [",", ",\n"] {
            let mut changed = middle.clone().into_bytes();
            changed[at] = *replaced;
            let parts = [b"[", first.as_bytes(), join.as_bytes(), &changed, join.as_bytes()];
            let text = [&parts.concat(), last.as_bytes(), b"]"].concat();
            let words = words(&judge(&text, &sources));
            assert_eq!(words[0], "ok", "byte {at} to {replaced}");
            assert_eq!(
                words.last().map(String::as_str),
                Some("ok"),
                "byte {at} to {replaced}: {words:?}"
            );
            let same = middle.as_bytes()[at] == *replaced;
            assert_eq!(words.iter().filter(|w| *w == "ok").count(), if same { 3 } else { 2 });
        }
    }
}
