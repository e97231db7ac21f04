//! Registrations of gateways: what operators, and whoever passes for one, send to nodes.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::{MAX_SITE, MAX_TOKEN, Registration};

pub fn run(data: &[u8]) -> bool {
    let Ok(token) = str::from_utf8(data) else { return false };
    let Ok(parsed) = Registration::parse(token) else { return false };

    assert!(token.len() <= MAX_TOKEN, "a token above its bound");
    let said = parsed.registered();
    // A name stands in paths, labels and log lines.
    assert!((1..=64).contains(&said.gateway.len()) && said.gateway.is_ascii(), "a name");
    assert!(!said.gateway.contains(|c: char| c.is_control() || c.is_whitespace()), "a name");
    if let Some(holder) = &said.holder {
        assert!(holder.site.len() <= MAX_SITE && !holder.site.contains(char::is_control), "a site");
        // Must not panic.
        let _ = parsed.verify_signature(&holder.key);
    }
    assert_eq!(Registration::parse(token).as_ref(), Ok(&parsed), "two readings of one token");
    true
}

muster_fuzz::target!(run);
