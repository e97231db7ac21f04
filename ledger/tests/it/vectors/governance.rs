//! Rules, versions and proposals: a history of them, its records, and what is wrong with others.

use super::flawed::{self, with};
use super::flawed_parts::flaw;
use super::{Vector, made};
use crate::governed::{approval, solo};
use crate::network::{HOUR, Org, checkpoint, genesis, new_key, p256};
use data_encoding::HEXLOWER;
use muster_identity::cbor::{Decode, Encode, Writer};
use muster_ledger::{
    Action, Approval, Approve, Capabilities, Capability, ChangeKeys, ChangeRules, DeviceRef,
    NextProtocol, OversightRecord, ProposalId, ProposalRecord, Propose, ProtocolRecord, Revoke,
    Rules, SignedOperation, StateKey, Target, UpgradeProtocol, WithdrawProposal, limits,
};

const RULES: Rules = Rules { approval: Some(approval(3, 1)), ..Rules::DEFAULT };

pub(super) fn all() -> Vec<Vector> {
    let (mut ledger, maker) = (solo(1), Org::new("maker"));
    let network = ledger.chain.network();
    let batch = ledger.enrol("governed", 5);
    let mut vectors = Vec::new();
    let mut say = |which: &str, key: &_, action: Action, commit: bool| -> SignedOperation {
        let signed = ledger.sign(maker.did, key, action);
        vectors.push(made::operation(which, key, &signed));
        if commit {
            ledger.commit(&ledger.block(vec![signed.clone()]));
        }
        signed
    };
    let rules = Action::ChangeRules(ChangeRules { seq: 1, rules: RULES });
    say("", &maker.root, rules, true);
    let revoke = Revoke { target: Target::Batch(batch.id), reason: "recalled".into() };
    let expires = crate::network::START.plus_ms(100 * HOUR);
    let propose = |action, reason: &str| {
        Action::Propose(Propose { action: Box::new(action), expires, reason: reason.into() })
    };
    let signed = say("", &maker.operate, propose(Action::Revoke(revoke), "see case 7"), true);
    let proposal = signed.verify().unwrap().proposal();
    say("", &maker.approve, Action::Approve(Approve { proposal }), true);
    let one = DeviceRef { did: batch.devices[0].did, part: None };
    let one = Revoke {
        target: Target::Device(DeviceRef { part: batch.devices[0].with_part().part, ..one }),
        reason: "".into(),
    };
    let device = say("-device", &maker.operate, propose(Action::Revoke(one), ""), true);
    let withdrawn = say(
        "-keys",
        &maker.root,
        propose(
            Action::ChangeKeys(ChangeKeys {
                seq: 2,
                add: vec![(
                    new_key(&network, &maker.did, 2, &p256("joining")),
                    Capabilities::of(&[Capability::Approve]),
                )],
                remove: vec![],
            }),
            "",
        ),
        true,
    );
    let proposal = withdrawn.verify().unwrap().proposal();
    let withdraw = Action::WithdrawProposal(WithdrawProposal { proposal });
    say("", &maker.root, withdraw, true);
    let next = Some(NextProtocol { version: 2, height: 1_000 });
    say("", &maker.root, Action::UpgradeProtocol(UpgradeProtocol { seq: 2, next }), true);
    say(
        "-off",
        &maker.root,
        Action::UpgradeProtocol(UpgradeProtocol { seq: 3, next: None }),
        false,
    );

    let (chain, about) =
        (&ledger.chain, "Rules, proposals and a version to come: entries, and the head they give.");
    let head = chain.head(chain.time()).unwrap();
    let quorum = chain.check(&checkpoint(&head, &ledger.validators)).unwrap();
    let genesis = ledger.genesis.to_cbor();
    vectors.push(
        Vector::valid("history", "history-governance", about)
            .hex("genesis", &genesis)
            .list("entries", ledger.entries.iter().map(|entry| HEXLOWER.encode(entry)))
            .text("head", head.body()),
    );
    vectors.push(
        Vector::valid(
            "snapshot",
            "snapshot-governance",
            "The ledger of ledger-history-governance.json in one piece.",
        )
        .hex("genesis", &genesis)
        .hex("state_root", &head.state_root)
        .cbor("snapshot", chain.snapshot(&quorum).unwrap().unwrap()),
    );
    let id = |signed: &SignedOperation| signed.verify().unwrap().proposal();
    let record = |kind: &'static str, name: &str, key: StateKey| {
        let value = chain.state().iter().find(|(k, _)| *k == key).unwrap().1.to_vec();
        let vector = Vector::valid("record", name, "A record of the state.")
            .text("record", kind)
            .hex("key", &key.to_bytes())
            .cbor("value", value.clone());
        Vector { sample: Some((kind, value)), ..vector }
    };
    vectors.extend([
        record("rules", "record-rules-approval", StateKey::Rules),
        record("protocol", "record-protocol", StateKey::Protocol),
        record("oversight", "record-oversight", StateKey::Oversight(maker.did)),
        record("proposal", "record-proposal-open", StateKey::Proposal(id(&device))),
        record("proposal", "record-proposal-closed", StateKey::Proposal(proposal)),
    ]);
    vectors
}

pub(super) fn flawed() -> Vec<Vector> {
    [operations(), records(), geneses()].into_iter().flatten().collect()
}

fn operations() -> Vec<Vector> {
    let network = genesis(4).network();
    let propose = |action: &dyn Fn(&mut Writer)| {
        with(|w| {
            w.array(2).uint(14).map(3).uint(1);
            action(w);
            w.uint(2).value(&crate::network::START).uint(3).text("");
        })
    };
    let rules = |approval: &dyn Fn(&mut Writer)| {
        with(|w| {
            w.array(2)
                .uint(12)
                .map(2)
                .uint(1)
                .uint(1)
                .uint(2)
                .map(3)
                .uint(1)
                .uint(Rules::DEFAULT.trust_period_ms)
                .uint(2)
                .uint(0);
            w.uint(3);
            approval(w);
        })
    };
    let trust = |ms: u64| {
        with(|w| {
            let rules = Rules { trust_period_ms: ms, ..Rules::DEFAULT };
            w.value(&Action::ChangeRules(ChangeRules { seq: 1, rules }));
        })
    };
    let approve = |w: &mut Writer| {
        w.array(2).uint(15).map(1).uint(1).bytes(&[0xbb; 32]);
    };
    // A new key that agreed to join another organisation.
    let stranger = new_key(&network, &Org::new("rival").did, 1, &p256("joining"));
    let keys = ChangeKeys {
        seq: 1,
        add: vec![(stranger, Capabilities::of(&[Capability::Operate]))],
        remove: vec![],
    };
    let part =
        crate::network::batch(&network, &Org::new("maker").did, genesis(4).grant_id(), "big", 1);
    let mut large = part.devices[0].part.clone();
    large.leaf = vec![0; limits::LEAF_BYTES];
    large.path = vec![[0; 32]; 64];
    let target =
        Target::Device(DeviceRef { did: part.devices[0].did, part: Some(Box::new(large)) });
    let large = Action::Revoke(Revoke { target, reason: "".into() });
    let table: Vec<flawed::Flaw> = vec![
        ("proposal-of-approval", "an action that is not proposed", propose(&approve)),
        (
            "proposal-of-enrolment",
            "an action that is not proposed",
            propose(&|w| {
                w.array(2).uint(1).map(0);
            }),
        ),
        (
            "proposal-of-recovery",
            "an action that is not proposed",
            propose(&|w| {
                w.array(2).uint(22).map(0);
            }),
        ),
        (
            "proposal-of-proposal",
            "an action that is not proposed",
            propose(&|w| {
                w.array(2).uint(14).map(0);
            }),
        ),
        (
            "proposal-of-unknown-action",
            "upgrade needed: an unknown action",
            propose(&|w| {
                w.array(2).uint(1_000).map(0);
            }),
        ),
        (
            "proposal-too-large",
            "a proposed action above 6,144 bytes",
            propose(&|w| {
                w.value(&large);
            }),
        ),
        (
            "proposal-of-key-that-never-agreed",
            "the signature does not verify",
            propose(&|w| {
                w.value(&Action::ChangeKeys(keys.clone()));
            }),
        ),
        (
            "rules-of-no-approval",
            "rules of approval that ask for none",
            rules(&|w| {
                w.map(2).uint(2).uint(1).uint(3).bool(false);
            }),
        ),
        (
            "rules-of-nobody",
            "of one person or more",
            rules(&|w| {
                w.map(2).uint(2).uint(0).uint(3).bool(true);
            }),
        ),
        (
            "rules-of-too-many",
            "a number above its limit",
            rules(&|w| {
                w.map(2).uint(2).uint(limits::APPROVALS as u64 + 1).uint(3).bool(true);
            }),
        ),
        (
            "rules-of-short-trust",
            "a trust period is 1 to 36,600 days",
            trust(limits::TRUST_PERIOD_MIN_MS - 1),
        ),
        (
            "rules-of-endless-trust",
            "a trust period is 1 to 36,600 days",
            trust(limits::TRUST_PERIOD_MAX_MS + 1),
        ),
        (
            "approve-id-short",
            "of the wrong length",
            with(|w| {
                w.array(2).uint(15).map(1).uint(1).bytes(&[0xbb; 31]);
            }),
        ),
        (
            "upgrade-without-height",
            "of the wrong length",
            with(|w| {
                w.array(2).uint(13).map(2).uint(1).uint(1).uint(2).array(1).uint(2);
            }),
        ),
    ];
    table.into_iter().map(flawed::vector).collect()
}

fn records() -> Vec<Vector> {
    let bytes = |write: &dyn Fn(&mut Writer)| {
        let mut w = Writer::default();
        write(&mut w);
        w.into_bytes()
    };
    let outcome = bytes(&|w| {
        w.array(2).uint(2).uint(5);
    });
    let kind = bytes(&|w| {
        w.array(2).uint(3).uint(1);
    });
    let many = OversightRecord {
        open: vec![ProposalId([1; 32]); limits::OPEN_PROPOSALS + 1],
        ..OversightRecord::default()
    };
    let many = many.to_cbor();
    let version = bytes(&|w| {
        w.map(1).uint(2).array(2).uint(2).uint(9);
    });
    let confirm = bytes(&|w| {
        w.map(2).uint(1).uint(1).uint(3).uint(9);
    });
    let vector = |name, says, record: &str, bytes: &[u8], found: Result<(), _>| {
        flaw::<()>("record", name, says, found).text("record", record).hex("value", bytes)
    };
    vec![
        vector(
            "proposal-outcome-unknown",
            "an unknown outcome",
            "proposal",
            &outcome,
            ProposalRecord::from_cbor(&outcome).map(drop),
        ),
        vector(
            "proposal-neither-open-nor-closed",
            "open or closed",
            "proposal",
            &kind,
            ProposalRecord::from_cbor(&kind).map(drop),
        ),
        vector(
            "oversight-too-many-open",
            "an array above its limit",
            "oversight",
            &many,
            OversightRecord::from_cbor(&many).map(drop),
        ),
        vector(
            "protocol-without-version",
            "a required map key is missing",
            "protocol",
            &version,
            ProtocolRecord::from_cbor(&version).map(drop),
        ),
        vector(
            "protocol-to-confirm-nothing",
            "that is not announced",
            "protocol",
            &confirm,
            ProtocolRecord::from_cbor(&confirm).map(drop),
        ),
    ]
}

/// The first organisation has one key that approves, and the rules ask for two.
fn geneses() -> Vec<Vector> {
    let mut genesis = genesis(4);
    genesis.rules.approval = Some(Approval { devices: None, people: 2, governance: true });
    let bytes = genesis.to_cbor();
    let says = "more approvals than the organisation has keys for";
    let found = muster_ledger::Genesis::from_cbor(&bytes);
    let mut all =
        vec![flaw("genesis", "genesis-rules-nobody-can-meet", says, found).hex("genesis", &bytes)];
    for (name, ms) in [
        ("genesis-of-short-trust", limits::TRUST_PERIOD_MIN_MS - 1),
        ("genesis-of-endless-trust", limits::TRUST_PERIOD_MAX_MS + 1),
    ] {
        let mut genesis = crate::network::genesis(4);
        genesis.rules.trust_period_ms = ms;
        let bytes = genesis.to_cbor();
        let found = muster_ledger::Genesis::from_cbor(&bytes);
        let says = "a trust period is 1 to 36,600 days";
        all.push(flaw("genesis", name, says, found).hex("genesis", &bytes));
    }
    all
}
