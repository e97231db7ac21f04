//! Signed operations: the bytes strangers send to a node. Almost every mutant fails at its
//! signature; `ledger_payload` goes on from there.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_fuzz::sign1_payload;
use muster_identity::cbor::Encode;
use muster_ledger::SignedOperation;

pub fn run(data: &[u8]) -> bool {
    let Ok(verified) = SignedOperation(data.to_vec()).verify() else { return false };
    let payload = verified.operation().to_cbor();
    assert_eq!(Some(payload.as_slice()), sign1_payload(data), "a second form of an operation");
    true
}

muster_fuzz::target!(run);
