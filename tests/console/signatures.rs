//! The one signature rule in a browser: the same verdicts as crate identity, on signatures that
//! other rules judge otherwise.

use crate::bench::Bench;
use crate::keys::{ALGORITHMS, run, secret};
use crate::site::{Site, root};
use data_encoding::HEXLOWER_PERMISSIVE;
use muster_identity::{AgreementKey, PublicKey, Signature, Signer as _};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A file of the shared vectors, or `None` after saying that it is not there.
fn shared(file: &str) -> Option<Value> {
    let named = std::env::var_os("MUSTER_VECTORS").map(PathBuf::from);
    let path = named.unwrap_or_else(|| root().join("../shared/vectors")).join(file);
    let text = std::fs::read_to_string(&path);
    if text.is_err() {
        eprintln!("NOT RUN: {file}: {}; set MUSTER_VECTORS", path.display());
    }
    Some(serde_json::from_str(&text.ok()?).expect("JSON"))
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(value.as_str().expect("a text").as_bytes()).expect("hexadecimal")
}

/// `[multicodec, message, signature]` in hexadecimal, and what crate identity says of it.
type Case = (Value, bool);

fn case(multicodec: &[u8], message: &[u8], signature: &[u8]) -> Case {
    let verdict = PublicKey::from_multicodec(multicodec).is_ok_and(|key| {
        let signature = signature.try_into().map(Signature);
        signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
    });
    let hex = |bytes| HEXLOWER_PERMISSIVE.encode(bytes);
    (json!([hex(multicodec), hex(message), hex(signature)]), verdict)
}

fn cctv() -> Vec<Case> {
    let Some(file) = shared("cctv-ed25519/ed25519vectors.json") else { return Vec::new() };
    let all = file.as_array().expect("a list").iter().map(|v| {
        let key = [&[0xed, 1][..], &bytes(&v["key"])].concat();
        case(&key, v["msg"].as_str().expect("a message").as_bytes(), &bytes(&v["sig"]))
    });
    all.collect()
}

fn wycheproof(file: &str, key_of: fn(&Value) -> Option<Vec<u8>>) -> Vec<Case> {
    let Some(file) = shared(file) else { return Vec::new() };
    let groups = file["testGroups"].as_array().expect("groups").iter();
    let tests = groups.flat_map(|group| {
        let key = key_of(group);
        let tests = group["tests"].as_array().expect("tests").iter();
        tests.filter_map(move |t| Some(case(key.as_ref()?, &bytes(&t["msg"]), &bytes(&t["sig"]))))
    });
    tests.collect()
}

fn ed25519_key(group: &Value) -> Option<Vec<u8>> {
    Some([&[0xed, 1][..], &bytes(&group["publicKey"]["pk"])].concat())
}

fn p256_key(group: &Value) -> Option<Vec<u8>> {
    let key = PublicKey::p256(&bytes(&group["publicKey"]["uncompressed"])).ok()?;
    Some(key.to_multicodec())
}

/// Signatures of our own keys, and what is left of them with one bit flipped.
fn own() -> Vec<Case> {
    let mut cases = Vec::new();
    for algorithm in ALGORITHMS {
        let key = secret(algorithm, 5);
        let signature = key.sign(b"message").expect("a signature").0;
        let multicodec = key.public_key().to_multicodec();
        assert!(case(&multicodec, b"message", &signature).1);
        cases.push(case(&multicodec, b"message", &signature));
        cases.push(case(&multicodec, b"massage", &signature));
        for bit in 0..signature.len() * 8 {
            let mut flipped = signature;
            flipped[bit / 8] ^= 1 << (bit % 8);
            cases.push(case(&multicodec, b"message", &flipped));
        }
    }
    cases
}

#[test]
fn signatures_have_the_same_verdict_in_a_browser() {
    let mut cases = own();
    cases.extend(cctv());
    cases.extend(wycheproof("wycheproof/ed25519_test.json", ed25519_key));
    cases.extend(wycheproof("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json", p256_key));
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    let given: Vec<_> = cases.iter().map(|(case, _)| case.clone()).collect();
    let verdicts = run(
        &browser,
        "const verdicts = [];
         for (const parts of arguments[0]) {
           const [key, message, signature] = parts.map(bytes.unhex);
           try {
             await public_key.PublicKey.fromMulticodec(key).verify(message, signature);
             verdicts.push(true);
           } catch (error) {
             if (error.name !== 'Fault') throw error;
             verdicts.push(false);
           }
         }
         return verdicts;",
        &[json!(given)],
    );
    let verdicts = verdicts.expect("verdicts");
    let verdicts = verdicts.as_array().expect("a list");
    assert_eq!(verdicts.len(), cases.len());
    for (i, ((case, wanted), found)) in cases.iter().zip(verdicts).enumerate() {
        assert_eq!(found, &json!(wanted), "case {i}: {case}");
    }
    println!("{} signatures", cases.len());
}

/// Keys for key agreement stand in inceptions; which are refused, the inception's reader decides.
#[test]
fn agreement_keys_have_the_same_verdict_in_a_browser() {
    // The points of small order of RFC 7748 §6.1 and their other names, and any other bytes.
    let mut keys: Vec<[u8; 32]> = vec![[0; 32], [0xff; 32], [9; 32], [0x7f; 32]];
    for last in [0x7f, 0xff] {
        for first in 0xe8..=0xff {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (first, last);
            keys.push(key);
        }
    }
    if let Some(file) = shared("wycheproof/x25519_test.json") {
        let groups = file["testGroups"].as_array().expect("groups").iter();
        let tests = groups.flat_map(|group| group["tests"].as_array().expect("tests"));
        keys.extend(tests.map(|t| <[u8; 32]>::try_from(bytes(&t["public"])).expect("32 bytes")));
    }
    let multicodec = |key: &[u8; 32]| [&[0xec, 1][..], key].concat();
    let given: Vec<_> =
        keys.iter().map(|key| HEXLOWER_PERMISSIVE.encode(&multicodec(key))).collect();
    let (bench, site) = (Bench::take(), Site::start());
    let browser = bench.browser();
    browser.open(&site.url("/plain"));
    let verdicts = run(
        &browser,
        "const { agreementKey } = await import('/js/did.js');
         return arguments[0].map((key) => {
           try { return agreementKey(bytes.unhex(key)) } catch (error) { return error.message }
         });",
        &[json!(given)],
    );
    let verdicts = verdicts.expect("verdicts");
    let mut refused = 0;
    for (i, key) in keys.iter().enumerate() {
        let wanted = match AgreementKey::from_multicodec(&multicodec(key)) {
            Ok(key) => key.to_multikey(),
            Err(fault) => {
                refused += 1;
                format!("public key: {fault}")
            }
        };
        assert_eq!(verdicts[i], json!(wanted), "{}", given[i]);
    }
    assert!(refused > 2 && refused < keys.len(), "{refused} of {}", keys.len());
}
