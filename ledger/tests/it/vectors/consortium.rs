//! Several organisations, transfers and recoveries: a history of them, its records, and what is
//! wrong with others.

use super::flawed::{self, with};
use super::flawed_parts::flaw;
use super::{Vector, made};
use crate::consortium::{admission, validator};
use crate::governed::{solo, validator_key};
use crate::network::{
    HOUR, Org, START, batch_of, checkpoint, ed25519, genesis, new_key, p256, validator_set,
};
use data_encoding::HEXLOWER;
use muster_identity::cbor::{Decode, Encode, Writer};
use muster_identity::{Did, Inception, Recovery, SecretKey, Signer};
use muster_ledger::{
    AcceptTransfer, Action, Admit, Approve, BatchRecord, CancelTransfer, ChangeRules,
    ChangeValidators, DeviceRecord, EvidencePolicy, Expel, Grant, Matter, Members, NewKey, Offer,
    OfferId, OfferTransfer, ProposalRecord, Propose, Recover, Rules, SignedOperation, StateKey,
    Table, Target, Threshold, View,
};

pub(super) fn all() -> Vec<Vector> {
    let (mut ledger, maker) = (solo(1), Org::new("maker"));
    let (second, third) = (Org::new("second"), Org::new("third"));
    let network = ledger.chain.network();
    let safe = p256("in a safe");
    let rows = (0..3).map(|i| {
        let key = ed25519(&format!("consortium device {i}"));
        let recovery = (i == 0).then(|| Recovery::Key(safe.public_key()));
        (Inception { recovery, ..Inception::from_key(key.public_key()) }, key)
    });
    let batch = batch_of(&network, &maker.did, ledger.genesis.grant_id(), rows.collect());
    let enrol = ledger.sign(maker.did, &maker.enrol, Action::Enrol(batch.enrol.clone()));
    ledger.commit(&ledger.block(vec![enrol]));
    let mut vectors = Vec::new();
    let mut say = |which: &str, author: Did, key: &SecretKey, action: Action| {
        let signed = ledger.sign(author, key, action);
        if !which.is_empty() {
            vectors.push(made::operation(which.trim_start_matches('.'), key, &signed));
        }
        ledger.commit(&ledger.block(vec![signed.clone()]));
        signed
    };
    let id = |signed: &SignedOperation| signed.verify().unwrap().proposal();
    let expires = START.plus_ms(100 * HOUR);
    let propose = |action| {
        Action::Propose(Propose { action: Box::new(action), expires, reason: "as agreed".into() })
    };
    let approve = |signed: &SignedOperation| Action::Approve(Approve { proposal: id(signed) });
    let admit = |seq, name| Action::Admit(Admit { seq, admission: admission(&network, name) });
    say(".", maker.did, &maker.root, admit(1, "second"));
    let p = say("-admit", maker.did, &maker.root, propose(admit(2, "third")));
    say("-of-all", second.did, &second.approve, approve(&p));
    let grant = Action::Grant(Grant {
        seq: 3,
        organisation: second.did,
        models: vec!["sensor-1".into()],
        count: 500,
        expires,
        evidence: EvidencePolicy::Enroller,
    });
    let p = say("-grant", maker.did, &maker.approve, propose(grant));
    say("", second.did, &second.approve, approve(&p));
    let mut validators = vec![validator_key(), validator("second")];
    validators.sort_by_key(Signer::public_key);
    let change = ChangeValidators { seq: 4, validators: validator_set(&validators) };
    let p = say("-validators", maker.did, &maker.root, propose(Action::ChangeValidators(change)));
    say("", second.did, &second.approve, approve(&p));
    say("", third.did, &third.approve, approve(&p));
    let table = Table::DEFAULT.with(Matter::Admit, Threshold::All);
    let table = table.with(Matter::Hold, Threshold::Number(2));
    let rules = Rules { table: Some(table), ..Rules::DEFAULT };
    let p = say(
        "-table",
        maker.did,
        &maker.root,
        propose(Action::ChangeRules(ChangeRules { seq: 5, rules })),
    );
    say("", second.did, &second.approve, approve(&p));
    say("", third.did, &third.approve, approve(&p));

    let whole = Target::Batch(batch.id);
    let offer = |target: &Target, to, seq| {
        Action::OfferTransfer(OfferTransfer { target: target.clone(), to, seq, expires })
    };
    let offered = |signed: &SignedOperation| OfferId(id(signed).0);
    let p = say("-batch", maker.did, &maker.operate, offer(&whole, second.did, 0));
    let accept = |target: &Target, offer| {
        Action::AcceptTransfer(AcceptTransfer { target: target.clone(), offer })
    };
    say("-batch", second.did, &second.operate, accept(&whole, offered(&p)));
    let one = &batch.devices[0];
    let bare = Target::Device(one.alone());
    let p = say("-device", second.did, &second.operate, offer(&one.target(), third.did, 0));
    let cancel = CancelTransfer { target: bare.clone(), offer: offered(&p) };
    say(".", third.did, &third.operate, Action::CancelTransfer(cancel));
    let p = say("", second.did, &second.operate, offer(&bare, third.did, 2));
    say("-device", third.did, &third.operate, accept(&bare, offered(&p)));
    let recovers = batch.devices.iter().find(|d| {
        let leaf = muster_ledger::Leaf::from_cbor(&d.part.leaf).unwrap();
        leaf.inception.recovery.is_some()
    });
    let recovers = recovers.unwrap();
    let seq = if recovers.did == one.did { 4 } else { 0 };
    let key = new_key(&network, &recovers.did, seq, &p256("recovered"));
    let recover = Recover { device: recovers.with_part(), seq, key, next_key: Some([0x5a; 32]) };
    say(".", recovers.did, &safe, Action::Recover(recover));
    say("", second.did, &second.operate, offer(&whole, maker.did, 2));
    let expel = Expel { seq: 6, organisation: third.did };
    let open = say("-expel", maker.did, &maker.root, propose(Action::Expel(expel)));
    say("", second.did, &second.approve, approve(&open));
    let two = batch.devices.iter().find(|d| d.did != one.did && d.did != recovers.did).unwrap();
    say("", second.did, &second.operate, offer(&two.target(), maker.did, 0));

    let chain = &ledger.chain;
    let head = chain.head(chain.time()).unwrap();
    let quorum = chain.check(&checkpoint(&head, &validators)).unwrap();
    let about =
        "Organisations come, decide, hand devices over and recover one: entries, and the head.";
    vectors.push(
        Vector::valid("history", "history-consortium", about)
            .hex("genesis", &ledger.genesis.to_cbor())
            .list("entries", ledger.entries.iter().map(|entry| HEXLOWER.encode(entry)))
            .text("head", head.body()),
    );
    assert!(chain.snapshot(&quorum).unwrap().is_some());
    let record = |kind: &'static str, name: &str, about: &str, key: StateKey| {
        let value = chain.state().iter().find(|(k, _)| *k == key).unwrap().1.to_vec();
        let vector = Vector::valid("record", name, about)
            .text("record", kind)
            .hex("key", &key.to_bytes())
            .cbor("value", value.clone());
        Vector { sample: Some((kind, value)), ..vector }
    };
    let device = |device: &crate::network::Device| StateKey::Device(device.did);
    assert!(chain.state().device(&one.did).unwrap().unwrap().left.is_some());
    let other = if recovers.did == one.did { "" } else { "-by-recovery" };
    vectors.extend([
        record("members", "record-members", "The organisations of a network.", StateKey::Members),
        record("rules", "record-rules-table", "Rules with a table.", StateKey::Rules),
        record(
            "batch-record",
            "record-batch-offered",
            "A batch that is offered.",
            StateKey::Batch(batch.id),
        ),
        record("device", "record-device-left", "A device that left its batch.", device(one)),
        record("device", "record-device-offered", "A device of a batch, offered.", device(two)),
        record(
            "proposal",
            "record-proposal-of-all",
            "A proposal that another organisation approved, and that takes one more.",
            StateKey::Proposal(id(&open)),
        ),
    ]);
    if !other.is_empty() {
        let about = "A device with a key by a recovery.";
        vectors.push(record("device", "record-device-recovered", about, device(recovers)));
    }
    let expel = Action::Expel(Expel { seq: 6, organisation: third.did });
    let signed = ledger.sign(maker.did, &maker.root, expel);
    vectors.push(made::operation("", &maker.root, &signed));
    vectors
}

pub(super) fn flawed() -> Vec<Vector> {
    let mut genesis = genesis(4);
    let table = Table::DEFAULT.with(Matter::Expel, Threshold::All);
    genesis.rules.table = Some(table.with(Matter::Rules, Threshold::All));
    let bytes = genesis.to_cbor();
    let (says, found) = ("could lock the network", muster_ledger::Genesis::from_cbor(&bytes));
    let locked = flaw("genesis", "genesis-that-one-could-lock", says, found).hex("genesis", &bytes);
    let operations = operations().into_iter().map(flawed::vector);
    operations.chain(records()).chain([locked]).collect()
}

fn operations() -> Vec<flawed::Flaw> {
    let network = genesis(4).network();
    let good = admission(&network, "second");
    let admit = |change: &dyn Fn(&mut muster_ledger::Admission)| {
        let mut admission = good.clone();
        change(&mut admission);
        with(|w| {
            w.value(&Action::Admit(Admit { seq: 1, admission }));
        })
    };
    let rules = |table: &dyn Fn(&mut Writer)| {
        with(|w| {
            w.array(2).uint(12).map(2).uint(1).uint(1).uint(2).map(3);
            w.uint(1).uint(Rules::DEFAULT.trust_period_ms).uint(2).uint(0).uint(4);
            table(w);
        })
    };
    let threshold = |write: &dyn Fn(&mut Writer)| {
        rules(&|w| {
            w.array(7);
            for _ in 0..6 {
                w.array(1).uint(2);
            }
            write(w);
        })
    };
    let device =
        crate::network::batch(&network, &Org::new("maker").did, genesis(4).grant_id(), "r", 1);
    let device = &device.devices[0];
    let mut never: NewKey = new_key(&network, &device.did, 0, &p256("new"));
    never.proof.0[0] ^= 1;
    let recover = Recover { device: device.with_part(), seq: 0, key: never, next_key: None };
    vec![
        (
            "admission-altered",
            "the signature does not verify",
            admit(&|a| a.label = "Other".into()),
        ),
        (
            "admission-with-a-key-less",
            "the signature does not verify",
            admit(&|a| a.keys.truncate(3)),
        ),
        (
            "admission-by-another",
            "the signature does not verify",
            admit(&|a| a.inception = Inception::from_key(ed25519("thief").public_key())),
        ),
        (
            "admission-label-too-long",
            "a text above its limit",
            admit(&|a| a.label = "x".repeat(65)),
        ),
        (
            "offer-id-short",
            "of the wrong length",
            with(|w| {
                w.array(2).uint(20).map(2).uint(1).array(2).uint(2).bytes(&[0xbb; 32]);
                w.uint(2).bytes(&[1; 31]);
            }),
        ),
        (
            "recovery-key-never-agreed",
            "the signature does not verify",
            with(|w| {
                w.value(&Action::Recover(recover.clone()));
            }),
        ),
        (
            "proposal-of-own-hold",
            "a hold by one organisation needs no proposal",
            with(|w| {
                w.array(2).uint(14).map(3).uint(1).array(2).uint(2).map(5);
                w.uint(1).array(2).uint(2).bytes(&[0xbb; 32]).uint(2).bytes(&[1; 16]);
                w.uint(3).uint(1).uint(5).uint(0).uint(6).text("");
                w.uint(2).value(&START).uint(3).text("");
            }),
        ),
        (
            "table-too-short",
            "of the wrong length",
            rules(&|w| {
                w.array(1).array(1).uint(2);
            }),
        ),
        (
            "threshold-zero",
            "of one organisation or more",
            threshold(&|w| {
                w.array(2).uint(1).uint(0);
            }),
        ),
        (
            "threshold-too-large",
            "a number above its limit",
            threshold(&|w| {
                w.array(2).uint(1).uint(65);
            }),
        ),
        (
            "threshold-unknown",
            "an unknown threshold",
            threshold(&|w| {
                w.array(1).uint(5);
            }),
        ),
        (
            "threshold-with-a-number-too-many",
            "an unknown threshold",
            threshold(&|w| {
                w.array(2).uint(4).uint(1);
            }),
        ),
    ]
}

fn records() -> Vec<Vector> {
    let vector = |name, says, record: &str, bytes: &[u8], found: Result<(), _>| {
        flaw::<()>("record", name, says, found).text("record", record).hex("value", bytes)
    };
    let [a, b] = ["maker", "second"].map(|name| Org::new(name).did);
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let unordered = Members(vec![high, low]).to_cbor();
    let twice = Members(vec![low, low]).to_cbor();
    let none = Members(vec![]).to_cbor();
    let members = |name, bytes: &[u8]| {
        let found = Members::from_cbor(bytes).map(drop);
        vector(name, "one or more in ascending order", "members", bytes, found)
    };
    let offer = |batch| {
        let (id, to, expires) = (OfferId([1; 32]), low, START);
        Some(Box::new(Offer { id, to, expires, batch }))
    };
    let batch = BatchRecord {
        owner: low,
        grant: genesis(4).grant_id(),
        model: "m".into(),
        count: 1,
        root: [0; 32],
        entry: 0,
        seq: 1,
        standing: Default::default(),
        offer: offer(Some(1)),
    };
    let batch = batch.to_cbor();
    let device = DeviceRecord {
        batch: muster_ledger::BatchId([2; 32]),
        index: 0,
        seq: 1,
        key: muster_ledger::DeviceKey::Own,
        retired: vec![],
        next_key: None,
        standing: Default::default(),
        left: None,
        offer: offer(None),
    };
    let device = device.to_cbor();
    let own = {
        let mut w = Writer::default();
        w.array(2).uint(1).map(7).uint(1).value(&low).uint(2);
        w.value(&ed25519("p").public_key())
            .uint(3)
            .value(&Action::Expel(Expel { seq: 1, organisation: high }));
        w.uint(4)
            .value(&START)
            .uint(5)
            .array(1)
            .array(2)
            .value(&ed25519("q").public_key())
            .value(&low);
        w.uint(6).text("").uint(7).uint(1);
        w.into_bytes()
    };
    vec![
        members("members-unordered", &unordered),
        members("members-twice", &twice),
        members("members-none", &none),
        vector(
            "batch-offered-out-of-a-batch",
            "a batch is in no batch",
            "batch-record",
            &batch,
            BatchRecord::from_cbor(&batch).map(drop),
        ),
        vector(
            "device-offered-without-its-batch",
            "counts the changes of the batch",
            "device",
            &device,
            DeviceRecord::from_cbor(&device).map(drop),
        ),
        vector(
            "approval-that-names-its-own",
            "only another organisation",
            "proposal",
            &own,
            ProposalRecord::from_cbor(&own).map(drop),
        ),
    ]
}
