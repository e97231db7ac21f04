//! Revocation and deactivation, of devices and of batches.

use crate::network::{Device, HOUR, World, ed25519, new_key};
use muster_identity::Signer;
use muster_ledger::{
    Action, Deactivate, DeviceKey, Hold, HoldId, Power, Refusal, Revoke, RevokeKey, Rotate, Status,
    Target, View,
};

fn revoke(target: Target) -> Action {
    Action::Revoke(Revoke { target, reason: "stolen".into() })
}

fn deactivate(target: Target) -> Action {
    Action::Deactivate(Deactivate { target })
}

fn rotate(world: &World, device: &Device, seq: u64, seed: &str) -> Action {
    Action::Rotate(Rotate {
        device: device.with_part(),
        seq,
        key: new_key(&world.network, &device.did, seq, &ed25519(seed)),
        next_key: None,
    })
}

#[test]
fn a_revocation_is_final_and_applies_whatever_the_counter() {
    let (mut world, batch) = World::with_batch(2);
    let device = &batch.devices[0];
    // Signed before the thief rotates twice: it still applies.
    let signed = world.sign(world.maker.did, &world.maker.operate, revoke(device.target()));
    let (first, second) = (rotate(&world, device, 0, "a"), rotate(&world, device, 1, "b"));
    world.does(device.did, &device.key, first).unwrap();
    world.does(device.did, &ed25519("a"), second).unwrap();
    world.applies(&signed).unwrap();
    assert_eq!(world.status(device), Status::Revoked);
    let again = rotate(&world, device, 3, "c");
    let refused = world.does(device.did, &ed25519("b"), again);
    assert_eq!(refused, Err(Refusal::Standing(Status::Revoked)));
    let twice = world.maker_does(revoke(device.target()));
    assert_eq!(twice, Err(Refusal::Standing(Status::Revoked)));
    assert_eq!(world.status(&batch.devices[1]), Status::Active);
}

#[test]
fn a_revoked_batch_takes_all_its_devices() {
    let (mut world, batch) = World::with_batch(3);
    // Also one that rotated.
    let turned = &batch.devices[1];
    let first = rotate(&world, turned, 0, "a");
    world.does(turned.did, &turned.key, first).unwrap();
    world.maker_does(revoke(Target::Batch(batch.id))).unwrap();
    for device in &batch.devices {
        assert_eq!(world.status(device), Status::Revoked);
    }
    let more = rotate(&world, turned, 1, "b");
    let refused = world.does(turned.did, &ed25519("a"), more);
    assert_eq!(refused, Err(Refusal::Standing(Status::Revoked)));
    let untouched = &batch.devices[0];
    let refused = world.does(untouched.did, &untouched.key, deactivate(untouched.target()));
    assert_eq!(refused, Err(Refusal::Standing(Status::Revoked)));
    // The owner may still end one of them for good.
    world.maker_does(deactivate(untouched.target())).unwrap();
    assert_eq!(world.status(untouched), Status::Deactivated);
}

#[test]
fn a_device_or_its_owner_deactivates_it_once() {
    let (mut world, batch) = World::with_batch(4);
    let [own, other, by_owner, _] = &batch.devices[..] else { unreachable!() };
    let theirs = world.does(own.did, &other.key, deactivate(own.target()));
    let refusal = Refusal::NotAKeyOf { key: other.key.public_key(), author: own.did };
    assert_eq!(theirs, Err(refusal));
    let of_another = world.does(own.did, &own.key, deactivate(other.target()));
    assert_eq!(of_another, Err(Refusal::UnknownAuthor(own.did)));
    let of_all = world.does(own.did, &own.key, deactivate(Target::Batch(batch.id)));
    assert_eq!(of_all, Err(Refusal::UnknownAuthor(own.did)));
    world.does(own.did, &own.key, deactivate(own.target())).unwrap();
    assert_eq!(world.status(own), Status::Deactivated);
    world.maker_does(deactivate(by_owner.target())).unwrap();
    assert_eq!(world.status(by_owner), Status::Deactivated);
    let ended = Err(Refusal::Standing(Status::Deactivated));
    assert_eq!(world.does(own.did, &own.key, deactivate(own.target())), ended);
    assert_eq!(world.maker_does(deactivate(own.target())), ended);
    assert_eq!(world.maker_does(revoke(own.target())), ended);
    assert_eq!(world.does(own.did, &own.key, rotate(&world_of(&world), own, 1, "x")), ended);
    // The whole batch, and then nothing of it comes back.
    world.maker_does(deactivate(Target::Batch(batch.id))).unwrap();
    assert!(batch.devices.iter().all(|device| world.status(device) == Status::Deactivated));
    assert_eq!(world.maker_does(deactivate(Target::Batch(batch.id))), ended);
}

/// A second look at a world, to build an action for it while it is borrowed.
fn world_of(world: &World) -> World {
    let mut copy = World::new();
    copy.state = world.state.clone();
    copy
}

#[test]
fn a_held_device_signs_nothing() {
    let (mut world, batch) = World::with_batch(2);
    let device = &batch.devices[0];
    let hold = |target, id, until| {
        let (reason, power) = (String::new(), Power::Owner);
        Action::Hold(Hold { target, id: HoldId([id; 16]), power, until, seen: 1, reason })
    };
    let until = world.time.plus_ms(HOUR);
    let held = Err(Refusal::Standing(Status::Held));
    for target in [device.target(), Target::Batch(batch.id)] {
        let before = world.state.clone();
        world.maker_does(hold(target, 1, Some(until))).unwrap();
        let seq = world.device_seq(&device.did);
        let turn = rotate(&world, device, seq, "a");
        assert_eq!(world.does(device.did, &device.key, turn), held);
        assert_eq!(world.does(device.did, &device.key, deactivate(device.target())), held);
        world.state = before;
    }
    // When the hold has run out it signs again.
    world.maker_does(hold(device.target(), 1, Some(until))).unwrap();
    world.time = until;
    let turn = rotate(&world, device, 1, "a");
    world.does(device.did, &device.key, turn).unwrap();
}

#[test]
fn one_key_ends_and_the_device_with_no_other_signs_nothing() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    let end = |key| Action::RevokeKey(RevokeKey { device: device.with_part(), key });
    let stranger = ed25519("stranger").public_key();
    assert_eq!(world.maker_does(end(stranger)), Err(Refusal::UnknownKey(stranger)));
    let first = device.key.public_key();
    let turn = rotate(&world, device, 0, "a");
    world.does(device.did, &device.key, turn).unwrap();
    // A key that was rotated away can still be named as revoked, once.
    world.maker_does(end(first)).unwrap();
    assert_eq!(world.maker_does(end(first)), Err(Refusal::UnknownKey(first)));
    let second = ed25519("a").public_key();
    world.maker_does(end(second)).unwrap();
    let record = world.state.device(&device.did).unwrap().unwrap();
    assert_eq!((record.key, record.retired.len(), record.seq), (DeviceKey::Ended, 2, 3));
    assert!(record.retired.iter().all(|k| k.why == muster_ledger::Retired::Revoked));
    assert_eq!(world.status(device), Status::Active, "the narrow form");
    let refusal = Refusal::NotAKeyOf { key: second, author: device.did };
    let turn = rotate(&world, device, 3, "b");
    assert_eq!(world.does(device.did, &ed25519("a"), turn.clone()), Err(refusal.clone()));
    let self_end = world.does(device.did, &ed25519("a"), deactivate(device.target()));
    assert_eq!(self_end, Err(refusal));
    let old = world.does(device.did, &device.key, turn);
    assert_eq!(old, Err(Refusal::NotAKeyOf { key: first, author: device.did }));
}
