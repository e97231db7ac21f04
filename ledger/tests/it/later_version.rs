//! What a later version of the protocol wrote is told from what nobody should have written.

use muster_identity::cbor::Writer;
use muster_ledger::{Error, SignedOperation};

/// A COSE_Sign1 whose parts are as long as one likes.
fn cose(protected: &[u8], payload: Writer, signature: &[u8]) -> SignedOperation {
    let mut w = Writer::default();
    w.array(4).bytes(protected).map(0).bytes(&payload.into_bytes()).bytes(signature);
    SignedOperation(w.into_bytes())
}

fn payload(version: u64) -> Writer {
    let mut w = Writer::default();
    w.map(2).uint(1).uint(version).uint(8).text("new");
    w
}

#[test]
fn only_the_version_of_a_later_operation_is_read() {
    for version in [2, 3, u64::MAX] {
        for (protected, signature) in [(3, 64), (2_000, 3_309)] {
            let signed = cose(&vec![1; protected], payload(version), &vec![2; signature]);
            assert!(matches!(signed.verify(), Err(Error::Upgrade(_))), "{version} {protected}");
        }
    }
    // Of our own version it has to be right.
    let ours = cose(&[1; 3], payload(1), &[2; 64]).verify();
    assert!(ours.is_err() && !matches!(ours, Err(Error::Upgrade(_))), "{ours:?}");
    // No payload that states a version: it is nothing at all.
    for bytes in [&b""[..], &[0x84], &[0x84, 0x40, 0xa0, 0x41, 0x01, 0x40]] {
        let nothing = SignedOperation(bytes.to_vec()).verify();
        assert!(nothing.is_err() && !matches!(nothing, Err(Error::Upgrade(_))), "{nothing:?}");
    }
}
