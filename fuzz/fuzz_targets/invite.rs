//! Invites: what whoever got a link, or made one up, sends to a console.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::{INVITE_LIFETIME, Invite, MAX_PERSON, MAX_TOKEN, PublicKey};

pub fn run(data: &[u8]) -> bool {
    let Ok(token) = str::from_utf8(data) else { return false };
    let Ok(parsed) = Invite::parse(token) else { return false };

    assert!(token.len() <= MAX_TOKEN, "a token above its bound");
    let terms = parsed.terms();
    // A name is shown in pages, logs and terminals.
    assert!((1..=MAX_PERSON).contains(&terms.name.len()), "a name");
    assert!(!terms.name.contains(char::is_control), "a name with control characters");
    assert!(terms.iat < terms.exp && terms.exp - terms.iat <= INVITE_LIFETIME, "a lifetime");
    if let Ok(key) = PublicKey::from_multicodec(parsed.key()) {
        // Must not panic.
        let _ = parsed.verify_signature(&key);
    }
    assert_eq!(Invite::parse(token).as_ref(), Ok(&parsed), "two readings of one token");
    true
}

muster_fuzz::target!(run);
