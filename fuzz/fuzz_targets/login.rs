//! Logins of people: what anybody who reaches a console sends.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::{Login, MAX_LIFETIME, MAX_LOGIN, PublicKey};

pub fn run(data: &[u8]) -> bool {
    let Ok(token) = str::from_utf8(data) else { return false };
    let Ok(parsed) = Login::parse(token) else { return false };

    assert!(token.len() <= MAX_LOGIN, "a token above its bound");
    let terms = parsed.terms();
    // A nonce and a jti are kept to be used once.
    for id in [&terms.nonce, &terms.jti] {
        assert!((1..=64).contains(&id.len()) && id.is_ascii(), "an id");
    }
    assert!(terms.iat < terms.exp && terms.exp - terms.iat <= MAX_LIFETIME, "a lifetime");
    if let Ok(key) = PublicKey::from_multicodec(parsed.key()) {
        // Must not panic.
        let _ = parsed.verify_signature(&key);
    }
    assert_eq!(Login::parse(token).as_ref(), Ok(&parsed), "two readings of one token");
    true
}

muster_fuzz::target!(run);
