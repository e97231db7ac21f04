//! What is refused before anybody asks what the operation does, and who may do what at all.

use crate::network::{Device, HOUR, Org, START, World, batch, ed25519, new_key};
use muster_identity::cbor::Encode;
use muster_identity::{Did, SecretKey, Signer};
use muster_ledger::{
    Action, BatchId, Capabilities, Capability, ChangeKeys, Deactivate, EvidencePolicy, Grant, Hold,
    HoldId, Network, Operation, Power, Refusal, Release, Revoke, RevokeKey, Rotate, Target, Time,
    WithdrawGrant, apply,
};

fn revoke(device: &Device) -> Action {
    Action::Revoke(Revoke { target: device.target(), reason: String::new() })
}

#[test]
fn another_network_and_times() {
    let (world, batch) = World::with_batch(2);
    let now = world.time;
    let attempt = |network: Network, valid_until: Time| {
        let action = revoke(&batch.devices[0]);
        let operation = Operation { network, author: world.maker.did, valid_until, action };
        let signed = operation.sign(&world.maker.operate).unwrap().verify().unwrap();
        apply(&world.state, &signed, &world.at()).map(drop)
    };
    assert_eq!(attempt(Network([1; 32]), now.plus_ms(1)), Err(Refusal::WrongNetwork));
    let until = Time(now.0 - 1);
    assert_eq!(attempt(world.network, until), Err(Refusal::Expired { until, now }));
    assert_eq!(attempt(world.network, now), Ok(()), "its last millisecond");
    assert_eq!(attempt(world.network, now.plus_ms(24 * HOUR)), Ok(()), "24 hours");
    let late = now.plus_ms(24 * HOUR + 1);
    assert_eq!(attempt(world.network, late), Err(Refusal::TooLongLived));
}

/// Every action with every key of its author, of another organisation and of a stranger.
#[test]
fn only_the_key_with_the_capability_may() {
    let (mut world, first) = World::with_batch(2);
    let second = batch(&world.network, &world.maker.did, world.grant, "second", 1);
    let hold = |power, until| {
        let (target, reason) = (first.devices[0].target(), String::new());
        Action::Hold(Hold { target, id: HoldId([1; 16]), power, until, seen: 0, reason })
    };
    let fresh = ed25519("fresh");
    let grant = Grant {
        seq: 1,
        organisation: world.maker.did,
        models: vec![],
        count: 1,
        expires: START.plus_ms(9 * HOUR),
        evidence: EvidencePolicy::Enroller,
    };
    let change = ChangeKeys {
        seq: 1,
        add: vec![(
            new_key(&world.network, &world.maker.did, 1, &fresh),
            Capabilities::of(&[Capability::Operate]),
        )],
        remove: vec![],
    };
    let key = first.devices[0].key.public_key();
    let incident = hold(Power::Incident, Some(world.time.plus_ms(HOUR)));
    let table = [
        ("enrol", Action::Enrol(second.enrol.clone())),
        ("operate", hold(Power::Owner, None)),
        ("gateway", incident),
        ("approve", hold(Power::Governance, None)),
        ("operate", revoke(&first.devices[0])),
        ("operate", Action::Deactivate(Deactivate { target: first.devices[0].target() })),
        ("operate", Action::Revoke(Revoke { target: Target::Batch(first.id), reason: "".into() })),
        ("operate", Action::RevokeKey(RevokeKey { device: first.devices[0].with_part(), key })),
        ("root", Action::ChangeKeys(change)),
        ("approve", Action::Grant(grant)),
        ("approve", Action::WithdrawGrant(WithdrawGrant { grant: world.grant })),
    ];
    let (maker, rival, at) = (world.maker.did, world.rival.did, world.at());
    for (needs, action) in &table {
        let word = action.word();
        let attempt = |author: Did, key: &SecretKey| {
            let mut action = action.clone();
            if let Action::ChangeKeys(change) = &mut action {
                // A new key agrees to join one organisation.
                change.add[0].0 = new_key(&world.network, &author, 1, &fresh);
            }
            let signed = world.sign(author, key, action).verify().unwrap();
            apply(&world.state, &signed, &at).map(drop)
        };
        let Org { root, enrol, operate, approve, gateway, .. } = Org::new("maker");
        let keys = [
            ("root", root),
            ("enrol", enrol),
            ("operate", operate),
            ("approve", approve),
            ("gateway", gateway),
        ];
        for (has, key) in &keys {
            let lacks = Err(Refusal::Capability { key: key.public_key(), needs });
            let expected = if has == needs { Ok(()) } else { lacks };
            assert_eq!(attempt(maker, key), expected, "{word} by a key with {has}");
        }
        // A key of another organisation, in our name and with every capability there.
        let theirs = Org::new("rival");
        for key in [&theirs.root, &theirs.operate, &theirs.approve] {
            let refusal = Refusal::NotAKeyOf { key: key.public_key(), author: maker };
            assert_eq!(attempt(maker, key), Err(refusal), "{word}");
        }
        let stranger = Did::from_digest([3; 32]);
        let unknown = Err(Refusal::UnknownAuthor(stranger));
        assert_eq!(attempt(stranger, &keys[2].1), unknown, "{word} by nobody");
        // A device is no organisation, not even for its own record (but see deactivate).
        let device = &first.devices[1];
        let unknown = Err(Refusal::UnknownAuthor(device.did));
        assert_eq!(attempt(device.did, &device.key), unknown, "{word} by a device");
        // The owner's doings, by another organisation with the capability.
        let by_owner =
            matches!(action, Action::Revoke(_) | Action::Deactivate(_) | Action::RevokeKey(_))
                || matches!(action, Action::Hold(h) if h.power == Power::Owner);
        if by_owner {
            let refused = Err(Refusal::NotOwner(maker));
            assert_eq!(attempt(rival, &theirs.operate), refused, "{word} by a rival");
        }
    }
    // Nothing above changed anything: the same operations still apply.
    for (_, action) in table.into_iter().take(1) {
        assert!(world.maker_does(action).is_ok());
    }
}

#[test]
fn unknown_targets() {
    let (mut world, batch) = World::with_batch(1);
    let nowhere = BatchId([9; 32]);
    let unknown = Refusal::UnknownBatch(nowhere);
    let whole = || Target::Batch(nowhere);
    let mut elsewhere = batch.devices[0].with_part();
    elsewhere.part.as_mut().unwrap().batch = nowhere;
    let table = [
        Action::Revoke(Revoke { target: whole(), reason: String::new() }),
        Action::Deactivate(Deactivate { target: whole() }),
        Action::Release(Release { target: whole(), hold: HoldId([0; 16]), seq: 0 }),
        Action::Revoke(Revoke { target: Target::Device(elsewhere), reason: String::new() }),
    ];
    for action in table {
        assert_eq!(world.maker_does(action), Err(unknown.clone()));
    }
}

#[test]
fn every_first_operation_on_a_device_carries_its_part() {
    let (mut world, batch) = World::with_batch(1);
    let device = &batch.devices[0];
    let key = device.key.public_key();
    let seq = 0;
    let by_maker = [
        Action::Revoke(Revoke { target: Target::Device(device.alone()), reason: "".into() }),
        Action::Deactivate(Deactivate { target: Target::Device(device.alone()) }),
        Action::RevokeKey(RevokeKey { device: device.alone(), key }),
        Action::Release(Release {
            target: Target::Device(device.alone()),
            hold: HoldId([0; 16]),
            seq,
        }),
    ];
    for action in by_maker {
        assert_eq!(world.maker_does(action), Err(Refusal::DevicePartMissing(device.did)));
    }
    let next = ed25519("next");
    let rotate = Action::Rotate(Rotate {
        device: device.alone(),
        seq,
        key: new_key(&world.network, &device.did, seq, &next),
        next_key: None,
    });
    let refused = world.does(device.did, &device.key, rotate);
    assert_eq!(refused, Err(Refusal::DevicePartMissing(device.did)));
    // After the first, the state knows it.
    world.maker_does(revoke(device)).unwrap();
    let again = Action::Deactivate(Deactivate { target: Target::Device(device.alone()) });
    assert!(world.maker_does(again).is_ok());
}

#[test]
fn a_forged_device_part_proves_nothing() {
    let (mut world, first) = World::with_batch(5);
    let other = batch(&world.network, &world.maker.did, world.grant, "other", 5);
    world.enrol(&other);
    let victim = &first.devices[2];
    let outsider = batch(&world.network, &world.maker.did, world.grant, "outsider", 5);
    let stolen = &first.devices[3].part;
    let good = &victim.part;
    let forge = |change: &dyn Fn(&mut muster_ledger::DevicePart)| {
        let mut part = good.clone();
        change(&mut part);
        part
    };
    let forged = [
        stolen.clone(),
        other.devices[2].part.clone(),
        forge(&|part| part.batch = other.id),
        forge(&|part| part.index += 1),
        forge(&|part| part.index = muster_ledger::limits::BATCH_DEVICES),
        forge(&|part| part.leaf[10] ^= 1),
        forge(&|part| part.leaf.push(0)),
        forge(&|part| part.path[0][0] ^= 1),
        forge(&|part| part.path.truncate(1)),
        forge(&|part| part.path.push([0; 32])),
        forge(&|part| part.path.clear()),
    ];
    for part in forged {
        let mut device = victim.alone();
        device.part = Some(Box::new(part));
        let action = Action::Revoke(Revoke { target: Target::Device(device), reason: "".into() });
        assert_eq!(world.maker_does(action), Err(Refusal::DevicePart(victim.did)));
    }
    // A leaf that was never enrolled, under the name of a batch that was.
    let mut device = outsider.devices[2].with_part();
    device.part.as_mut().unwrap().batch = first.id;
    let action =
        Action::Revoke(Revoke { target: Target::Device(device.clone()), reason: "".into() });
    assert_eq!(world.maker_does(action), Err(Refusal::DevicePart(device.did)));
    assert!(world.maker_does(revoke(victim)).is_ok());
}

/// The words are what scripts rely on.
#[test]
fn refusals_have_words() {
    let (world, batch) = World::with_batch(1);
    let did = batch.devices[0].did;
    assert_eq!(Refusal::WrongNetwork.code(), "wrong-network");
    assert_eq!(Refusal::NotOwner(did).code(), "not-owner");
    assert_eq!(Refusal::Standing(muster_ledger::Status::Held).to_string(), "the target is held");
    assert_eq!(
        Refusal::UnknownBatch(batch.id).to_string(),
        format!("no batch {} on this ledger", batch.id)
    );
    assert_eq!(batch.id.to_string().parse(), Ok(batch.id));
    assert_eq!(batch.id.to_cbor().len(), 34);
    assert_eq!(world.network.to_string().len(), 64);
}
