//! The valid vectors.

use super::{Vector, cose};
use crate::chained::Ledger;
use crate::network::{
    Batch, HOUR, Org, START, batch, checkpoint, ed25519, new_key, p256, possession_leaf,
    validator_set,
};
use data_encoding::HEXLOWER;
use muster_identity::cbor::{Encode, Reader};
use muster_identity::{Did, Inception, SecretKey, Signer, sha256};
use muster_ledger::{
    Action, Block, Capabilities, Capability, ChangeKeys, ChangeValidators, Deactivate, DeviceKey,
    DeviceRecord, DeviceRef, Evidence, EvidencePolicy, Grant, Hold, HoldId, Leaf, Operation, Power,
    Release, Revoke, RevokeKey, Rotate, SerialCommitment, SignedOperation, Standing, StateKey,
    Target, UploadRequest, VouchedBy, WithdrawGrant, merkle,
};

pub(super) fn all() -> Vec<Vector> {
    let story = Story::new();
    let mut vectors = vec![story.genesis(), story.batch(), story.history(), upload()];
    vectors.extend(story.operations());
    vectors.extend(leaves());
    vectors.extend(story.log());
    vectors.extend(story.records());
    vectors.extend(story.proofs());
    vectors.extend(story.snapshot());
    vectors
}

/// A ledger in which every action happened once.
pub(super) struct Story {
    pub(super) ledger: Ledger,
    pub(super) batch: Batch,
    signed: Vec<(SecretKey, SignedOperation)>,
}

impl Story {
    pub(super) fn new() -> Self {
        let mut ledger = Ledger::new(4);
        let maker = Org::new("maker");
        let (network, grant) = (ledger.chain.network(), ledger.genesis.grant_id());
        let batch = batch(&network, &maker.did, grant, "vector", 5);
        let mut story = Self { ledger: Ledger::new(4), batch, signed: vec![] };
        let [a, b, c, ..] = &story.batch.devices[..] else { unreachable!() };
        let id = HoldId(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f");
        let alone = |did: Did| DeviceRef { did, part: None };
        let join = new_key(&network, &maker.did, 1, &p256("joining"));
        let turn = new_key(&network, &b.did, 0, &ed25519("turned"));
        let next = sha256(&[&ed25519("after that").public_key().to_multicodec()]);
        let actions = [
            (maker.did, maker.enrol, Action::Enrol(story.batch.enrol.clone())),
            (
                maker.did,
                p256("maker operate"),
                Action::Hold(Hold {
                    target: a.target(),
                    id,
                    power: Power::Owner,
                    until: Some(START.plus_ms(100 * HOUR)),
                    seen: 1,
                    reason: "lost in transport".into(),
                }),
            ),
            (
                maker.did,
                p256("maker operate"),
                Action::Release(Release { target: Target::Device(alone(a.did)), hold: id, seq: 1 }),
            ),
            (
                b.did,
                key_of(b.did, &story.batch),
                Action::Rotate(Rotate {
                    device: b.with_part(),
                    seq: 0,
                    key: turn,
                    next_key: Some(next),
                }),
            ),
            (
                maker.did,
                p256("maker operate"),
                Action::RevokeKey(RevokeKey { device: alone(b.did), key: b.key.public_key() }),
            ),
            (
                maker.did,
                p256("maker operate"),
                Action::Revoke(Revoke { target: a.target(), reason: "stolen".into() }),
            ),
            (
                c.did,
                key_of(c.did, &story.batch),
                Action::Deactivate(Deactivate { target: c.target() }),
            ),
            (
                maker.did,
                maker.root,
                Action::ChangeKeys(ChangeKeys {
                    seq: 1,
                    add: vec![(
                        join,
                        Capabilities::of(&[Capability::Operate, Capability::Gateway]),
                    )],
                    remove: vec![maker.gateway.public_key()],
                }),
            ),
            (
                maker.did,
                ed25519("maker approve"),
                Action::Grant(Grant {
                    seq: 2,
                    organisation: maker.did,
                    models: vec!["sensor-1".into(), "valve 2".into()],
                    count: 1_000_000,
                    expires: START.plus_ms(500 * HOUR),
                    evidence: EvidencePolicy::Possession,
                }),
            ),
            (
                maker.did,
                ed25519("maker approve"),
                Action::WithdrawGrant(WithdrawGrant { grant: Grant::id(&network, &maker.did, 2) }),
            ),
        ];
        for (author, key, action) in actions {
            let signed = ledger.sign(author, &key, action);
            ledger.commit(&ledger.block(vec![signed.clone()]));
            story.signed.push((key, signed));
        }
        // Not of this ledger, whose validators are nobody's: signed only.
        let root = Org::new("maker").root;
        let validators = validator_set(&[ed25519("next validator")]);
        let change = ChangeValidators { seq: 3, validators };
        let signed = ledger.sign(maker.did, &root, Action::ChangeValidators(change));
        story.signed.push((root, signed));
        story.ledger = ledger;
        story
    }

    fn genesis(&self) -> Vector {
        let genesis = &self.ledger.genesis;
        Vector::valid("genesis", "genesis", "How a network with four validators begins.")
            .cbor("genesis", genesis.to_cbor())
            .text("network", genesis.network())
            .text("organisation", genesis.organisation_did())
            .text("grant", genesis.grant_id())
            .hex("state_root", &genesis.state().root())
            .hex("validators_hash", &genesis.validators.hash())
    }

    fn operations(&self) -> Vec<Vector> {
        self.signed.iter().map(|(key, signed)| operation("", key, signed)).collect()
    }

    fn batch(&self) -> Vector {
        let (batch, enrol) = (&self.batch, &self.batch.enrol);
        let part = batch.devices[3].part.to_cbor();
        Vector::valid(
            "batch",
            "batch",
            "Five leaves, their root, the batch's id and a device part.",
        )
        .text("network", self.ledger.chain.network())
        .text("grant", enrol.grant)
        .text("model", &enrol.model)
        .list("dids", batch.devices.iter().map(|d| d.did.to_string()))
        .list("leaves", batch.devices.iter().map(|d| HEXLOWER.encode(&d.part.leaf)))
        .number("count", enrol.count)
        .hex("root", &enrol.root)
        .text("batch", batch.id)
        .number("index", 3)
        .cbor("device_part", part)
    }

    /// What every node, follower and audit must come to.
    fn history(&self) -> Vector {
        let chain = &self.ledger.chain;
        let head = chain.head(chain.time()).unwrap();
        Vector::valid("history", "history", "Every action once: entries, and the head they give.")
            .hex("genesis", &self.ledger.genesis.to_cbor())
            .list("entries", self.ledger.entries.iter().map(|entry| HEXLOWER.encode(entry)))
            .text("head", head.body())
    }

    fn log(&self) -> Vec<Vector> {
        let log = &self.ledger.log;
        let hashes = |path: Vec<merkle::Hash>| HEXLOWER.encode(path.as_flattened());
        let entry = &self.ledger.entries[4];
        let head = self.ledger.chain.head(START.plus_ms(90_000)).unwrap();
        let note = checkpoint(&head, &self.ledger.validators[1..]).to_note();
        vec![
            Vector::valid(
                "block",
                "block",
                "The block of the first three operations, if one held them.",
            )
            .number("height", 1)
            .number("time", START.plus_ms(1_000).0)
            .list("operations", self.signed[..3].iter().map(|(_, s)| HEXLOWER.encode(&s.0)))
            .cbor("block", self.block().to_cbor()),
            Vector::valid("entry", "entry", "A log entry, and its hash as a leaf of the log.")
                .cbor("entry", entry.clone())
                .number("height", 5)
                .number("time", START.plus_ms(5_000).0)
                .hex("operation", &self.signed[4].1.0)
                .hex("leaf_hash", &merkle::leaf_hash(entry)),
            Vector::valid("log", "log", "The log of ledger-history.json: roots and proofs.")
                .list(
                    "leaf_hashes",
                    self.ledger.entries.iter().map(|e| HEXLOWER.encode(&merkle::leaf_hash(e))),
                )
                .list("roots", (0..=10).map(|n| HEXLOWER.encode(&log.root_at(n).unwrap())))
                .list("paths_at_10", (0..10).map(|i| hashes(log.inclusion(i, 10).unwrap())))
                .list(
                    "consistency_to_10",
                    (1..=10).map(|m| hashes(log.consistency(m, 10).unwrap())),
                ),
            Vector::valid("checkpoint", "checkpoint", "A checkpoint that three of four signed.")
                .text("note", note)
                .text("network", head.network)
                .list(
                    "validators",
                    self.ledger.genesis.validators.0.iter().map(|k| k.to_multikey()),
                )
                .number("size", head.size)
                .hex("log_root", &head.log_root)
                .number("height", head.height)
                .number("time", head.time.0)
                .hex("state_root", &head.state_root),
        ]
    }

    fn block(&self) -> Block {
        let operations = self.signed[..3].iter().map(|(_, signed)| signed.clone()).collect();
        Block { height: 1, time: START.plus_ms(1_000), operations }
    }

    fn records(&self) -> Vec<Vector> {
        let state = self.ledger.chain.state();
        let mut records: Vec<_> = state.iter().collect();
        records.sort_by_key(|(key, _)| *key);
        let mut vectors = vec![
            Vector::valid("state", "state", "All records of the state after ledger-history.json.")
                .list("keys", records.iter().map(|(key, _)| HEXLOWER.encode(&key.to_bytes())))
                .list("values", records.iter().map(|(_, value)| HEXLOWER.encode(value)))
                .hex("root", &state.root()),
        ];
        // One of each kind on its own, the richest there is.
        let kinds: [(&'static str, u8); 6] = [
            ("rules", 1),
            ("validators", 2),
            ("organisation", 3),
            ("grant", 4),
            ("batch-record", 5),
            ("device", 6),
        ];
        for (kind, tag) in kinds {
            let of_kind = records.iter().filter(|(key, _)| key.to_bytes()[0] == tag);
            let (key, value) = of_kind.max_by_key(|(_, value)| value.len()).unwrap();
            let vector =
                Vector::valid("record", &format!("record-{kind}"), "A record of the state.")
                    .text("record", kind)
                    .hex("key", &key.to_bytes())
                    .cbor("value", value.to_vec());
            vectors.push(Vector { sample: Some((kind, value.to_vec())), ..vector });
        }
        vectors
    }

    /// The ledger of the history in one piece, and records of devices in each form of their key.
    fn snapshot(&self) -> Vec<Vector> {
        let chain = &self.ledger.chain;
        let head = chain.head(chain.time()).unwrap();
        let note = checkpoint(&head, &self.ledger.validators);
        let quorum = chain.check(&note).unwrap();
        let bytes = chain.snapshot(&quorum).unwrap().unwrap();
        let about = "The ledger after ledger-history.json in one piece, signed by four validators.";
        let snapshot = Vector::valid("snapshot", "snapshot", about)
            .hex("genesis", &self.ledger.genesis.to_cbor())
            .hex("state_root", &head.state_root)
            .cbor("snapshot", bytes);
        let device = |name: &str, about: &str, key: DeviceKey| {
            let record = DeviceRecord {
                batch: self.batch.id,
                index: 3,
                seq: 1,
                key,
                retired: vec![],
                next_key: None,
                standing: Standing { revoked: true, ..Standing::default() },
                left: None,
                offer: None,
            };
            let vector = Vector::valid("record", name, about)
                .text("record", "device")
                .hex("key", &StateKey::Device(self.batch.devices[3].did).to_bytes())
                .cbor("value", record.to_cbor());
            Vector { sample: Some(("device", record.to_cbor())), ..vector }
        };
        vec![
            snapshot,
            device("record-device-own", "A revoked device with its own key.", DeviceKey::Own),
            device(
                "record-device-held",
                "A revoked device whose inception says more than its key.",
                DeviceKey::Held(ed25519("held").public_key()),
            ),
        ]
    }

    fn proofs(&self) -> Vec<Vector> {
        let chain = &self.ledger.chain;
        let state = chain.state();
        let [a, .., last] = &self.batch.devices[..] else { unreachable!() };
        let proof = |name: &str, about: &str, did: Did| {
            let key = StateKey::Device(did);
            let value = state.iter().find(|(k, _)| *k == key).map(|(_, value)| value.to_vec());
            let vector = Vector::valid("state-proof", name, about)
                .text("did", did)
                .hex("root", &state.root())
                .hex("key", &key.to_bytes());
            let vector = match value {
                Some(value) => vector.hex("value", &value),
                None => vector.raw("value", "null".into()),
            };
            vector.cbor("state_proof", state.prove(&key).to_cbor())
        };
        let receipt = self.ledger.receipt(&self.batch, 3, 0, 3);
        let device = self.batch.devices[3].did;
        vec![
            proof("state-present", "A device that changed, and its record.", a.did),
            proof("state-absent", "A device that is unchanged since its enrolment.", last.did),
            Vector::valid("receipt", "receipt", "A device's receipt: device part and batch part.")
                .hex("genesis", &self.ledger.genesis.to_cbor())
                .text("did", device)
                .text("manufacturer", Org::new("maker").did)
                .text("batch", self.batch.id)
                .number("index", 3)
                .number("height", 1)
                .cbor("receipt", receipt.to_cbor()),
            Vector::valid(
                "entry-proof",
                "entry-proof",
                "An acknowledgement: an entry under a checkpoint.",
            )
            .hex("genesis", &self.ledger.genesis.to_cbor())
            .number("index", 7)
            .text("action", "change-keys")
            .cbor("entry_proof", self.ledger.prove(7, 3).to_cbor()),
        ]
    }
}

/// A signed operation, named by its action and what follows.
pub(super) fn operation(which: &str, key: &SecretKey, signed: &SignedOperation) -> Vector {
    let verified = signed.verify().unwrap();
    let operation: &Operation = verified.operation();
    let word = operation.action.word();
    let payload = operation.to_cbor();
    let to_be_signed = cose::to_be_signed(&cose::good(key), &[], &payload);
    Vector::valid("operation", &format!("operation-{word}{which}"), "A signed operation.")
        .text("action", word)
        .text("network", operation.network)
        .text("author", operation.author)
        .number("valid_until", operation.valid_until.0)
        .text("multikey", key.public_key())
        .cbor("payload", payload)
        .hex("to_be_signed", &to_be_signed)
        .hex("signed", &signed.0)
        .text("hash", signed.hash())
        .text("proposal", verified.proposal())
}

/// The device's key once more: keys are not copied.
fn key_of(did: Did, batch: &Batch) -> SecretKey {
    let public = batch.devices.iter().find(|d| d.did == did).unwrap().key.public_key();
    let keys = (0..5).flat_map(|i| {
        let seed = format!("vector device {i}");
        [ed25519(&seed), p256(&seed)]
    });
    keys.into_iter().find(|key| key.public_key() == public).unwrap()
}

fn upload() -> Vector {
    let (ledger, maker) = (Ledger::new(4), Org::new("maker"));
    let request = UploadRequest {
        network: ledger.chain.network(),
        organisation: maker.did,
        valid_until: START.plus_ms(HOUR),
        grant: ledger.genesis.grant_id(),
        model: "sensor-1".into(),
        rows: 250_000,
        rehearsal: true,
        nonce: [0xa5; 16],
    };
    Vector::valid("upload", "upload", "A signed request to stage rows.")
        .cbor("upload", request.to_cbor())
        .hex("signed", &request.sign(&maker.enrol).unwrap())
        .text("multikey", maker.enrol.public_key())
}

fn leaves() -> Vec<Vector> {
    let (network, maker) = (Ledger::new(4).chain.network(), Org::new("maker").did);
    let vector = |name: &str, about: &str, leaf: &Leaf| {
        let bytes = leaf.to_cbor();
        let mut reader = Reader::new(&bytes);
        let inception = reader.map().unwrap().required(1).unwrap().bytes(4_096).unwrap().to_vec();
        Vector::valid("leaf", name, about)
            .text("network", network)
            .text("manufacturer", maker)
            .cbor("leaf", bytes.clone())
            .hex("inception", &inception)
            .text("did", leaf.did())
            .text("multikey", leaf.inception.key)
            .hex("directory_secret", &[7; 32])
            .text("serial", "SN-1")
            .hex("serial_commitment", &leaf.serial.0)
            .hex("leaf_hash", &merkle::leaf_hash(&bytes))
    };
    let of = |key: &SecretKey, recovery| {
        possession_leaf(&network, &maker, Inception::from_key(key.public_key()), key, recovery)
    };
    let (ed, p) = (ed25519("leaf device"), p256("leaf device"));
    let vouched = |by, digest| {
        let inception = Inception::from_key(p.public_key());
        let serial = SerialCommitment::new(&[7; 32], &Did::of(&inception), "SN-1");
        Leaf {
            inception,
            evidence: Evidence::Vouched { by, digest },
            serial,
            owner_recovery: false,
        }
    };
    let document = Some(sha256(&[b"an entry of a manifest"]));
    vec![
        vector("leaf-possession-ed25519", "The device signed for it.", &of(&ed, false)),
        vector("leaf-possession-p256", "The device signed for it.", &of(&p, false)),
        vector(
            "leaf-owner-recovery",
            "The device agreed to recovery by its owner.",
            &of(&ed, true),
        ),
        vector("leaf-vouched", "The enroller vouches.", &vouched(VouchedBy::Enroller, None)),
        vector(
            "leaf-vouched-manifest",
            "The enroller checked the vendor's manifest.",
            &vouched(VouchedBy::VendorManifest, document),
        ),
    ]
}
