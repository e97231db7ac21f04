//! Rules that ask for approval, and how they change.

use crate::governed::{approval, person};
use crate::network::{Batch, Device, HOUR, Org, World, batch, ed25519, new_key};
use muster_identity::{SecretKey, Signer};
use muster_ledger::{
    Action, Approval, Capabilities, Capability, ChangeKeys, ChangeRules, Deactivate,
    EvidencePolicy, Hold, HoldId, NextProtocol, Power, Refusal, Revoke, RevokeKey, Rules, Status,
    Target, UpgradeProtocol, View,
};
use proptest::prelude::*;

fn revoke(target: Target) -> Action {
    Action::Revoke(Revoke { target, reason: String::new() })
}

fn change(world: &World, rules: Rules) -> Action {
    Action::ChangeRules(ChangeRules { seq: world.record().seq, rules })
}

fn world(count: usize, approval: Option<Approval>) -> (World, Batch) {
    let (world, batch) = World::with_batch(count);
    (world.governed(approval), batch)
}

#[test]
fn above_the_number_a_day_one_signature_does_not_end_devices() {
    let (mut world, batch) = world(12, Some(approval(3, 1)));
    let did = world.maker.did;
    let whole = revoke(Target::Batch(batch.id));
    let refused = world.does(did, &person(0), whole.clone()).unwrap_err();
    assert_eq!(refused, Refusal::TooManyEnded { devices: 12, today: 0, allowed: 3 });
    assert_eq!(refused.code(), "needs-approval");
    let says = "this ends 12 devices; without approval an organisation ends 3 a day";
    assert!(refused.to_string().starts_with(says), "{refused}");
    // One by one, by whatever key and in whatever way: three, and no fourth.
    let [a, b, c, d, e, ..] = &batch.devices[..] else { unreachable!() };
    world.does(did, &person(0), revoke(a.target())).unwrap();
    let target = b.target();
    world.does(did, &person(1), Action::Deactivate(Deactivate { target })).unwrap();
    let last_key = |device: &Device| {
        let (device, key) = (device.with_part(), device.key.public_key());
        Action::RevokeKey(RevokeKey { device, key })
    };
    let operate = Org::new("maker").operate;
    world.does(did, &operate, last_key(c)).unwrap();
    let more = |devices| Refusal::TooManyEnded { devices, today: 3, allowed: 3 };
    for key in [&person(0), &person(3), &operate] {
        assert_eq!(world.does(did, key, revoke(d.target())), Err(more(1)));
        assert_eq!(world.does(did, key, last_key(d)), Err(more(1)));
        let target = Target::Batch(batch.id);
        let deactivate = Action::Deactivate(Deactivate { target });
        assert_eq!(world.does(did, key, deactivate), Err(more(12)));
    }
    // A device may end itself, and anybody may hold, at any time.
    world.does(d.did, &d.key, Action::Deactivate(Deactivate { target: d.target() })).unwrap();
    let hold = Hold {
        target: Target::Batch(batch.id),
        id: HoldId([1; 16]),
        power: Power::Owner,
        until: None,
        seen: 0,
        reason: String::new(),
    };
    world.does(did, &person(0), Action::Hold(hold)).unwrap();
    assert_eq!(world.status(e), Status::Held);
    // The rest of the day, and no longer.
    let day = 24 * HOUR;
    let midnight = (world.time.0 / day + 1) * day;
    world.time = muster_ledger::Time(midnight - 1);
    assert_eq!(world.does(did, &person(0), revoke(e.target())), Err(more(1)));
    world.time = muster_ledger::Time(midnight);
    world.does(did, &person(0), revoke(e.target())).unwrap();
    let fewer = Refusal::TooManyEnded { devices: 12, today: 1, allowed: 3 };
    assert_eq!(world.does(did, &person(0), whole), Err(fewer));
}

#[test]
fn approval_ends_more_and_counts_for_nothing() {
    let (mut world, batch) = world(12, Some(approval(1, 1)));
    let whole = revoke(Target::Batch(batch.id));
    let second = batch_of(&mut world);
    let proposal = world.proposes(&person(0), whole).unwrap();
    world.approves(&person(1), proposal).unwrap();
    assert!(batch.devices.iter().all(|d| world.status(d) == Status::Revoked));
    let did = world.maker.did;
    world.does(did, &person(0), revoke(second.devices[0].target())).unwrap();
    let refused = world.does(did, &person(0), revoke(second.devices[1].target()));
    assert_eq!(refused, Err(Refusal::TooManyEnded { devices: 1, today: 1, allowed: 1 }));
}

fn batch_of(world: &mut World) -> Batch {
    let batch = batch(&world.network, &world.maker.did, world.grant, "second", 3);
    world.enrol(&batch);
    batch
}

#[test]
fn the_root_key_of_who_runs_the_network_alone_changes_rules() {
    let mut world = World::new().governed(None);
    let maker = Org::new("maker");
    let strict = Rules { approval: Some(approval(10, 2)), ..Rules::DEFAULT };
    for key in [&maker.enrol, &maker.operate, &maker.approve, &maker.gateway, &person(0)] {
        let attempt = change(&world, strict.clone());
        let refused = world.does(maker.did, key, attempt);
        assert_eq!(refused, Err(Refusal::Capability { key: key.public_key(), needs: "root" }));
    }
    let stale = Action::ChangeRules(ChangeRules { seq: 0, rules: strict.clone() });
    assert_eq!(world.maker_does(stale), Err(Refusal::Sequence { found: 1, signed: 0 }));
    let same = change(&world, Rules::DEFAULT);
    assert!(matches!(world.maker_does(same), Err(Refusal::Limit(_))));
    // Five keys approve, and one that does not could propose. There is no sixth.
    let most = Rules { approval: Some(approval(10, 5)), ..Rules::DEFAULT };
    let attempt = change(&world, most);
    world.maker_does(attempt).unwrap();
    let locked = Approval { devices: Some(10), people: 6, governance: false };
    let attempt = change(&world, Rules { approval: Some(locked), ..Rules::DEFAULT });
    assert_eq!(world.maker_does(attempt), Err(Refusal::TooFewApprovers));
    let evidence = Rules { evidence: EvidencePolicy::Possession, ..strict };
    let attempt = change(&world, evidence.clone());
    world.maker_does(attempt).unwrap();
    assert_eq!(world.state.rules(), Ok(evidence));
    // Another organisation does not, nor does one that does not have every validator.
    let rival = Org::new("rival");
    let attempt = Action::ChangeRules(ChangeRules { seq: 0, rules: Rules::DEFAULT });
    let refused = world.does(rival.did, &rival.root, attempt.clone());
    assert_eq!(refused, Err(Refusal::Limit("the validators are not all of this organisation")));
}

#[test]
fn keys_that_approve_do_not_run_out() {
    let mut world = World::new().governed(Some(approval(1, 5)));
    let remove = |world: &World, add: Option<&SecretKey>| {
        let seq = world.record().seq;
        let capabilities = Capabilities::of(&[Capability::Approve]);
        let new = |key| (new_key(&world.network, &world.maker.did, seq, key), capabilities);
        let add = add.map(new).into_iter().collect();
        Action::ChangeKeys(ChangeKeys { seq, add, remove: vec![person(2).public_key()] })
    };
    let attempt = remove(&world, None);
    assert_eq!(world.maker_does(attempt), Err(Refusal::TooFewApprovers));
    let attempt = remove(&world, Some(&ed25519("successor")));
    world.maker_does(attempt).unwrap();
}

#[test]
fn governance_by_approval_binds_the_root_key_too() {
    let rule = Approval { devices: None, people: 2, governance: true };
    let mut world = World::new().governed(Some(rule));
    let root = Org::new("maker").root;
    let seq = world.record().seq;
    let fresh = ed25519("fresh");
    let keys = Action::ChangeKeys(ChangeKeys {
        seq,
        add: vec![(
            new_key(&world.network, &world.maker.did, seq, &fresh),
            Capabilities::of(&[Capability::Approve]),
        )],
        remove: vec![],
    });
    let next = Some(NextProtocol { version: 2, height: 100 });
    let upgrade = Action::UpgradeProtocol(UpgradeProtocol { seq, next });
    let rules = change(&world, Rules::DEFAULT);
    for (action, what) in [
        (keys.clone(), "a change of keys"),
        (upgrade, "a new protocol version"),
        (rules.clone(), "a change of rules"),
    ] {
        let refused = world.maker_does(action).unwrap_err();
        assert_eq!((refused.code(), &refused), ("needs-approval", &Refusal::NeedsApproval(what)));
    }
    // Devices are not governance.
    let batch = batch_of(&mut world);
    world.maker_does(revoke(Target::Batch(batch.id))).unwrap();
    let proposal = world.proposes(&root, rules).unwrap();
    let other = world.proposes(&root, keys).unwrap();
    world.approves(&person(0), proposal).unwrap();
    world.approves(&person(1), proposal).unwrap();
    assert_eq!(world.state.rules(), Ok(Rules::DEFAULT));
    // The other one was proposed for a counter that has moved on, so it is over; one suffices now.
    let refused = world.approves(&person(0), other);
    assert_eq!(refused, Err(Refusal::Sequence { found: seq + 1, signed: seq }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However it is split, over kinds, keys, batches and hours: no day ends more than it may.
    #[test]
    fn no_day_ends_more_devices_than_it_may(
        allowed in 0u64..9,
        steps in prop::collection::vec((0u8..4, 0u8..4, 0usize..16, 0u64..14), 10..60),
    ) {
        let (mut world, first) = World::with_batch(8);
        let small: Vec<_> = (0..4)
            .map(|i| {
                let seed = format!("small {i}");
                let batch = batch(&world.network, &world.maker.did, world.grant, &seed, 2);
                world.enrol(&batch);
                batch
            })
            .collect();
        let mut world = world.governed(Some(approval(allowed, 1)));
        let devices: Vec<_> =
            first.devices.iter().chain(small.iter().flat_map(|b| &b.devices)).collect();
        let did = world.maker.did;
        let mut days = std::collections::BTreeMap::<u64, u64>::new();
        for (what, who, which, hours) in steps {
            world.time = world.time.plus_ms(hours * HOUR / 4);
            let device = devices[which];
            let (action, ends) = match what {
                0 => (revoke(device.target()), 1),
                1 => (Action::Deactivate(Deactivate { target: device.target() }), 1),
                2 => {
                    let key = device.key.public_key();
                    (Action::RevokeKey(RevokeKey { device: device.with_part(), key }), 1)
                }
                _ => (revoke(Target::Batch(small[which % 4].id)), 2),
            };
            if world.does(did, &person(who), action).is_ok() {
                *days.entry(world.time.day()).or_default() += ends;
            }
        }
        prop_assert!(days.values().all(|ended| *ended <= allowed), "{:?} of {}", days, allowed);
    }
}
