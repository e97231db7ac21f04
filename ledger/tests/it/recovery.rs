//! A device that lost its key: who may give it another, and that it stays visible.

use crate::network::{Device, Org, World, ed25519, new_key, p256, possession_leaf};
use muster_identity::cbor::Encode;
use muster_identity::{Did, Inception, Recovery, SecretKey, Signer};
use muster_ledger::{
    Action, Deactivate, DeviceRef, Enrol, Evidence, Hold, HoldId, Leaf, LeafTree, NewKey, Power,
    Recover, Refusal, Retired, Revoke, RevokeKey, Rotate, SerialCommitment, Status, Target, View,
    VouchedBy,
};

/// What a device declared, one device of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Declares {
    Nothing,
    Owner,
    Key,
    LeafOwner,
    /// The enroller's leaf says so, and no possession signature covers it.
    Vouched,
}

const ALL: [Declares; 5] =
    [Declares::Nothing, Declares::Owner, Declares::Key, Declares::LeafOwner, Declares::Vouched];

fn recovery_key() -> SecretKey {
    p256("in a safe")
}

/// A world with an enrolled device of each kind.
fn world() -> (World, Vec<(Declares, Device)>) {
    let mut world = World::new();
    let maker = world.maker.did;
    let mut rows: Vec<_> = ALL
        .into_iter()
        .map(|declares| {
            let key = ed25519(&format!("{declares:?}"));
            let recovery = match declares {
                Declares::Owner => Some(Recovery::Owner),
                Declares::Key => Some(Recovery::Key(recovery_key().public_key())),
                _ => None,
            };
            let inception = Inception { recovery, ..Inception::from_key(key.public_key()) };
            let (network, leaf_owner) = (world.network, declares == Declares::LeafOwner);
            let mut leaf = possession_leaf(&network, &maker, inception, &key, leaf_owner);
            if declares == Declares::Vouched {
                let evidence = Evidence::Vouched { by: VouchedBy::Enroller, digest: None };
                let serial = SerialCommitment([0; 32]);
                leaf = Leaf { evidence, serial, owner_recovery: true, ..leaf };
            }
            (declares, key, leaf)
        })
        .collect();
    rows.sort_by_key(|(_, _, leaf)| leaf.did());
    let mut tree = LeafTree::default();
    for (_, _, leaf) in &rows {
        tree.push(&leaf.did(), &leaf.to_cbor()).unwrap();
    }
    let enrol = Enrol {
        grant: world.grant,
        model: "sensor-1".into(),
        count: tree.count(),
        root: tree.root(),
    };
    let id = enrol.batch(&world.network);
    world.maker_does(Action::Enrol(enrol)).unwrap();
    let devices = rows.into_iter().enumerate().map(|(i, (declares, key, leaf))| {
        let part = tree.device_part(id, i as u64, leaf.to_cbor()).unwrap();
        (declares, Device { did: leaf.did(), key, part })
    });
    let devices = devices.collect();
    (world, devices)
}

fn of(devices: &[(Declares, Device)], which: Declares) -> &Device {
    &devices.iter().find(|(declares, _)| *declares == which).unwrap().1
}

fn recover(world: &World, device: &Device, new: &SecretKey) -> Action {
    let seq = world.device_seq(&device.did);
    let key = new_key(&world.network, &device.did, seq, new);
    Action::Recover(Recover { device: device.with_part(), seq, key, next_key: None })
}

#[test]
fn only_as_the_device_declared() {
    let (mut world, devices) = world();
    let (maker, rival) = (Org::new("maker"), Org::new("rival"));
    for (declares, device) in &devices {
        let new = ed25519(&format!("new of {declares:?}"));
        let action = recover(&world, device, &new);
        let by_owner = matches!(declares, Declares::Owner | Declares::LeafOwner);
        let by_key = *declares == Declares::Key;
        // Nobody else: another organisation, other keys of the owner, the device's own key, a thief.
        let safe = recovery_key();
        let attempts: [(&str, Did, &SecretKey); 5] = [
            ("rival", rival.did, &rival.operate),
            ("root", maker.did, &maker.root),
            ("device", device.did, &device.key),
            ("thief", device.did, &new),
            ("safe as the owner", maker.did, &safe),
        ];
        for (who, author, key) in attempts {
            let refused = world.does(author, key, action.clone());
            assert!(refused.is_err(), "{declares:?} by {who}");
        }
        let before = world.state.clone();
        let owner = world.does(maker.did, &maker.operate, action.clone());
        assert_eq!(owner.is_ok(), by_owner, "{declares:?}: {owner:?}");
        if !by_owner {
            assert_eq!(owner, Err(Refusal::NoRecovery(device.did)));
        }
        world.state = before;
        let key = world.does(device.did, &safe, action);
        assert_eq!(key.is_ok(), by_key, "{declares:?}: {key:?}");
    }
}

#[test]
fn the_new_key_is_the_devices_and_the_old_one_never_again() {
    let (mut world, devices) = world();
    let device = of(&devices, Declares::Key);
    let new = ed25519("new");
    let action = recover(&world, device, &new);
    world.does(device.did, &recovery_key(), action.clone()).unwrap();
    let record = world.state.device(&device.did).unwrap().unwrap();
    let first = device.key.public_key();
    assert_eq!(record.key.given(first), Some(new.public_key()));
    let retired = record.retired[0];
    assert_eq!((retired.key, retired.why), (first, Retired::Recovered));
    // The new key rotates, the old one does nothing; the recovery stays visible behind it.
    let network = world.network;
    let rotate = |seq, key: &SecretKey| {
        let key: NewKey = new_key(&network, &device.did, seq, key);
        Action::Rotate(Rotate { device: device.alone(), seq, key, next_key: None })
    };
    let next = rotate(1, &ed25519("next"));
    let refused = world.does(device.did, &device.key, next.clone());
    assert!(matches!(refused, Err(Refusal::NotAKeyOf { .. })));
    let back = rotate(1, &device.key);
    world.does(device.did, &new, next).unwrap();
    assert!(matches!(world.does(device.did, &new, back), Err(Refusal::NotAKeyOf { .. })));
    let record = world.state.device(&device.did).unwrap().unwrap();
    assert_eq!(
        record.retired.iter().map(|k| k.why).collect::<Vec<_>>(),
        [Retired::Recovered, Retired::Rotated]
    );
    // Signed for a count that is over; a key that was there before.
    let again = world.does(device.did, &recovery_key(), action);
    assert!(matches!(again, Err(Refusal::Sequence { .. } | Refusal::KeyUsed(_))));
    let old = recover(&world, device, &device.key);
    let used = world.does(device.did, &recovery_key(), old);
    assert_eq!(used, Err(Refusal::KeyUsed(first)));
    let taken = recover(&world, device, &Org::new("maker").root);
    let used = world.does(device.did, &recovery_key(), taken);
    assert_eq!(used, Err(Refusal::KeyUsed(Org::new("maker").root.public_key())));
}

#[test]
fn a_key_that_never_agreed_or_a_part_of_another_recovers_nothing() {
    let (mut world, devices) = world();
    let device = of(&devices, Declares::Key);
    let Action::Recover(good) = recover(&world, device, &ed25519("new")) else { unreachable!() };
    let mut never = good.clone();
    never.key.proof.0[0] ^= 1;
    let signed = world.sign(device.did, &recovery_key(), Action::Recover(never));
    assert!(signed.verify().is_err());
    let alone = Recover { device: device.alone(), ..good.clone() };
    let refused = world.does(device.did, &recovery_key(), Action::Recover(alone.clone()));
    assert_eq!(refused, Err(Refusal::DevicePartMissing(device.did)));
    let other = DeviceRef { did: device.did, part: of(&devices, Declares::Owner).with_part().part };
    let other = Action::Recover(Recover { device: other, ..good });
    let refused = world.does(device.did, &recovery_key(), other.clone());
    assert_eq!(refused, Err(Refusal::DevicePart(device.did)));
    // Nor once the state knows the device: what it declared is in its part alone.
    let maker = Org::new("maker");
    let hold = Hold {
        target: device.target(),
        id: HoldId([1; 16]),
        power: Power::Owner,
        until: None,
        seen: world.index,
        reason: "".into(),
    };
    world.does(maker.did, &maker.operate, Action::Hold(hold)).unwrap();
    for bad in [Action::Recover(alone), other] {
        assert!(world.does(device.did, &recovery_key(), bad).is_err());
    }
}

#[test]
fn a_thief_is_held_and_recovered_from() {
    let (mut world, devices) = world();
    let maker = Org::new("maker");
    for which in [Declares::Owner, Declares::LeafOwner] {
        let device = of(&devices, which);
        // The thief rotates away, and again while the owner signs.
        let thief = ed25519(&format!("thief of {which:?}"));
        let seq = world.device_seq(&device.did);
        let key = new_key(&world.network, &device.did, seq, &thief);
        let rotate = Rotate { device: device.with_part(), seq, key, next_key: Some([7; 32]) };
        world.does(device.did, &device.key, Action::Rotate(rotate)).unwrap();
        let hold = Hold {
            target: device.target(),
            id: HoldId([1; 16]),
            power: Power::Owner,
            until: None,
            seen: world.index,
            reason: "".into(),
        };
        world.does(maker.did, &maker.operate, Action::Hold(hold)).unwrap();
        // Held, it cannot rotate any more; the thief's commitment binds no recovery.
        let new = ed25519(&format!("ours of {which:?}"));
        let action = recover(&world, device, &new);
        world.does(maker.did, &maker.operate, action).unwrap();
        let record = world.state.device(&device.did).unwrap().unwrap();
        assert_eq!(record.key.given(device.key.public_key()), Some(new.public_key()));
        assert_eq!(record.retired.last().unwrap().why, Retired::Recovered);
        assert_eq!(world.status(device), Status::Held, "a recovery lifts no hold");
    }
}

#[test]
fn a_revoked_key_is_followed_by_another_and_what_ended_by_none() {
    let (mut world, devices) = world();
    let maker = Org::new("maker");
    let device = of(&devices, Declares::Owner);
    let key = device.key.public_key();
    let revoke = Action::RevokeKey(RevokeKey { device: device.with_part(), key });
    world.does(maker.did, &maker.operate, revoke).unwrap();
    let action = recover(&world, device, &ed25519("new"));
    world.does(maker.did, &maker.operate, action).unwrap();
    let record = world.state.device(&device.did).unwrap().unwrap();
    assert_eq!(record.retired.len(), 1);
    assert_eq!((record.retired[0].key, record.retired[0].why), (key, Retired::Recovered));
    let again = Action::RevokeKey(RevokeKey { device: device.alone(), key });
    assert_eq!(world.does(maker.did, &maker.operate, again), Err(Refusal::UnknownKey(key)));

    for (which, status) in
        [(Declares::Owner, Status::Revoked), (Declares::Key, Status::Deactivated)]
    {
        let device = of(&devices, which);
        let target: Target = device.target();
        let end = match status {
            Status::Revoked => Action::Revoke(Revoke { target, reason: "".into() }),
            _ => Action::Deactivate(Deactivate { target }),
        };
        world.does(maker.did, &maker.operate, end).unwrap();
        let action = recover(&world, device, &ed25519("too late"));
        let (author, key) = match which {
            Declares::Key => (device.did, recovery_key()),
            _ => (maker.did, Org::new("maker").operate),
        };
        assert_eq!(world.does(author, &key, action), Err(Refusal::Standing(status)));
    }
}

#[test]
fn the_owner_who_recovers_is_the_present_one() {
    let (mut world, devices) = world();
    let (maker, rival) = (Org::new("maker"), Org::new("rival"));
    for which in [Declares::Owner, Declares::LeafOwner] {
        let device = of(&devices, which);
        world.transfers(&maker, &rival, &device.target());
        let action = recover(&world, device, &ed25519(&format!("after {which:?}")));
        let refused = world.does(maker.did, &maker.operate, action.clone());
        assert_eq!(refused, Err(Refusal::NotOwner(rival.did)));
        world.does(rival.did, &rival.operate, action).unwrap();
    }
}
