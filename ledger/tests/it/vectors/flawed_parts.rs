//! Everything else with one flaw each: leaves, batches, paths, notes, genesis files, receipts.

use super::Vector;
use super::made::Story;
use crate::network::{Org, checkpoint, ed25519, genesis, p256, possession_leaf};
use data_encoding::HEXLOWER;
use muster_identity::cbor::{Decode, Encode, Writer};
use muster_identity::{Did, Inception, Signer};
use muster_ledger::{
    Alone, BatchRecord, Capabilities, Capability, Checkpoint, DeviceKey, DevicePart, DeviceRecord,
    Evidence, EvidencePolicy, Genesis, HoldId, HoldRecord, Leaf, LeafTree, OrgKey, Power, Snapshot,
    StateKey, StateProof, UploadRequest, ValidatorSet, VouchedBy, limits,
};

pub(super) fn all() -> Vec<Vector> {
    let story = Story::new();
    let mut vectors = vec![upload()];
    vectors.extend(leaves());
    vectors.extend(batches(&story));
    vectors.extend(geneses());
    vectors.extend(notes(&story));
    vectors.extend(states(&story));
    vectors.extend(snapshots(&story));
    vectors
}

/// The vector of a flaw whose error says so much.
pub(super) fn flaw<T>(
    kind: &'static str,
    name: &str,
    says: &str,
    found: Result<T, impl ToString>,
) -> Vector {
    let Err(error) = found else { panic!("{name} is accepted") };
    let error = error.to_string();
    assert!(error.contains(says), "{name}: {error}");
    Vector::invalid(kind, name, &error)
}

fn upload() -> Vector {
    let maker = Org::new("maker");
    let bytes = super::cose::operation(&[0xa0], &maker.enrol);
    flaw("upload", "operation-as-upload", "typ names another kind", UploadRequest::verify(&bytes))
        .hex("signed", &bytes)
}

fn leaves() -> Vec<Vector> {
    let (network, maker) = (genesis(4).network(), Org::new("maker").did);
    let key = ed25519("leaf device");
    let inception = Inception::from_key(key.public_key());
    let made = |network, manufacturer: &Did, recovery| {
        possession_leaf(network, manufacturer, inception.clone(), &key, recovery)
    };
    let good = made(&network, &maker, false);
    let vouched = |by, digest| Leaf { evidence: Evidence::Vouched { by, digest }, ..good.clone() };
    let by_hand = |evidence: &dyn Fn(&mut Writer), more: &dyn Fn(&mut Writer), pairs| {
        let mut w = Writer::default();
        w.map(pairs).uint(1).bytes(&inception.to_cbor()).uint(2);
        evidence(&mut w);
        w.uint(3).bytes(&good.serial.0);
        more(&mut w);
        w.into_bytes()
    };
    let word = |w: &mut Writer| {
        w.array(2).uint(2).uint(0);
    };
    let nothing = |_: &mut Writer| {};
    let digest = "a document is named by its digest";
    let table: Vec<(&str, &str, Vec<u8>)> = vec![
        (
            "possession-by-rival",
            "signature",
            made(&network, &Org::new("rival").did, false).to_cbor(),
        ),
        (
            "possession-on-another-network",
            "signature",
            made(&genesis(1).network(), &maker, false).to_cbor(),
        ),
        (
            "possession-without-recovery",
            "signature",
            Leaf { owner_recovery: true, ..good.clone() }.to_cbor(),
        ),
        (
            "vouched-with-owner-recovery",
            "the device's own possession signature",
            Leaf { owner_recovery: true, ..vouched(VouchedBy::Enroller, None) }.to_cbor(),
        ),
        ("vouched-word-with-digest", digest, vouched(VouchedBy::Enroller, Some([1; 32])).to_cbor()),
        (
            "vouched-document-without-digest",
            digest,
            vouched(VouchedBy::Certificate, None).to_cbor(),
        ),
        (
            "vouched-by-unknown",
            "an unknown kind of voucher",
            by_hand(
                &|w| {
                    w.array(2).uint(2).uint(4);
                },
                &nothing,
                3,
            ),
        ),
        (
            "evidence-unknown",
            "unknown evidence",
            by_hand(
                &|w| {
                    w.array(2).uint(3).uint(0);
                },
                &nothing,
                3,
            ),
        ),
        (
            "challenge-too-long",
            "a byte string above its limit",
            by_hand(
                &|w| {
                    w.array(3).uint(1).bytes(&[0; 33]).bytes(&[0; 64]);
                },
                &nothing,
                3,
            ),
        ),
        (
            "recovery-written-as-false",
            "an absent recovery is left out",
            by_hand(
                &word,
                &|w| {
                    w.uint(4).bool(false);
                },
                4,
            ),
        ),
        (
            "leaf-unknown-field",
            "an unknown, repeated or unordered",
            by_hand(
                &word,
                &|w| {
                    w.uint(5).uint(0);
                },
                4,
            ),
        ),
    ];
    let check = |bytes: &[u8]| {
        let leaf = Leaf::from_cbor(bytes).map_err(|e| e.to_string())?;
        leaf.check(&network, &maker).map_err(|e| e.to_string())
    };
    let vectors = table.into_iter().map(|(name, says, bytes)| {
        flaw("leaf", name, says, check(&bytes))
            .text("network", network)
            .text("manufacturer", maker)
            .hex("leaf", &bytes)
    });
    vectors.collect()
}

fn batches(story: &Story) -> Vec<Vector> {
    let devices = &story.batch.devices;
    let order = |name, leaves: Vec<&Vec<u8>>| {
        let mut tree = LeafTree::default();
        let found: Result<Vec<()>, _> = leaves
            .iter()
            .map(|leaf| tree.push(&Leaf::from_cbor(leaf).unwrap().did(), leaf))
            .collect();
        let leaves = leaves.iter().map(|leaf| HEXLOWER.encode(leaf));
        flaw("batch", name, "strictly increase by DID digest", found).list("leaves", leaves)
    };
    let [a, b, c, good, _] = &devices[..] else { unreachable!() };
    let mut vectors = vec![
        order("leaf-order", vec![&a.part.leaf, &c.part.leaf, &b.part.leaf]),
        order("leaf-twice", vec![&a.part.leaf, &b.part.leaf, &b.part.leaf]),
    ];
    let enrol = &story.batch.enrol;
    let record = story.ledger.chain.state();
    let record = record.iter().find(|(key, _)| *key == StateKey::Batch(story.batch.id)).unwrap();
    let record = BatchRecord::from_cbor(record.1).unwrap();
    let change = |name, says, change: &dyn Fn(&mut DevicePart)| {
        let mut part = good.part.clone();
        change(&mut part);
        let bytes = part.to_cbor();
        let found = DevicePart::from_cbor(&bytes).unwrap().verify(&record);
        flaw("device-part", name, says, found)
            .text("grant", enrol.grant)
            .number("count", enrol.count)
            .hex("root", &enrol.root)
            .hex("device_part", &bytes)
    };
    let path = "the Merkle path does not lead to the root";
    vectors.extend([
        change("path-too-long", path, &|part| part.path.push([0; 32])),
        change("path-too-short", path, &|part| part.path.truncate(2)),
        change("path-altered", path, &|part| part.path[1][31] ^= 1),
        change("path-in-reverse", path, &|part| part.path.reverse()),
        change("index-of-another", path, &|part| part.index = 2),
        change("index-beyond-the-batch", path, &|part| part.index = 5),
        change("leaf-of-another", path, &|part| part.leaf = a.part.leaf.clone()),
    ]);
    vectors
}

fn geneses() -> Vec<Vector> {
    let good = genesis(4);
    let change = |name, says, change: &dyn Fn(&mut Genesis)| {
        let mut genesis = good.clone();
        change(&mut genesis);
        let bytes = genesis.to_cbor();
        flaw("genesis", name, says, Genesis::from_cbor(&bytes)).hex("genesis", &bytes)
    };
    let order = "one or more keys in ascending order";
    let mut version = good.to_cbor();
    version[2] = 2;
    vec![
        change("genesis-no-root-key", "has no root key", &|g| {
            g.organisation.keys[0].capabilities = Capabilities::of(&[Capability::Enrol]);
        }),
        change("genesis-root-key-of-another", "has no root key", &|g| {
            g.organisation.keys[0].key = ed25519("another").public_key();
        }),
        change("genesis-key-twice", "stands twice", &|g| {
            let key = g.organisation.keys[0].key;
            let capabilities = Capabilities::of(&[Capability::Gateway]);
            g.organisation.keys.push(OrgKey { key, capabilities });
        }),
        change("genesis-grant-weaker-than-rules", "stronger evidence", &|g| {
            g.rules.evidence = EvidencePolicy::Possession;
        }),
        change("genesis-validators-unordered", order, &|g| g.validators.0.reverse()),
        change("genesis-validator-twice", order, &|g| g.validators.0[1] = g.validators.0[0]),
        change("genesis-no-validators", order, &|g| g.validators = ValidatorSet(vec![])),
        change("genesis-validator-p256", "a validator key is Ed25519", &|g| {
            g.validators = ValidatorSet(vec![p256("validator").public_key()]);
        }),
        change("genesis-label-too-long", "a text above its limit", &|g| {
            g.organisation.label = "l".repeat(limits::LABEL_BYTES + 1);
        }),
        flaw(
            "genesis",
            "genesis-other-version",
            "another protocol version",
            Genesis::from_cbor(&version),
        )
        .hex("genesis", &version),
    ]
}

fn notes(story: &Story) -> Vec<Vector> {
    let (chain, keys) = (&story.ledger.chain, &story.ledger.validators);
    let (network, set) = (chain.network(), &story.ledger.genesis.validators);
    let head = chain.head(chain.time()).unwrap();
    let good = checkpoint(&head, &keys[..3]).to_note();
    let vector = |name, says, note: String| {
        let found = Checkpoint::parse(&note).and_then(|read| read.verify(&network, set));
        flaw("checkpoint", name, says, found)
            .text("network", network)
            .list("validators", set.0.iter().map(|key| key.to_multikey()))
            .text("note", note)
    };
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let once = checkpoint(&head, &keys[..1]).to_note();
    let line = once.lines().last().unwrap();
    let elsewhere = muster_ledger::Head { network: genesis(1).network(), ..head };
    let later = muster_ledger::Head { time: head.time.plus_ms(1_000), ..head };
    let later = checkpoint(&later, &keys[..3]).to_note().split_once("\n\n").unwrap().1.to_owned();
    let form = "not the one form of its content";
    vec![
        vector("note-leading-zero", form, with("\n10\n", "\n010\n")),
        vector("note-carriage-return", form, with("\n10\n", "\n10\r\n")),
        vector("note-more-lines", form, with("protocol 1\n", "protocol 1\nmore\n")),
        vector("note-line-missing", "extension lines", with("height 10\n", "")),
        vector(
            "note-lines-in-another-order",
            "extension lines",
            with("height 10\ntime ", "time 10\nheight "),
        ),
        vector("note-other-protocol", "upgrade needed", with("protocol 1", "protocol 2")),
        vector("note-base64-in-pieces", "a signature is not in base64", with("==\n", "==AA==\n")),
        vector("note-hyphen-for-dash", "a signature line is malformed", with("— ", "- ")),
        vector("note-unsigned", "the last line is cut", format!("{}\n", head.body())),
        vector("note-last-line-cut", "the last line is cut", good.trim_end().into()),
        vector("note-altered", "0 of 3", with("height 10", "height 11")),
        vector("note-quorum-short", "2 of 3", checkpoint(&head, &keys[..2]).to_note()),
        vector(
            "note-one-signer-thrice",
            "1 of 3",
            format!("{}\n{}", head.body(), format!("{line}\n").repeat(3)),
        ),
        vector("note-signed-for-another-second", "0 of 3", format!("{}\n{later}", head.body())),
        vector(
            "note-of-another-network",
            "another network",
            checkpoint(&elsewhere, keys).to_note(),
        ),
    ]
}

fn snapshots(story: &Story) -> Vec<Vector> {
    let (chain, genesis) = (&story.ledger.chain, &story.ledger.genesis);
    let head = chain.head(chain.time()).unwrap();
    let quorum = chain.check(&checkpoint(&head, &story.ledger.validators)).unwrap();
    let good = chain.snapshot(&quorum).unwrap().unwrap();
    let vector = |name, says, bytes: &[u8]| {
        let checked = Snapshot::parse(bytes)
            .and_then(|it| it.check(&genesis.network(), &genesis.validators, &Alone));
        flaw("snapshot", name, says, checked)
            .hex("genesis", &genesis.to_cbor())
            .hex("state_root", &head.state_root)
            .hex("snapshot", bytes)
    };
    // The last byte is the last device's number of changes.
    let mut altered = good.clone();
    *altered.last_mut().unwrap() += 1;
    let mut later = good.clone();
    later[1] = 2;
    vec![
        vector("snapshot-row-altered", "state root", &altered),
        vector("snapshot-row-cut", "CBOR", &good[..good.len() - 1]),
        vector("snapshot-of-a-later-version", "upgrade needed", &later),
    ]
}

fn states(story: &Story) -> Vec<Vector> {
    let state = story.ledger.chain.state();
    let [a, b, .., absent] = &story.batch.devices[..] else { unreachable!() };
    let key = |did| StateKey::Device(did);
    let value = |did| state.iter().find(|(k, _)| *k == key(did)).unwrap().1.to_vec();
    let vector = |name, proof: &StateProof, did: Did, value: Option<Vec<u8>>| {
        let path = "the Merkle path does not lead to the root";
        let vector = flaw(
            "state-proof",
            name,
            path,
            proof.verify(&state.root(), &key(did), value.as_deref()),
        )
        .hex("root", &state.root())
        .hex("key", &key(did).to_bytes());
        let vector = match value {
            Some(value) => vector.hex("value", &value),
            None => vector.raw("value", "null".into()),
        };
        vector.hex("state_proof", &proof.to_cbor())
    };
    let (here, nowhere) = (state.prove(&key(a.did)), state.prove(&key(absent.did)));
    let mut holds = DeviceRecord::from_cbor(&value(a.did)).unwrap();
    let hold = HoldRecord { id: HoldId([1; 16]), by: a.did, power: Power::Owner, until: None };
    holds.standing.holds = vec![hold; limits::HOLDS + 1];
    let holds = holds.to_cbor();
    // The field of the present key left out, and a key that is over.
    let mut own = DeviceRecord::from_cbor(&value(b.did)).unwrap();
    own.key = DeviceKey::Own;
    let own = own.to_cbor();
    vec![
        flaw("record", "record-own-key-beside-others", "never had another", {
            DeviceRecord::from_cbor(&own)
        })
        .text("record", "device")
        .hex("value", &own),
        vector("state-other-value", &here, a.did, Some(value(b.did))),
        vector("state-of-another-key", &here, b.did, Some(value(a.did))),
        vector("state-absence-of-what-is-there", &here, a.did, None),
        vector("state-absence-by-proof-of-another", &nowhere, a.did, None),
        vector("state-presence-of-what-is-not-there", &nowhere, absent.did, Some(value(a.did))),
        flaw(
            "record",
            "record-too-many-holds",
            "an array above its limit",
            DeviceRecord::from_cbor(&holds),
        )
        .text("record", "device")
        .hex("value", &holds),
    ]
}
