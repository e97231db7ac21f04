//! Presentations: the one token that strangers may send at any rate.
#![cfg_attr(feature = "libfuzzer", no_main)]

use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Did, Freshness, MAX_LIFETIME, MAX_TOKEN, Presentation};

pub fn run(data: &[u8]) -> bool {
    let Ok(token) = str::from_utf8(data) else { return false };
    let Ok(parsed) = Presentation::parse(token) else { return false };

    // A presentation keeps the bytes that were signed, so there is no encoder to compare with.
    // What must hold is that each part has one base64url text (RFC 7515 §2) and that every
    // bound a verifier relies on was enforced.
    assert!(token.len() <= MAX_TOKEN, "a token above its bound");
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "a token of three parts");
    for part in parts {
        let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).expect("accepted, so base64url");
        assert_eq!(BASE64URL_NOPAD.encode(&bytes), part, "a second text of the same part");
    }
    if let Freshness::Window { iat, exp } = parsed.freshness() {
        assert!(iat < exp && exp - iat <= MAX_LIFETIME, "a window above its bound");
    }
    let did = parsed.did().to_string();
    assert_eq!(did.parse::<Did>().as_ref(), Ok(parsed.did()), "a DID that does not parse");
    if let Ok(key) = parsed.key() {
        assert!(parsed.names_key(&key), "a token that does not name its own key");
        // Must not panic; almost every mutant fails here, as it should.
        let _ = parsed.verify_signature(&key);
    }
    assert_eq!(Presentation::parse(token).as_ref(), Ok(&parsed), "two readings of one token");
    true
}

muster_fuzz::target!(run);
