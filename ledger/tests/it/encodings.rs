//! There is one encoding: whatever a decoder accepts encodes to the same bytes, and nothing
//! makes it panic. Starts from every valid vector.

use crate::vectors;
use muster_identity::cbor::{Decode, Encode};
use muster_ledger::{
    BatchRecord, Block, DevicePart, DeviceRecord, Entry, EntryProof, Genesis, GrantRecord, Leaf,
    Members, Operation, OrganisationRecord, OversightRecord, ProposalRecord, ProtocolRecord,
    Receipt, Rules, SignedOperation, Snapshot, StateProof, Time, UploadRequest, ValidatorSet,
};
use proptest::prelude::*;

/// Decodes and encodes again, if it decodes.
type Again = fn(&[u8]) -> Option<Vec<u8>>;

fn again<T: Encode + Decode>(bytes: &[u8]) -> Option<Vec<u8>> {
    T::from_cbor(bytes).ok().map(|value| value.to_cbor())
}

fn decoder(kind: &str) -> Again {
    match kind {
        "genesis" => again::<Genesis>,
        "payload" => again::<Operation>,
        "upload" => again::<UploadRequest>,
        "leaf" => again::<Leaf>,
        "device_part" => again::<DevicePart>,
        "entry" => again::<Entry>,
        "state_proof" => again::<StateProof>,
        "entry_proof" => again::<EntryProof>,
        "receipt" => again::<Receipt>,
        "rules" => again::<Rules>,
        "validators" => again::<ValidatorSet>,
        "organisation" => again::<OrganisationRecord>,
        "grant" => again::<GrantRecord>,
        "batch-record" => again::<BatchRecord>,
        "device" => again::<DeviceRecord>,
        "protocol" => again::<ProtocolRecord>,
        "oversight" => again::<OversightRecord>,
        "proposal" => again::<ProposalRecord>,
        "members" => again::<Members>,
        "block" => again::<Block>,
        "snapshot" => |bytes| Snapshot::parse(bytes).ok().map(|snapshot| snapshot.to_bytes()),
        other => panic!("no decoder of {other}"),
    }
}

/// Every kind of value, each as its decoder and good bytes.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut samples: Vec<_> = vectors::valid().into_iter().filter_map(|v| v.sample).collect();
    let operations =
        vec![SignedOperation(vec![1, 2]), SignedOperation(vec![]), SignedOperation(vec![0; 30])];
    samples.push(("block", Block { height: 9, time: Time(300), operations }.to_cbor()));
    samples
}

/// The bytes at which a decoder turns.
const TELLING: [u8; 14] =
    [0x00, 0x17, 0x18, 0x1b, 0x20, 0x40, 0x5f, 0x60, 0x80, 0x9f, 0xa0, 0xbf, 0xf5, 0xff];

#[test]
fn accepted_bytes_are_the_only_encoding() {
    for (kind, good) in samples() {
        let decode = decoder(kind);
        assert_eq!(decode(&good).as_ref(), Some(&good), "{kind}");
        let try_out = |bytes: Vec<u8>| {
            if let Some(again) = decode(&bytes) {
                assert_eq!(again, bytes, "{kind}");
            }
        };
        for at in 0..good.len() {
            for with in TELLING.into_iter().chain([good[at] ^ 1, good[at].wrapping_add(1)]) {
                let mut bytes = good.clone();
                bytes[at] = with;
                try_out(bytes);
            }
            let mut shorter = good.clone();
            shorter.remove(at);
            try_out(shorter);
            let mut longer = good.clone();
            longer.insert(at, TELLING[at % TELLING.len()]);
            try_out(longer);
            assert_eq!(decode(&good[..at]), None, "{kind} cut at {at}");
        }
        assert_eq!(decode(&[&good[..], &[0]].concat()), None, "{kind}");
    }
}

/// A length in a head is checked before anything is allocated for it.
#[test]
fn huge_lengths_cost_nothing() {
    for (kind, good) in samples() {
        let decode = decoder(kind);
        for at in 0..good.len() {
            for head in [0x5b, 0x7b, 0x9b, 0xbb] {
                let huge = [&good[..at], &[head], &[0xff; 8]].concat();
                // A head within a byte string may be part of a key.
                assert!(decode(&huge).is_none_or(|again| again == huge), "{kind}");
            }
        }
    }
}

/// Every altered byte of a signed operation is refused, the unprotected parts included.
#[test]
fn every_altered_byte_of_a_signed_operation_is_refused() {
    let world = crate::network::World::new();
    for key in [crate::network::ed25519("maker approve"), crate::network::p256("p")] {
        let action = muster_ledger::Action::WithdrawGrant(muster_ledger::WithdrawGrant {
            grant: world.grant,
        });
        let good = world.sign(world.maker.did, &key, action);
        for at in 0..good.0.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad.0[at] ^= 1 << bit;
                assert!(bad.verify().is_err(), "byte {at}, bit {bit}");
                assert_ne!(bad.hash(), good.hash());
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for kind in ["genesis", "payload", "upload", "leaf", "device_part", "entry", "state_proof",
            "entry_proof", "receipt", "rules", "validators", "organisation", "grant",
            "batch-record", "device", "protocol", "oversight", "proposal", "block"]
        {
            if let Some(again) = decoder(kind)(&bytes) {
                prop_assert_eq!(&again, &bytes);
            }
        }
        let _ = SignedOperation(bytes.clone()).verify();
        let _ = UploadRequest::verify(&bytes);
        let _ = muster_ledger::Checkpoint::parse(&String::from_utf8_lossy(&bytes));
    }
}
