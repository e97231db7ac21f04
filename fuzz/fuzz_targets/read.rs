//! Signed reads: what anybody may send to a node.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::SignedRead;

pub fn run(data: &[u8]) -> bool {
    let Ok(token) = str::from_utf8(data) else { return false };
    let Ok(parsed) = SignedRead::parse(token) else { return false };
    let asked = parsed.asked();
    assert!(asked.target.starts_with('/') && asked.exp > asked.iat, "a bound does not hold");
    assert_eq!(SignedRead::parse(token).as_ref(), Ok(&parsed), "two readings of one token");
    true
}

muster_fuzz::target!(run);
