//! Receipts: whatever is altered, they fail.

use crate::chained::Ledger;
use crate::network::{Batch, Org, batch_of, checkpoint, ed25519, possession_leaf, validators};
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{Did, Inception, Signer};
use muster_ledger::{
    Action, BatchId, Enrol, Entry, EntryProof, Error, Evidence, EvidencePolicy, Genesis, Leaf,
    LeafTree, Receipt, ReceiptFault, SerialCommitment, VouchedBy,
};

/// A receipt of a small log under a quorum of three of four, nothing to spare.
fn ledger() -> (Ledger, Batch) {
    let mut ledger = Ledger::new(4);
    ledger.enrol("before", 1);
    let batch = ledger.enrol("ours", 5);
    ledger.enrol("after", 2);
    (ledger, batch)
}

fn accepted(bytes: &[u8], genesis: &Genesis) -> bool {
    Receipt::from_cbor(bytes).is_ok_and(|receipt| {
        assert_eq!(receipt.to_cbor(), bytes);
        receipt.verify(genesis).is_ok()
    })
}

#[test]
fn a_receipt_says_who_was_enrolled_by_whom() {
    let (ledger, batch) = ledger();
    for (i, device) in batch.devices.iter().enumerate() {
        let receipt = ledger.receipt(&batch, i, 1, 3);
        let receipt = Receipt::from_cbor(&receipt.to_cbor()).unwrap();
        let verified = receipt.verify(&ledger.genesis).unwrap();
        assert_eq!(verified.device.did(), device.did);
        assert_eq!((verified.device.batch(), verified.device.index()), (batch.id, i as u64));
        assert_eq!(verified.device.leaf().inception.key, device.key.public_key());
        assert_eq!(verified.manufacturer, Org::new("maker").did);
        assert_eq!((verified.enrol, verified.entry.height), (batch.enrol.clone(), 2));
        assert_eq!(verified.checkpoint.head().size, 3);
    }
}

#[test]
fn every_altered_byte_is_refused() {
    let (ledger, batch) = ledger();
    let good = ledger.receipt(&batch, 2, 1, 3).to_cbor();
    assert!(accepted(&good, &ledger.genesis));
    for at in 0..good.len() {
        for flip in [0x01, 0x02, 0x10, 0x20, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            assert!(!accepted(&bad, &ledger.genesis), "byte {at} ^ {flip:02x}");
        }
        assert!(!accepted(&good[..at], &ledger.genesis), "cut at {at}");
    }
    assert!(!accepted(&[&good[..], &[0]].concat(), &ledger.genesis));
}

#[test]
fn parts_of_different_things_do_not_fit() {
    let (ledger, batch) = ledger();
    let genesis = &ledger.genesis;
    let good = ledger.receipt(&batch, 2, 1, 3);
    let fault = |receipt: &Receipt| receipt.verify(genesis).expect_err("a false receipt");
    let path = |part| ReceiptFault::Part { part, error: Error::Path };
    let of = |batch| Receipt { batch, ..good.clone() };

    // The entry of another batch, under the right and the wrong name.
    let mut bad = of(ledger.prove(0, 3));
    assert_eq!(fault(&bad), ReceiptFault::Entry("the entry enrols another batch"));
    let entry = Entry::from_cbor(&bad.batch.entry).unwrap();
    let operation = entry.operation.verify().unwrap();
    let Action::Enrol(other) = &operation.operation().action else { unreachable!() };
    bad.device.batch = other.batch(&genesis.network());
    assert_eq!(fault(&bad), path("device part"));
    // An entry that is in the log, at another place.
    let moved = EntryProof { entry: ledger.entries[0].clone(), ..good.batch.clone() };
    assert_eq!(fault(&of(moved)), path("log path"));
    let moved = EntryProof { index: 0, ..good.batch.clone() };
    assert_eq!(fault(&of(moved)), path("log path"));
    let beyond = EntryProof { index: 3, ..good.batch.clone() };
    assert_eq!(fault(&of(beyond)), path("log path"));
    // A leaf in another's place.
    let mut bad = good.clone();
    bad.device.index = 1;
    assert_eq!(fault(&bad), path("device part"));
    let mut bad = good.clone();
    bad.device.batch = BatchId([0; 32]);
    assert_eq!(fault(&bad), ReceiptFault::Entry("the entry enrols another batch"));
    // Too few signers; another network; other validators.
    assert!(matches!(fault(&ledger.receipt(&batch, 2, 1, 2)), ReceiptFault::Checkpoint(_)));
    let elsewhere = Genesis { nonce: [0; 16], ..genesis.clone() };
    assert!(matches!(good.verify(&elsewhere), Err(ReceiptFault::Checkpoint(_))));
    // An entry that enrols nothing.
    let mut busy = Ledger::new(4);
    let batch = busy.enrol("ours", 1);
    let maker = Org::new("maker");
    let target = muster_ledger::Target::Batch(batch.id);
    let revoke = muster_ledger::Revoke { target, reason: String::new() };
    let signed = busy.sign(maker.did, &maker.operate, Action::Revoke(revoke));
    busy.commit(&busy.block(vec![signed]));
    let nothing = busy.receipt(&batch, 0, 1, 3);
    let found = nothing.verify(&busy.genesis);
    assert_eq!(found, Err(ReceiptFault::Entry("the entry enrols nothing")));
    assert!(busy.receipt(&batch, 0, 0, 3).verify(&busy.genesis).is_ok(), "enrolled it was");
}

/// A quorum that signed a log with a forged entry still cannot make the operation verify.
#[test]
fn the_operation_is_checked_too() {
    let mut ledger = Ledger::new(4);
    let batch = ledger.enrol("ours", 1);
    let mut entry = Entry::from_cbor(&ledger.entries[0]).unwrap();
    *entry.operation.0.last_mut().unwrap() ^= 1;
    let mut forged = ledger.receipt(&batch, 0, 0, 3);
    forged.batch.entry = entry.to_cbor();
    let mut head = ledger.chain.head(ledger.chain.time()).unwrap();
    head.log_root = muster_ledger::merkle::leaf_hash(&forged.batch.entry);
    forged.batch.checkpoint = checkpoint(&head, &validators(4)[..3]).to_note();
    let error = Error::Identity(muster_identity::Error::Signature);
    let found = forged.verify(&ledger.genesis);
    assert_eq!(found, Err(ReceiptFault::Part { part: "entry", error }));
}

/// Signed for one manufacturer, enrolled by another: the receipt fails at the leaf, also when
/// every validator looked away.
#[test]
fn a_possession_for_a_rival_does_not_count() {
    let mut ledger = Ledger::new(4);
    let (maker, rival) = (Org::new("maker"), Org::new("rival"));
    let (network, grant) = (ledger.chain.network(), ledger.genesis.grant_id());
    let key = ed25519("device");
    let rows = vec![(Inception::from_key(key.public_key()), key)];
    let batch = batch_of(&network, &rival.did, grant, rows);
    let signed = ledger.sign(maker.did, &maker.enrol, Action::Enrol(batch.enrol.clone()));
    ledger.commit(&ledger.block(vec![signed]));
    let found = ledger.receipt(&batch, 0, 0, 3).verify(&ledger.genesis);
    let error = Error::Identity(muster_identity::Error::Signature);
    assert_eq!(found, Err(ReceiptFault::Part { part: "leaf", error }));
}

#[test]
fn what_a_leaf_may_claim() {
    let (network, maker) = (Ledger::new(1).chain.network(), Org::new("maker").did);
    let key = ed25519("device");
    let inception = Inception::from_key(key.public_key());
    let agreed = possession_leaf(&network, &maker, inception.clone(), &key, true);
    assert_eq!(agreed.check(&network, &maker), Ok(()));
    let signature = Error::Identity(muster_identity::Error::Signature);
    let never = Leaf { owner_recovery: false, ..agreed.clone() };
    assert_eq!(never.check(&network, &maker), Err(signature.clone()));
    let plain = possession_leaf(&network, &maker, inception.clone(), &key, false);
    let slipped = Leaf { owner_recovery: true, ..plain.clone() };
    assert_eq!(slipped.check(&network, &maker), Err(signature.clone()));
    assert_eq!(plain.check(&network, &Org::new("rival").did), Err(signature.clone()));
    assert_eq!(plain.check(&muster_ledger::Network([0; 32]), &maker), Err(signature));
    let vouched = Leaf {
        evidence: Evidence::Vouched { by: VouchedBy::Certificate, digest: Some([1; 32]) },
        owner_recovery: true,
        ..plain.clone()
    };
    assert!(matches!(vouched.check(&network, &maker), Err(Error::Bound(_))));
    let vouched = Leaf { owner_recovery: false, ..vouched };
    assert_eq!(vouched.check(&network, &maker), Ok(()));

    use EvidencePolicy::{Document, Enroller, Possession};
    let word = Evidence::Vouched { by: VouchedBy::Enroller, digest: None };
    for (evidence, strength) in
        [(&word, Enroller), (&vouched.evidence, Document), (&plain.evidence, Possession)]
    {
        for asked in [Enroller, Document, Possession] {
            assert_eq!(asked.admits(evidence), strength >= asked);
        }
    }
}

#[test]
fn leaves_strictly_increase() {
    let did = |n: u8| Did::from_digest([n; 32]);
    let mut tree = LeafTree::default();
    tree.push(&did(3), b"three").unwrap();
    for again in [2, 3] {
        assert!(matches!(tree.push(&did(again), b"x"), Err(Error::Bound(_))));
    }
    assert_eq!(tree.count(), 1, "a refused leaf leaves no trace");
    tree.push(&did(4), b"four").unwrap();
    assert!(tree.device_part(BatchId([0; 32]), 2, vec![]).is_none());
}

/// RFC 5869 and RFC 2104 by another road: the derivation as the format page gives it.
#[test]
fn a_serial_commitment_reveals_one_serial() {
    let (secret, did) = ([7; 32], Did::from_digest([9; 32]));
    let hmac = |key: &[u8], data: &[u8]| {
        let mut block = [0u8; 64];
        block[..key.len()].copy_from_slice(key);
        let pad = |with: u8| block.map(|b| b ^ with);
        let inner = muster_identity::sha256(&[&pad(0x36), data]);
        muster_identity::sha256(&[&pad(0x5c), &inner])
    };
    let extracted = hmac(&[0; 32], &secret);
    let info = [&b"muster/serial/1"[..], did.digest(), &[1]].concat();
    let key = hmac(&extracted, &info);
    let expected = SerialCommitment(hmac(&key, b"SN-42"));
    assert_eq!(SerialCommitment::new(&secret, &did, "SN-42"), expected);
    assert_ne!(SerialCommitment::new(&secret, &did, "SN-43"), expected);
    assert_ne!(SerialCommitment::new(&secret, &Did::from_digest([8; 32]), "SN-42"), expected);
    assert_ne!(SerialCommitment::new(&[8; 32], &did, "SN-42"), expected);
}

#[test]
fn a_batch_is_named_by_its_leaves_and_grant() {
    let grant = muster_ledger::GrantId([1; 32]);
    let network = muster_ledger::Network([2; 32]);
    let enrol = Enrol { grant, model: "m".into(), count: 3, root: [4; 32] };
    let id = enrol.batch(&network);
    assert_eq!(Enrol { model: "n".into(), ..enrol.clone() }.batch(&network), id);
    assert_ne!(Enrol { count: 4, ..enrol.clone() }.batch(&network), id);
    assert_ne!(Enrol { root: [5; 32], ..enrol.clone() }.batch(&network), id);
    let other = Enrol { grant: muster_ledger::GrantId([9; 32]), ..enrol.clone() };
    assert_ne!(other.batch(&network), id);
    assert_ne!(enrol.batch(&muster_ledger::Network([3; 32])), id);
}
