//! Sizes that others rely on, computed from the largest things there can be.

use crate::network::{HOUR, Org, START, new_key, p256, possession_leaf, secret};
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{AgreementKey, Algorithm, Did, Inception, PossessionTerms, Recovery, Signer};
use muster_ledger::{
    Action, Approved, BatchId, Block, Capabilities, ChangeKeys, DevicePart, DeviceRef, Evidence,
    EvidencePolicy, Grant, Hold, HoldId, Leaf, Network, NewKey, OpenProposal, Operation, Power,
    ProposalRecord, Propose, Revoke, Rotate, SerialCommitment, Target, Time, limits,
};

/// The bytes of the leaf's device part in a batch of so many devices.
fn device_part(leaf: &Leaf, devices: u64) -> DevicePart {
    let levels = (devices - 1).ilog2() + 1;
    DevicePart {
        batch: BatchId([0xff; 32]),
        index: devices - 1,
        leaf: leaf.to_cbor(),
        path: vec![[0xff; 32]; levels as usize],
    }
}

/// Design: at most 900 bytes at a million, so that it fits a header and a constrained device.
#[test]
fn a_device_part_at_a_million_devices() {
    let network = Network([0xff; 32]);
    let maker = Did::from_digest([0xff; 32]);
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let key = secret(algorithm, "device");
        let inception = Inception::from_key(key.public_key());
        let mut leaf = possession_leaf(&network, &maker, inception, &key, true);
        // The longest challenge there is.
        let Evidence::Possession { challenge, .. } = &mut leaf.evidence else { unreachable!() };
        *challenge = vec![0xff; PossessionTerms::MAX_CHALLENGE];
        let leaf_bytes = leaf.to_cbor().len();
        for devices in [1_000_000, limits::BATCH_DEVICES] {
            let part = device_part(&leaf, devices);
            assert_eq!(part.path.len(), 20);
            let bytes = part.to_cbor();
            assert_eq!(DevicePart::from_cbor(&bytes), Ok(part));
            println!("{algorithm:?}: leaf {leaf_bytes}, device part {} bytes", bytes.len());
            assert!(bytes.len() <= 900, "{algorithm:?}: {} bytes", bytes.len());
        }
        // A firmware that declares every optional field pays for it: still under 1 KiB.
        leaf.inception = Inception {
            agreement: Some(AgreementKey::x25519([9; 32]).unwrap()),
            next_key: Some([0xff; 32]),
            recovery: Some(Recovery::Key(p256("recovery").public_key())),
            ..leaf.inception
        };
        let full = device_part(&leaf, 1_000_000).to_cbor().len();
        println!("{algorithm:?}: with every field {full} bytes");
        assert!(full <= 1_024, "{full}");
    }
}

fn signed_len(action: Action) -> usize {
    let (network, author) = (Network([0xff; 32]), Did::from_digest([0xff; 32]));
    let valid_until = START.plus_ms(HOUR);
    let operation = Operation { network, author, valid_until, action };
    let signed = operation.sign(&p256("signer")).unwrap();
    let verified = signed.verify().unwrap();
    assert_eq!(verified.operation(), &operation);
    signed.0.len()
}

#[test]
fn the_largest_operations_fit_their_limit() {
    let (network, author) = (Network([0xff; 32]), Did::from_digest([0xff; 32]));
    let many = |what: &str| -> Vec<_> {
        (0..limits::ORGANISATION_KEYS).map(|i| p256(&format!("{what} {i}"))).collect()
    };
    let all = Capabilities::from_words(["root", "enrol", "operate", "approve", "gateway"]).unwrap();
    let keys = ChangeKeys {
        seq: u64::MAX,
        add: many("add")
            .iter()
            .map(|key| (new_key(&network, &author, u64::MAX, key), all))
            .collect(),
        remove: many("remove").iter().map(|key| key.public_key()).collect(),
    };
    let grant = Grant {
        seq: u64::MAX,
        organisation: author,
        models: (0..limits::GRANT_MODELS).map(|i| format!("{i:064}")).collect(),
        count: u64::MAX,
        expires: Time(253_402_300_799_999),
        evidence: EvidencePolicy::Possession,
    };
    let key = p256("device");
    let leaf = possession_leaf(
        &network,
        &author,
        Inception {
            agreement: Some(AgreementKey::x25519([9; 32]).unwrap()),
            next_key: Some([0xff; 32]),
            recovery: Some(Recovery::Key(key.public_key())),
            key: key.public_key(),
        },
        &key,
        true,
    );
    let part = device_part(&leaf, limits::BATCH_DEVICES);
    let device = DeviceRef { did: leaf.did(), part: Some(Box::new(part)) };
    let hold = Hold {
        target: Target::Device(device.clone()),
        id: HoldId([0xff; 16]),
        power: Power::Incident,
        until: Some(Time(253_402_300_799_999)),
        seen: u64::MAX,
        reason: "r".repeat(limits::REASON_BYTES),
    };
    let new: NewKey = new_key(&network, &device.did, u64::MAX, &p256("new"));
    let rotate = Rotate { device, seq: u64::MAX, key: new, next_key: Some([0xff; 32]) };
    // The largest leaf there is, in the largest batch: more than any real inception takes.
    let mut part = device_part(&leaf, limits::BATCH_DEVICES);
    part.leaf = vec![0xff; limits::LEAF_BYTES];
    let device = DeviceRef { did: leaf.did(), part: Some(Box::new(part)) };
    let reason = "r".repeat(limits::REASON_BYTES);
    let revoke = Revoke { target: Target::Device(device), reason: reason.clone() };
    let expires = Time(253_402_300_799_999);
    let propose = |action: &Action| {
        let (action, reason) = (Box::new(action.clone()), reason.clone());
        Action::Propose(Propose { action, expires, reason })
    };
    let keys = Action::ChangeKeys(keys);
    let proposals = [propose(&keys), propose(&Action::Revoke(revoke))];
    for proposal in &proposals {
        let Action::Propose(propose) = proposal else { unreachable!() };
        let other = Org::new("rival").did;
        let approved = Approved { key: p256("signer").public_key(), organisation: other };
        let open = OpenProposal {
            organisation: author,
            key: p256("signer").public_key(),
            action: (*propose.action).clone(),
            expires,
            approvals: vec![approved; limits::ORGANISATIONS - 1],
            reason: reason.clone(),
            entry: u64::MAX,
        };
        let record = ProposalRecord::Open(Box::new(open)).to_cbor();
        println!("proposal of {}: {} bytes", propose.action.word(), record.len());
        assert!(ProposalRecord::from_cbor(&record).is_ok());
        assert!(record.len() <= limits::SNAPSHOT_RECORD_BYTES, "{}", record.len());
    }
    let [large, larger] = proposals;
    for action in
        [keys, Action::Grant(grant), Action::Hold(hold), Action::Rotate(rotate), large, larger]
    {
        let (word, bytes) = (action.word(), signed_len(action));
        println!("{word}: {bytes} bytes");
        assert!(bytes < limits::OPERATION_BYTES / 2, "{word}: {bytes}");
    }
}

/// A leaf fits the 16-bit length of a C2SP entry bundle and its own, lower limit.
#[test]
fn limits_agree_with_each_other() {
    const {
        assert!(limits::LEAF_BYTES < 65_535);
        assert!(limits::OPERATION_BYTES < 65_535);
        assert!(limits::OPERATION_BYTES < limits::BLOCK_BYTES);
        assert!(limits::BLOCK_BYTES < 4 << 20);
        assert!(limits::BATCH_DEVICES == 1 << 20);
        assert!(limits::VALIDATORS * 190 + 1_024 < limits::NOTE_BYTES);
    }
    let maker = Org::new("maker");
    let serial = SerialCommitment::new(&[0; 32], &maker.did, &"9".repeat(limits::SERIAL_BYTES));
    assert_eq!(serial.0.len(), 32);
    let empty = Block { height: 1, time: START, operations: vec![] };
    assert!(Block::from_cbor(&empty.to_cbor()).is_err());
}
