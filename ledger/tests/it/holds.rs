//! Holds and releases.

use crate::network::{Device, HOUR, Org, World};
use muster_identity::{Did, SecretKey};
use muster_ledger::{
    Action, Hold, HoldId, Power, Refusal, Release, Revoke, Status, Target, Time, View, limits,
};

fn id(n: u8) -> HoldId {
    HoldId([n; 16])
}

fn hold(target: Target, n: u8, power: Power, until: Option<Time>, seen: u64) -> Action {
    Action::Hold(Hold { target, id: id(n), power, until, seen, reason: "test".into() })
}

fn owner_hold(device: &Device, n: u8, seen: u64) -> Action {
    hold(device.target(), n, Power::Owner, None, seen)
}

fn release(target: Target, n: u8, seq: u64) -> Action {
    Action::Release(Release { target, hold: id(n), seq })
}

#[test]
fn a_hold_suspends_and_its_release_restores() {
    let (mut world, batch) = World::with_batch(2);
    let device = &batch.devices[0];
    world.maker_does(owner_hold(device, 1, 1)).unwrap();
    assert_eq!(world.status(device), Status::Held);
    assert_eq!(world.status(&batch.devices[1]), Status::Active, "only that one");
    assert_eq!(world.maker_does(owner_hold(device, 1, 2)), Err(Refusal::HoldExists(id(1))));
    world.maker_does(owner_hold(device, 2, 2)).unwrap();
    let unknown = world.maker_does(release(device.target(), 3, 2));
    assert_eq!(unknown, Err(Refusal::UnknownHold(id(3))));
    let stale = world.maker_does(release(device.target(), 1, 1));
    assert_eq!(stale, Err(Refusal::Sequence { found: 2, signed: 1 }));
    world.maker_does(release(device.target(), 1, 2)).unwrap();
    assert_eq!(world.status(device), Status::Held, "the other hold stands");
    world.maker_does(release(device.target(), 2, 3)).unwrap();
    assert_eq!(world.status(device), Status::Active);
    let gone = world.maker_does(release(device.target(), 2, 4));
    assert_eq!(gone, Err(Refusal::UnknownHold(id(2))));
}

#[test]
fn a_hold_signed_before_a_release_does_not_undo_it() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    world.maker_does(owner_hold(device, 1, 1)).unwrap();
    let seen = world.index;
    // The same signed bytes, delivered again after the release, and one signed meanwhile.
    let again = world.sign(world.maker.did, &world.maker.operate, owner_hold(device, 1, 1));
    world.maker_does(release(device.target(), 1, 1)).unwrap();
    let released = world.index;
    for late in
        [again, world.sign(world.maker.did, &world.maker.operate, owner_hold(device, 2, seen))]
    {
        let refusal = world.applies(&late).unwrap_err();
        assert!(matches!(refusal, Refusal::ReleasedSince { released: r, .. } if r == released));
    }
    assert_eq!(world.status(device), Status::Active);
    world.maker_does(owner_hold(device, 2, released)).unwrap();
    assert_eq!(world.status(device), Status::Held);
    let future = owner_hold(device, 3, world.index + 1);
    assert!(matches!(world.maker_does(future), Err(Refusal::Limit(_))), "it saw what is not there");
}

#[test]
fn a_release_elsewhere_does_not_refuse_a_hold() {
    let (mut world, batch) = World::with_batch(2);
    let (a, b) = (&batch.devices[0], &batch.devices[1]);
    world.maker_does(owner_hold(a, 1, 1)).unwrap();
    let seen = world.index;
    world.maker_does(release(a.target(), 1, 1)).unwrap();
    world.maker_does(owner_hold(b, 1, seen)).unwrap();
    assert_eq!(world.status(b), Status::Held);
}

#[test]
fn holds_end_by_the_time_of_the_block() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    let until = world.time.plus_ms(HOUR);
    let past = hold(device.target(), 1, Power::Owner, Some(world.time), 1);
    assert_eq!(world.maker_does(past), Err(Refusal::Limit("a hold ends in the future")));
    world.maker_does(hold(device.target(), 1, Power::Owner, Some(until), 1)).unwrap();
    let root = world.state.root();
    world.time = Time(until.0 - 1);
    assert_eq!(world.status(device), Status::Held);
    world.time = until;
    assert_eq!(world.status(device), Status::Active, "at its end it is over");
    assert_eq!(world.state.root(), root, "and nothing was written");
    // It can still be named, and makes room for others.
    world.maker_does(release(device.target(), 1, 1)).unwrap();
}

#[test]
fn an_incident_hold_needs_an_end() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    let (gateway, maker) = (Org::new("maker").gateway, world.maker.did);
    let endless = hold(device.target(), 1, Power::Incident, None, 1);
    let refused = world.does(maker, &gateway, endless);
    assert_eq!(refused, Err(Refusal::Limit("an incident hold needs an end")));
    let late = Some(world.time.plus_ms(limits::INCIDENT_HOLD_MS + 60_000));
    let refused = world.does(maker, &gateway, hold(device.target(), 1, Power::Incident, late, 1));
    assert_eq!(refused, Err(Refusal::Limit("an incident hold ends within 7 days")));
    let until = Some(world.time.plus_ms(HOUR));
    world.does(maker, &gateway, hold(device.target(), 1, Power::Incident, until, 1)).unwrap();
    assert_eq!(world.status(device), Status::Held);
}

#[test]
fn only_the_power_that_placed_a_hold_releases_it() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    let (maker, rival) = (Org::new("maker"), Org::new("rival"));
    let until = Some(world.time.plus_ms(HOUR));
    let placed: [(u8, Power, &Org, &SecretKey); 4] = [
        (1, Power::Owner, &maker, &maker.operate),
        (2, Power::Incident, &maker, &maker.gateway),
        (3, Power::Governance, &rival, &rival.approve),
        (4, Power::Incident, &rival, &rival.gateway),
    ];
    for (n, power, org, key) in placed {
        let until = until.filter(|_| power == Power::Incident);
        world.does(org.did, key, hold(device.target(), n, power, until, 1)).unwrap();
    }
    let may: [(Did, &SecretKey, &[u8]); 6] = [
        (maker.did, &maker.operate, &[1]),
        (maker.did, &maker.gateway, &[2]),
        (maker.did, &maker.approve, &[]),
        (rival.did, &rival.operate, &[]),
        (rival.did, &rival.gateway, &[4]),
        (rival.did, &rival.approve, &[3]),
    ];
    let before = world.state.clone();
    for (author, key, allowed) in may {
        for n in 1..=4 {
            world.state = before.clone();
            let seq = world.device_seq(&device.did);
            let result = world.does(author, key, release(device.target(), n, seq));
            assert_eq!(result.is_ok(), allowed.contains(&n), "hold {n}: {result:?}");
            assert_eq!(world.status(device), Status::Held, "the others stand");
        }
    }
    world.state = before;
    let seq = world.device_seq(&device.did);
    let other = world.does(maker.did, &maker.approve, release(device.target(), 3, seq));
    assert_eq!(other, Err(Refusal::OtherPower));
    // The device cannot release itself.
    let own = world.does(device.did, &device.key, release(device.target(), 1, seq));
    assert_eq!(own, Err(Refusal::UnknownAuthor(device.did)));
}

#[test]
fn no_power_can_fill_the_room_of_another() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    let rival = Org::new("rival");
    let until = world.time.plus_ms(HOUR);
    for n in 0..limits::HOLDS_OF_ONE_POWER as u8 {
        let one = hold(device.target(), n, Power::Incident, Some(until), 1);
        world.does(rival.did, &rival.gateway, one).unwrap();
    }
    let more = || hold(device.target(), 100, Power::Incident, Some(until.plus_ms(HOUR)), 1);
    let full = Refusal::Limit("at most 4 holds of one power on one target");
    assert_eq!(world.does(rival.did, &rival.gateway, more()), Err(full.clone()));
    for n in 0..limits::HOLDS_OF_ONE_POWER as u8 {
        world.maker_does(owner_hold(device, 10 + n, 1)).unwrap();
        let governance = hold(device.target(), 20 + n, Power::Governance, None, 1);
        world.does(rival.did, &rival.approve, governance).unwrap();
    }
    assert_eq!(world.maker_does(owner_hold(device, 99, 1)), Err(full));
    let record = world.state.device(&device.did).unwrap().unwrap();
    assert_eq!(record.standing.holds.len(), limits::HOLDS);
    // Holds that ran out make room.
    world.time = until;
    world.does(rival.did, &rival.gateway, more()).unwrap();
    let record = world.state.device(&device.did).unwrap().unwrap();
    assert_eq!(record.standing.holds.len(), 2 * limits::HOLDS_OF_ONE_POWER + 1);
}

#[test]
fn a_batch_is_held_and_released_as_one() {
    let (mut world, batch) = World::with_batch(3);
    let whole = || Target::Batch(batch.id);
    world.maker_does(hold(whole(), 1, Power::Owner, None, 1)).unwrap();
    assert!(batch.devices.iter().all(|device| world.status(device) == Status::Held));
    // A device of it has holds of its own, and outlasts the batch's release with them.
    world.maker_does(owner_hold(&batch.devices[0], 1, 1)).unwrap();
    world.maker_does(release(whole(), 1, 1)).unwrap();
    assert_eq!(world.status(&batch.devices[0]), Status::Held);
    assert_eq!(world.status(&batch.devices[1]), Status::Active);
    let late = world.maker_does(hold(whole(), 2, Power::Owner, None, 1));
    assert!(matches!(late, Err(Refusal::ReleasedSince { .. })));
}

#[test]
fn what_ended_is_neither_held_nor_released() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    world.maker_does(owner_hold(device, 1, 1)).unwrap();
    let revoke = Revoke { target: device.target(), reason: String::new() };
    world.maker_does(Action::Revoke(revoke)).unwrap();
    let ended = Err(Refusal::Standing(Status::Revoked));
    assert_eq!(world.maker_does(owner_hold(device, 2, 1)), ended);
    assert_eq!(world.maker_does(release(device.target(), 1, 2)), ended);
}
