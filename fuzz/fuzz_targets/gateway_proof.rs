//! Proofs of gateways: what a device gets from whoever answers it.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::{Did, GatewayProof, PublicKey};

/// The base point (RFC 8032 §5.1): a key like another.
const BASE: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

pub fn run(data: &[u8]) -> bool {
    let Ok(token) = str::from_utf8(data) else { return false };
    let Ok(parsed) = GatewayProof::parse(token) else { return false };
    // Nobody's key but the one that signed, for no presentation that it does not name.
    let device = Did::from_digest([0; 32]);
    let key = PublicKey::ed25519(BASE).expect("the base point is a key");
    assert!(parsed.verify(&key, &device, "").is_err(), "a proof for nothing");
    assert_eq!(GatewayProof::parse(token).as_ref(), Ok(&parsed), "two readings of one token");
    true
}

muster_fuzz::target!(run);
