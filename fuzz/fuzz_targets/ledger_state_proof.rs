//! Proofs of what the state holds: decoding, and checking against a root they do not lead to.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::cbor::Decode;
use muster_ledger::{StateKey, StateProof};

pub fn run(data: &[u8]) -> bool {
    if let Ok(proof) = StateProof::from_cbor(data) {
        for value in [None, Some(data)] {
            assert!(proof.verify(&[7; 32], &StateKey::Rules, value).is_err(), "leads anywhere");
        }
    }
    muster_fuzz::one_encoding::<StateProof>(data)
}

muster_fuzz::target!(run);
