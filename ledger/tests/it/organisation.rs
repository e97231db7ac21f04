//! Enrolment, grants, and the keys of an organisation.

use crate::network::{HOUR, Org, START, World, batch, ed25519, genesis, new_key, p256};
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{SecretKey, Signer};
use muster_ledger::{
    Action, Capabilities, Capability, ChangeKeys, EvidencePolicy, Genesis, Grant, GrantId, Refusal,
    Rules, StateKey, View, WithdrawGrant, limits,
};

fn grant(world: &World, seq: u64) -> Grant {
    Grant {
        seq,
        organisation: world.maker.did,
        models: vec!["sensor-1".into(), "sensor 2".into()],
        count: 10,
        expires: world.time.plus_ms(HOUR),
        evidence: EvidencePolicy::Document,
    }
}

#[test]
fn a_batch_is_enrolled_once() {
    let (mut world, first) = World::with_batch(3);
    let record = world.state.batch(&first.id).unwrap().unwrap();
    assert_eq!((record.owner, record.count, record.entry), (world.maker.did, 3, 0));
    assert_eq!((record.grant, record.root), (world.grant, first.enrol.root));
    assert_eq!(world.state.grant(&world.grant).unwrap().unwrap().used, 3);
    let again = world.maker_does(Action::Enrol(first.enrol.clone()));
    assert_eq!(again, Err(Refusal::BatchExists(first.id)));
    // Another model does not make it another batch.
    let renamed = muster_ledger::Enrol { model: "sensor-9".into(), ..first.enrol.clone() };
    assert_eq!(world.maker_does(Action::Enrol(renamed)), Err(Refusal::BatchExists(first.id)));
    assert!(first.devices.iter().all(|d| world.state.device(&d.did).unwrap().is_none()));
}

#[test]
fn a_grant_bounds_what_is_enrolled() {
    let mut world = World::new();
    let id = Grant::id(&world.network, &world.maker.did, 1);
    let give = grant(&world, 1);
    world.maker_does(Action::Grant(give)).unwrap();
    let enrol = |seed: &str, count| {
        let world = World::new();
        batch(&world.network, &world.maker.did, id, seed, count).enrol
    };
    let unknown = GrantId([5; 32]);
    let mut elsewhere = enrol("a", 1);
    elsewhere.grant = unknown;
    assert_eq!(world.maker_does(Action::Enrol(elsewhere)), Err(Refusal::UnknownGrant(unknown)));
    let mut model = enrol("a", 1);
    model.model = "sensor-2".into();
    assert_eq!(world.maker_does(Action::Enrol(model)), Err(Refusal::Model("sensor-2".into())));
    let mut empty = enrol("a", 1);
    empty.count = 0;
    assert!(matches!(world.maker_does(Action::Enrol(empty)), Err(Refusal::Limit(_))));
    let theirs =
        world.does(world.rival.did, &Org::new("rival").enrol, Action::Enrol(enrol("a", 1)));
    assert!(matches!(theirs, Err(Refusal::Grant { grant, .. }) if grant == id));
    world.maker_does(Action::Enrol(enrol("a", 4))).unwrap();
    let (allowed, used, asked) = (10, 4, 7);
    let over = world.maker_does(Action::Enrol(enrol("b", 7)));
    assert_eq!(over, Err(Refusal::GrantExceeded { allowed, used, asked }));
    let mut huge = enrol("b", 7);
    huge.count = limits::BATCH_DEVICES;
    assert!(matches!(world.maker_does(Action::Enrol(huge)), Err(Refusal::GrantExceeded { .. })));
    world.maker_does(Action::Enrol(enrol("b", 6))).unwrap();
    let over = world.maker_does(Action::Enrol(enrol("c", 1)));
    assert_eq!(over, Err(Refusal::GrantExceeded { allowed, used: 10, asked: 1 }));
}

#[test]
fn a_grant_ends() {
    let mut world = World::new();
    let give = grant(&world, 1);
    let (id, expires) = (Grant::id(&world.network, &world.maker.did, 1), give.expires);
    world.maker_does(Action::Grant(give)).unwrap();
    let enrol = batch(&world.network, &world.maker.did, id, "a", 1).enrol;
    let refused = |why| Err(Refusal::Grant { grant: id, why });
    let before = world.state.clone();
    world.time = expires;
    let late = world.maker_does(Action::Enrol(enrol.clone()));
    assert_eq!(late, refused("it has expired"));
    world.time = START.plus_ms(1_000);
    let withdraw = Action::WithdrawGrant(WithdrawGrant { grant: id });
    let rival = Org::new("rival");
    let theirs = world.does(rival.did, &rival.approve, withdraw.clone());
    assert_eq!(theirs, refused("another organisation gave it"));
    world.maker_does(withdraw.clone()).unwrap();
    assert_eq!(world.maker_does(withdraw), refused("it was withdrawn already"));
    assert_eq!(world.maker_does(Action::Enrol(enrol.clone())), refused("it was withdrawn"));
    let nowhere = WithdrawGrant { grant: GrantId([1; 32]) };
    let unknown = world.maker_does(Action::WithdrawGrant(nowhere));
    assert_eq!(unknown, Err(Refusal::UnknownGrant(GrantId([1; 32]))));
    // What was enrolled before stays.
    world.state = before;
    world.maker_does(Action::Enrol(enrol)).unwrap();
    world.maker_does(Action::WithdrawGrant(WithdrawGrant { grant: id })).unwrap();
    assert!(world.state.iter().any(|(key, _)| matches!(key, StateKey::Batch(_))));
}

#[test]
fn who_gives_which_grant() {
    let mut world = World::new();
    let give = |change: &dyn Fn(&mut Grant)| {
        let mut action = grant(&World::new(), 1);
        change(&mut action);
        Action::Grant(action)
    };
    let stale = world.maker_does(give(&|g| g.seq = 0));
    assert_eq!(stale, Err(Refusal::Sequence { found: 1, signed: 0 }));
    let nobody = muster_identity::Did::from_digest([8; 32]);
    let unknown = world.maker_does(give(&|g| g.organisation = nobody));
    assert_eq!(unknown, Err(Refusal::UnknownAuthor(nobody)));
    let now = world.time;
    for (bad, why) in [
        (give(&|g| g.count = 0), "a grant is for at least one device"),
        (give(&|g| g.expires = now), "a grant ends in the future"),
    ] {
        assert_eq!(world.maker_does(bad), Err(Refusal::Limit(why)));
    }
    let rival = world.rival.did;
    world.maker_does(give(&|g| g.organisation = rival)).unwrap();
    assert_eq!(world.state.organisation(&world.maker.did).unwrap().unwrap().seq, 2);
    // The rival enrols under it, and owns what it enrols.
    let id = Grant::id(&world.network, &world.maker.did, 1);
    let batch = batch(&world.network, &rival, id, "theirs", 2);
    let key = Org::new("rival").enrol;
    world.does(rival, &key, Action::Enrol(batch.enrol)).unwrap();
    assert_eq!(world.state.batch(&batch.id).unwrap().unwrap().owner, rival);
}

/// `Rules::evidence` is the least that any grant may ask for.
#[test]
fn no_grant_is_weaker_than_the_rules() {
    let mut world = World::new();
    let rules = Rules { evidence: EvidencePolicy::Document, ..Rules::DEFAULT };
    let mut changes = muster_ledger::Changes::default();
    changes.0.insert(StateKey::Rules, rules.to_cbor().into());
    world.state = world.state.with(&changes);
    let give = |evidence| Action::Grant(Grant { evidence, ..grant(&World::new(), 1) });
    let weak = world.maker_does(give(EvidencePolicy::Enroller));
    assert_eq!(weak, Err(Refusal::Limit("the network's rules ask for stronger evidence")));
    world.maker_does(give(EvidencePolicy::Document)).unwrap();

    let mut weak = genesis(1);
    weak.rules = rules;
    assert!(matches!(weak.check(), Err(Refusal::Limit(_))));
    assert!(Genesis::from_cbor(&weak.to_cbor()).is_err());
}

fn add(world: &World, key: &SecretKey, seq: u64, may: Capability) -> ChangeKeys {
    let new = new_key(&world.network, &world.maker.did, seq, key);
    ChangeKeys { seq, add: vec![(new, Capabilities::of(&[may]))], remove: vec![] }
}

#[test]
fn keys_join_and_leave_and_never_return() {
    let mut world = World::new();
    let maker = world.maker.did;
    let fresh = ed25519("fresh");
    let change = |world: &mut World, c: ChangeKeys| world.maker_does(Action::ChangeKeys(c));
    let stale = add(&world, &fresh, 0, Capability::Operate);
    let refused = change(&mut world, stale);
    assert_eq!(refused, Err(Refusal::Sequence { found: 1, signed: 0 }));
    let none = ChangeKeys { seq: 1, add: vec![], remove: vec![] };
    assert!(matches!(change(&mut world, none), Err(Refusal::Limit(_))));
    let join = add(&world, &fresh, 1, Capability::Operate);
    change(&mut world, join).unwrap();
    assert!(
        world
            .state
            .organisation(&maker)
            .unwrap()
            .unwrap()
            .may(&fresh.public_key(), Capability::Operate)
    );
    let twice = add(&world, &fresh, 2, Capability::Root);
    assert_eq!(change(&mut world, twice), Err(Refusal::KeyUsed(fresh.public_key())));
    let leave = ChangeKeys { seq: 2, add: vec![], remove: vec![fresh.public_key()] };
    change(&mut world, leave.clone()).unwrap();
    let unknown = change(&mut world, ChangeKeys { seq: 3, ..leave });
    assert_eq!(unknown, Err(Refusal::UnknownKey(fresh.public_key())));
    let back = add(&world, &fresh, 3, Capability::Operate);
    assert_eq!(change(&mut world, back), Err(Refusal::KeyUsed(fresh.public_key())));
    // Not even in one step, nor twice in one change, nor a key of the rival's.
    let operate = p256("maker operate");
    let mut swap = add(&world, &operate, 3, Capability::Operate);
    swap.remove.push(operate.public_key());
    assert_eq!(change(&mut world, swap), Err(Refusal::KeyUsed(operate.public_key())));
    let new = ed25519("new");
    let mut both = add(&world, &new, 3, Capability::Operate);
    both.add.push(both.add[0]);
    assert_eq!(change(&mut world, both), Err(Refusal::KeyUsed(new.public_key())));
    let theirs = add(&world, &ed25519("rival root"), 3, Capability::Root);
    let used = Err(Refusal::KeyUsed(ed25519("rival root").public_key()));
    assert_eq!(change(&mut world, theirs), used);
    // A key that left signs nothing any more.
    let key = operate.public_key();
    change(&mut world, ChangeKeys { seq: 3, add: vec![], remove: vec![key] }).unwrap();
    let batch = batch(&world.network, &maker, world.grant, "a", 1);
    world.enrol(&batch);
    let revoke = muster_ledger::Revoke { target: batch.devices[0].target(), reason: "".into() };
    let refused = world.does(maker, &operate, Action::Revoke(revoke));
    assert_eq!(refused, Err(Refusal::NotAKeyOf { key, author: maker }));
}

#[test]
fn a_root_key_stays() {
    let mut world = World::new();
    let root = ed25519("maker root").public_key();
    let last = ChangeKeys { seq: 1, add: vec![], remove: vec![root] };
    assert_eq!(world.maker_does(Action::ChangeKeys(last)), Err(Refusal::NoRootKey));
    let mut replace = add(&world, &ed25519("root 2"), 1, Capability::Root);
    replace.remove.push(root);
    world.maker_does(Action::ChangeKeys(replace)).unwrap();
    let again = add(&world, &ed25519("k"), 2, Capability::Enrol);
    let old = world.maker_does(Action::ChangeKeys(again.clone()));
    assert_eq!(old, Err(Refusal::NotAKeyOf { key: root, author: world.maker.did }));
    world.does(world.maker.did, &ed25519("root 2"), Action::ChangeKeys(again)).unwrap();
}

#[test]
fn an_organisation_has_so_many_keys() {
    let mut world = World::new();
    let (network, maker) = (world.network, world.maker.did);
    let present = world.state.organisation(&maker).unwrap().unwrap().keys.len();
    let many = |n: usize| ChangeKeys {
        seq: 1,
        add: (0..n)
            .map(|i| {
                let key = new_key(&network, &maker, 1, &ed25519(&format!("many {i}")));
                (key, Capabilities::of(&[Capability::Gateway]))
            })
            .collect(),
        remove: vec![],
    };
    let room = limits::ORGANISATION_KEYS - present;
    let over = world.maker_does(Action::ChangeKeys(many(room + 1)));
    assert_eq!(over, Err(Refusal::Limit("an organisation has at most 32 keys")));
    world.maker_does(Action::ChangeKeys(many(room))).unwrap();
    assert!(world.state.organisation(&maker).unwrap().is_some(), "still readable");
}

#[test]
fn capabilities_have_words() {
    let all = ["root", "enrol", "operate", "approve", "gateway", "validator"];
    let set = Capabilities::from_words(all).unwrap();
    assert_eq!(set.words().collect::<Vec<_>>(), all);
    assert_eq!(Capabilities::from_words(["root", "admin"]), Err("admin"));
    assert_eq!(set.to_cbor(), [0x18, 63]);
    assert!(Capabilities::from_cbor(&[0x18, 64]).is_err());
    assert!(Capabilities::from_cbor(&[0]).is_err(), "a key that may do nothing");
}
