//! Rotation of a device's key.

use crate::network::{World, batch_of, ed25519, new_key, p256};
use muster_identity::{Inception, SecretKey, Signer, sha256};
use muster_ledger::{
    Action, ChangeKeys, DeviceKey, DeviceRef, Error, NewKey, Refusal, RevokeKey, Rotate, View,
    limits,
};

fn rotate(
    world: &World,
    device: &DeviceRef,
    seq: u64,
    to: &SecretKey,
    next: Option<[u8; 32]>,
) -> Action {
    let key = new_key(&world.network, &device.did, seq, to);
    Action::Rotate(Rotate { device: device.clone(), seq, key, next_key: next })
}

fn commitment(key: &SecretKey) -> [u8; 32] {
    sha256(&[&key.public_key().to_multicodec()])
}

#[test]
fn a_rotation_is_signed_by_the_old_key_and_binds_the_counter() {
    let (mut world, batch) = World::with_batch(3);
    let device = &batch.devices[0];
    let (did, this) = (device.did, device.with_part());
    let new = p256("new");
    let attempt = rotate(&world, &this, 0, &new, None);
    let by = |world: &mut World, author, key: &SecretKey| world.does(author, key, attempt.clone());
    // By the new key alone, by another device, by the owner.
    let not = |key: &SecretKey| Err(Refusal::NotAKeyOf { key: key.public_key(), author: did });
    assert_eq!(by(&mut world, did, &new), not(&new));
    let other = &batch.devices[1];
    assert_eq!(by(&mut world, did, &other.key), not(&other.key));
    assert_eq!(by(&mut world, other.did, &other.key), Err(Refusal::UnknownAuthor(other.did)));
    let (maker, operate) = (world.maker.did, p256("maker operate"));
    assert_eq!(by(&mut world, maker, &operate), Err(Refusal::UnknownAuthor(maker)));
    let early = rotate(&world, &this, 1, &new, None);
    let refused = world.does(did, &device.key, early);
    assert_eq!(refused, Err(Refusal::Sequence { found: 0, signed: 1 }));

    by(&mut world, did, &device.key).unwrap();
    let record = world.state.device(&did).unwrap().unwrap();
    assert_eq!((record.key, record.seq), (DeviceKey::Held(new.public_key()), 1));
    assert_eq!(record.index, device.part.index);
    // The same operation again, and the old key.
    assert_eq!(by(&mut world, did, &device.key), not(&device.key));
    let replay = by(&mut world, did, &new);
    assert_eq!(replay, Err(Refusal::Sequence { found: 1, signed: 0 }));
}

#[test]
fn no_key_returns_and_none_is_taken() {
    let (mut world, batch) = World::with_batch(2);
    let device = &batch.devices[0];
    let (did, this) = (device.did, device.with_part());
    let used = |key: &SecretKey| Err(Refusal::KeyUsed(key.public_key()));
    let same = rotate(&world, &this, 0, &device.key, None);
    assert_eq!(world.does(did, &device.key, same), used(&device.key));
    let a = ed25519("a");
    let first = rotate(&world, &this, 0, &a, None);
    world.does(did, &device.key, first).unwrap();
    let back = rotate(&world, &this, 1, &device.key, None);
    assert_eq!(world.does(did, &a, back), used(&device.key));
    // A key of an organisation, and one that another device rotated to and away from.
    let org = ed25519("maker root");
    let taken = rotate(&world, &this, 1, &org, None);
    assert_eq!(world.does(did, &a, taken), used(&org));
    let other = &batch.devices[1];
    let (b, c) = (ed25519("b"), ed25519("c"));
    let to_b = rotate(&world, &other.with_part(), 0, &b, None);
    world.does(other.did, &other.key, to_b).unwrap();
    let to_c = rotate(&world, &other.with_part(), 1, &c, None);
    world.does(other.did, &b, to_c).unwrap();
    for key in [&b, &c] {
        let taken = rotate(&world, &this, 1, key, None);
        assert_eq!(world.does(did, &a, taken), used(key));
    }
    // Nor does a device's key become an organisation's.
    let add = (
        new_key(&world.network, &world.maker.did, 1, &b),
        muster_ledger::Capabilities::of(&[muster_ledger::Capability::Operate]),
    );
    let join = Action::ChangeKeys(ChangeKeys { seq: 1, add: vec![add], remove: vec![] });
    assert_eq!(world.maker_does(join), used(&b));
}

#[test]
fn the_commitment_to_the_next_key_is_honoured() {
    let mut world = World::new();
    let (first, good, later) = (ed25519("first"), p256("good"), ed25519("later"));
    let inception =
        Inception { next_key: Some(commitment(&good)), ..Inception::from_key(first.public_key()) };
    let rows = vec![(inception, ed25519("first"))];
    let batch = batch_of(&world.network, &world.maker.did, world.grant, rows);
    world.enrol(&batch);
    let device = &batch.devices[0];
    let (did, this) = (device.did, device.with_part());
    let thief = rotate(&world, &this, 0, &ed25519("thief"), None);
    assert_eq!(world.does(did, &first, thief), Err(Refusal::NextKey));
    let honest = rotate(&world, &this, 0, &good, Some(commitment(&later)));
    world.does(did, &first, honest).unwrap();
    let thief = rotate(&world, &this, 1, &ed25519("thief"), None);
    assert_eq!(world.does(did, &good, thief), Err(Refusal::NextKey));
    let honest = rotate(&world, &this, 1, &later, None);
    world.does(did, &good, honest).unwrap();
    let free = rotate(&world, &this, 2, &ed25519("any"), None);
    world.does(did, &later, free).unwrap();
}

/// The new key signs that it wants to: over network, device, counter and itself.
#[test]
fn a_new_key_that_did_not_agree_is_refused_before_any_state() {
    let (world, batch) = World::with_batch(2);
    let device = &batch.devices[0];
    let new = ed25519("new");
    let (network, did) = (&world.network, &device.did);
    let elsewhere = muster_ledger::Network([1; 32]);
    let good = new_key(network, did, 0, &new);
    let proofs = [
        (new_key(network, did, 1, &new), "another counter"),
        (new_key(network, &batch.devices[1].did, 0, &new), "another device"),
        (new_key(&elsewhere, did, 0, &new), "another network"),
        (NewKey { key: ed25519("x").public_key(), proof: good.proof }, "another key"),
    ];
    for (key, what) in proofs {
        let action =
            Action::Rotate(Rotate { device: device.with_part(), seq: 0, key, next_key: None });
        let signed = world.sign(*did, &device.key, action);
        let found = signed.verify();
        assert_eq!(found, Err(Error::Identity(muster_identity::Error::Signature)), "{what}");
    }
    let action =
        Action::Rotate(Rotate { device: device.with_part(), seq: 0, key: good, next_key: None });
    assert!(world.sign(*did, &device.key, action).verify().is_ok());
}

/// The list of past keys has an end, and the last key can still be revoked.
#[test]
fn a_device_has_so_many_keys() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    let (did, this) = (device.did, device.with_part());
    let mut key = ed25519("first device 0");
    for n in 0.. {
        let next = ed25519(&format!("turn {n}"));
        let turn = rotate(&world, &this, n, &next, None);
        match world.does(did, &key, turn) {
            Ok(_) => key = next,
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Limit("a device has had its 128 keys"));
                assert_eq!(n as usize, limits::RETIRED_KEYS - 1, "128 keys in all");
                break;
            }
        }
    }
    let last = key.public_key();
    world.maker_does(Action::RevokeKey(RevokeKey { device: this, key: last })).unwrap();
    let record = world.state.device(&did).unwrap().expect("the record is still readable");
    assert_eq!((record.retired.len(), record.key), (limits::RETIRED_KEYS, DeviceKey::Ended));
}
