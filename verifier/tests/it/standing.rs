//! Who passes, and what every standing, key and evidence leads to.

use crate::world::{Device, START, World, audience, key};
use muster_identity::Audience;
use muster_ledger::{Action, Deactivate, Status, Target, Time};
use muster_verifier::*;

pub(crate) fn ask(
    world: &World,
    token: &str,
    evidence: Evidence<'_>,
    age_ms: u64,
) -> Result<Verified, Rejected> {
    let policy = Policy::new(audience());
    let roll = RollView {
        network: world.genesis.network(),
        state: world.state(),
        checkpoint_time: Time(world.time),
        age_ms,
    };
    let inquiry = Inquiry {
        presentation: token,
        request_id: None,
        nonce_given: None,
        path: None,
        now: Time(START),
        policy: &policy,
        roll,
        evidence,
    };
    verify(&inquiry, &mut ReplayMemory::new(0))
}

fn code(answer: Result<Verified, Rejected>) -> (&'static str, u16) {
    let rejected = answer.expect_err("a refusal");
    (rejected.code(), rejected.http_status())
}

const NOW: u64 = START / 1_000;

#[test]
fn a_device_in_good_standing_passes() {
    let (mut world, device) = (World::new(), Device::new(10));
    let (batch, parts) = world.enrol(&[&device, &Device::new(11)]);
    let verified = ask(&world, &device.presents(NOW, 1), Evidence::Part(&parts[0]), 7).unwrap();
    assert_eq!(*verified.did(), device.did);
    assert_eq!(*verified.owner(), world.genesis.organisation_did());
    assert_eq!((*verified.batch(), verified.model()), (batch, "Probe 3"));
    assert_eq!((verified.roll_age_ms(), verified.status()), (7, Status::Active));
}

#[test]
fn every_standing_has_its_reason() {
    let device = Device::new(10);
    let mut enrolled = World::new();
    let (batch, parts) = enrolled.enrol(&[&device]);
    let one = || Target::Device(device.as_ref(Some(&parts[0])));
    let all = || Target::Batch(batch);
    let deactivate = |w: &mut World, target| {
        w.commit(w.admin_signs(Action::Deactivate(Deactivate { target })));
    };
    type Change<'a> = Box<dyn Fn(&mut World) + 'a>;
    let table: Vec<(&str, Change<'_>)> = vec![
        ("held", Box::new(|w| w.hold(one(), None))),
        ("held", Box::new(|w| w.hold(all(), None))),
        ("held", Box::new(|w| w.hold(one(), Some(START + 100_000)))),
        ("revoked", Box::new(|w| w.revoke(one()))),
        ("revoked", Box::new(|w| w.revoke(all()))),
        ("deactivated", Box::new(|w| deactivate(w, one()))),
        ("deactivated", Box::new(|w| deactivate(w, all()))),
        // The strictest of both counts.
        ("revoked", Box::new(|w| (w.hold(one(), None), w.revoke(all())).1)),
        ("deactivated", Box::new(|w| (w.revoke(all()), deactivate(w, one())).1)),
    ];
    let token = device.presents(NOW, 1);
    for (i, (reason, change)) in table.iter().enumerate() {
        let mut world = enrolled.clone();
        change(&mut world);
        let part = Evidence::Part(&parts[0]);
        assert_eq!(code(ask(&world, &token, part, 0)), (*reason, 403), "row {i}");
        // A "no" stays a "no" however old the roll is.
        assert_eq!(code(ask(&world, &token, part, u64::MAX)), (*reason, 403), "row {i}, stale");
        // Nobody learns it without the device's key.
        let thief = device.presents_with(&key(99), NOW, 1);
        assert_eq!(code(ask(&world, &thief, part, 0)), ("wrong-key", 401), "row {i}, forged");
    }
}

#[test]
fn a_hold_ends_by_the_checkpoints_clock() {
    let (mut world, device) = (World::new(), Device::new(10));
    let (_, parts) = world.enrol(&[&device]);
    world.hold(Target::Device(device.as_ref(Some(&parts[0]))), Some(START + 5_000));
    let token = device.presents(NOW, 1);
    assert_eq!(code(ask(&world, &token, Evidence::None, 0)), ("held", 403));
    world.time = START + 5_000;
    ask(&world, &token, Evidence::None, 0).unwrap();
}

#[test]
fn a_roll_that_is_too_old_says_so_only_to_the_device() {
    let (mut world, device) = (World::new(), Device::new(10));
    let (_, parts) = world.enrol(&[&device]);
    let (token, part) = (device.presents(NOW, 1), Evidence::Part(&parts[0]));
    ask(&world, &token, part, limits::MAX_ROLL_AGE_MS).unwrap();
    let old = limits::MAX_ROLL_AGE_MS + 1;
    assert_eq!(code(ask(&world, &token, part, old)), ("stale-roll", 403));
    let thief = device.presents_with(&key(99), NOW, 1);
    assert_eq!(code(ask(&world, &thief, part, old)), ("wrong-key", 401));
}

#[test]
fn the_state_replaces_the_leafs_key() {
    let (mut world, device, new) = (World::new(), Device::new(10), key(20));
    let (_, parts) = world.enrol(&[&device]);
    let (old_token, part) = (device.presents(NOW, 1), Evidence::Part(&parts[0]));
    let before = ask(&world, &old_token, part, 0).unwrap();
    world.rotate(&device, &parts[0], &new);

    assert_eq!(code(ask(&world, &old_token, part, 0)), ("wrong-key", 401));
    let new_token = device.presents_with(&new, NOW, 2);
    assert_eq!(*ask(&world, &new_token, Evidence::None, 0).unwrap().did(), device.did);

    world.revoke_key(device.as_ref(None), &device.key);
    assert_eq!(code(ask(&world, &old_token, part, 0)), ("key-revoked", 401));
    ask(&world, &new_token, part, 0).unwrap();
    world.revoke_key(device.as_ref(None), &new);
    assert_eq!(code(ask(&world, &new_token, part, 0)), ("key-revoked", 401));

    let roll = RollView {
        network: world.genesis.network(),
        state: world.state(),
        checkpoint_time: Time(world.time),
        age_ms: 0,
    };
    let session = before.still(roll, &Policy::new(audience()), None);
    assert_eq!(code(session), ("key-revoked", 401));
}

#[test]
fn evidence_counts_only_for_its_device_and_network() {
    let (mut world, device, other) = (World::new(), Device::new(10), Device::new(11));
    let (_, parts) = world.enrol(&[&device, &other]);
    let token = device.presents(NOW, 1);
    let refused = |evidence: Evidence<'_>| code(ask(&world, &token, evidence, 0));
    assert_eq!(refused(Evidence::None), ("unknown-device", 401));
    assert_eq!(refused(Evidence::Part(&parts[1])), ("bad-device-part", 401));
    let mut part = parts[0].clone();
    part.leaf[20] ^= 1;
    assert_eq!(refused(Evidence::Part(&part)), ("bad-device-part", 401));
    part.batch.0[0] ^= 1;
    assert_eq!(refused(Evidence::Part(&part)), ("unknown-device", 401));

    // Checked by another network's roll.
    let mut elsewhere = World::starting(START + 1);
    let (_, parts) = elsewhere.enrol(&[&device]);
    let roll = RollView {
        network: elsewhere.genesis.network(),
        state: elsewhere.state(),
        checkpoint_time: Time(START),
        age_ms: 0,
    };
    let checked = Enrolment::check(&parts[0], roll).unwrap();
    assert_eq!(refused(Evidence::Checked(&checked)), ("unknown-device", 401));
}

#[test]
fn another_audience_is_refused_before_anything_else() {
    let (world, device) = (World::new(), Device::new(10));
    let other: Audience = "other.example".parse().unwrap();
    let window = muster_identity::Freshness::Window { iat: NOW, exp: NOW + 60 };
    let token =
        muster_identity::present(&device.did, &other, &window, &[1; 16], &device.key).unwrap();
    assert_eq!(code(ask(&world, &token, Evidence::None, 0)), ("wrong-audience", 401));
    assert_eq!(code(ask(&world, "a.b.c", Evidence::None, 0)), ("malformed", 401));
}

#[test]
fn reasons_are_listed_once() {
    let codes = std::collections::BTreeSet::from(Reason::CODES);
    assert_eq!(codes.len(), Reason::CODES.len());
    assert!(codes.contains(Reason::Malformed(muster_identity::PresentationFault::Typ).code()));
}
