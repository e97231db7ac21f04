//! Transfers: two signatures, and the old owner is out.

use crate::governed::approval;
use crate::network::{Batch, Device, HOUR, Org, World, new_key};
use muster_identity::{SecretKey, Signer};
use muster_ledger::{
    AcceptTransfer, Action, CancelTransfer, Deactivate, Hold, HoldId, OfferId, OfferTransfer,
    Power, Refusal, Release, Revoke, RevokeKey, Rotate, Rules, StateKey, Status, Target, View,
    limits, owner_of,
};

const DAY: u64 = 24 * HOUR;

impl World {
    pub(crate) fn target_seq(&self, target: &Target) -> u64 {
        match target {
            Target::Device(device) => self.device_seq(&device.did),
            Target::Batch(id) => self.state.batch(id).unwrap().unwrap().seq,
        }
    }

    pub(crate) fn offers(
        &mut self,
        from: &Org,
        to: &Org,
        target: &Target,
    ) -> Result<OfferId, Refusal> {
        let (seq, expires) = (self.target_seq(target), self.time.plus_ms(DAY));
        let offer = OfferTransfer { target: target.clone(), to: to.did, seq, expires };
        let signed = self.sign(from.did, &from.operate, Action::OfferTransfer(offer));
        self.applies(&signed).map(|_| OfferId(signed.verify().unwrap().proposal().0))
    }

    pub(crate) fn accepts(
        &mut self,
        org: &Org,
        target: &Target,
        id: OfferId,
    ) -> Result<(), Refusal> {
        let accept = AcceptTransfer { target: bare(target), offer: id };
        self.does(org.did, &org.operate, Action::AcceptTransfer(accept)).map(drop)
    }

    fn cancels(&mut self, org: &Org, target: &Target, id: OfferId) -> Result<(), Refusal> {
        let cancel = CancelTransfer { target: bare(target), offer: id };
        self.does(org.did, &org.operate, Action::CancelTransfer(cancel)).map(drop)
    }

    pub(crate) fn transfers(&mut self, from: &Org, to: &Org, target: &Target) {
        let id = self.offers(from, to, target).unwrap();
        self.accepts(to, target, id).unwrap();
    }

    fn owner(&self, device: &Device) -> muster_identity::Did {
        let record = self.state.device(&device.did).unwrap();
        let batch = self.state.batch(&device.part.batch).unwrap().unwrap();
        *owner_of(record.as_ref(), &batch)
    }
}

/// A target that the state knows by now.
fn bare(target: &Target) -> Target {
    match target {
        Target::Device(device) => {
            Target::Device(muster_ledger::DeviceRef { did: device.did, part: None })
        }
        batch => batch.clone(),
    }
}

fn world() -> (World, Batch, Org, Org) {
    let (world, batch) = World::with_batch(4);
    (world, batch, Org::new("maker"), Org::new("rival"))
}

fn held(target: &Target, id: u8, seen: u64) -> Action {
    let (power, until, reason) = (Power::Owner, None, String::new());
    Action::Hold(Hold { target: target.clone(), id: HoldId([id; 16]), power, until, seen, reason })
}

/// Everything that an owner may do to a target.
fn powers(world: &World, device: &Device, target: &Target) -> Vec<Action> {
    let (seq, expires) = (world.target_seq(target), world.time.plus_ms(DAY));
    let mut all = vec![
        held(target, 9, world.index),
        Action::Revoke(Revoke { target: target.clone(), reason: "".into() }),
        Action::Deactivate(Deactivate { target: target.clone() }),
        Action::OfferTransfer(OfferTransfer {
            target: target.clone(),
            to: Org::new("maker").did,
            seq,
            expires,
        }),
    ];
    let key = device.key.public_key();
    all.push(Action::RevokeKey(RevokeKey { device: device.with_part(), key }));
    all
}

#[test]
fn the_old_owner_of_a_batch_is_out_at_once() {
    let (mut world, batch, maker, rival) = world();
    let target = Target::Batch(batch.id);
    // One device is held by its owner, by itself: it goes with the batch.
    let device = batch.devices[1].target();
    world.maker_does(held(&device, 3, world.index)).unwrap();
    let id = world.offers(&maker, &rival, &target).unwrap();
    assert_eq!(world.owner(&batch.devices[0]), maker.did, "an offer changes nothing yet");
    world.accepts(&rival, &target, id).unwrap();
    assert_eq!(world.owner(&batch.devices[0]), rival.did);
    let record = world.state.batch(&batch.id).unwrap().unwrap();
    assert_eq!((record.owner, record.seq, &record.offer), (rival.did, 2, &None));
    // Possession was signed for who enrolled it, and that stays so.
    assert_eq!(world.state.manufacturer(&record).unwrap(), maker.did);

    let release = |seq| Release { target: device.clone(), hold: HoldId([3; 16]), seq };
    let seq = world.target_seq(&device);
    let mut all = powers(&world, &batch.devices[0], &target);
    all.extend(powers(&world, &batch.devices[2], &batch.devices[2].target()));
    all.push(Action::Release(release(seq)));
    for action in &all {
        let refused = world.does(maker.did, &maker.operate, action.clone());
        assert_eq!(refused, Err(Refusal::NotOwner(rival.did)), "{}", action.word());
    }
    // The new one has each of them, the hold of the old one among them.
    for action in &all {
        let mut one = World { state: world.state.clone(), ..World::new() };
        (one.index, one.time) = (world.index, world.time);
        let back = matches!(action, Action::OfferTransfer(_));
        let done = one.does(rival.did, &rival.operate, action.clone());
        assert!(done.is_ok(), "{} {back}: {done:?}", action.word());
    }
    // What the maker signed while it was the owner, and nobody sent, is void too.
    let (signed, _) = {
        let (mut early, batch, maker, rival) = self::world();
        let revoke = Revoke { target: Target::Batch(batch.id), reason: "".into() };
        let signed = early.sign(maker.did, &maker.operate, Action::Revoke(revoke));
        early.transfers(&maker, &rival, &Target::Batch(batch.id));
        assert_eq!(early.applies(&signed), Err(Refusal::NotOwner(rival.did)));
        (signed, early)
    };
    assert_eq!(world.applies(&signed), Err(Refusal::NotOwner(rival.did)));
}

#[test]
fn a_device_leaves_its_batch_for_good() {
    let (mut world, batch, maker, rival) = world();
    let (device, target) = (&batch.devices[0], batch.devices[0].target());
    let before = world.index + 1;
    world.transfers(&maker, &rival, &target);
    let record = world.state.device(&device.did).unwrap().unwrap();
    let left = record.left.unwrap();
    assert_eq!((left.owner, left.entry), (rival.did, before));
    assert_eq!(world.state.owner_of(&device.did).unwrap(), Some(rival.did));
    assert_eq!(world.state.owner_of(&batch.devices[1].did).unwrap(), None);
    for action in powers(&world, device, &target) {
        let refused = world.does(maker.did, &maker.operate, action.clone());
        assert_eq!(refused, Err(Refusal::NotOwner(rival.did)), "{}", action.word());
    }
    // Neither hold, revocation nor transfer of the batch reaches it.
    let whole = Target::Batch(batch.id);
    world.maker_does(held(&whole, 1, world.index)).unwrap();
    assert_eq!(
        (world.status(device), world.status(&batch.devices[1])),
        (Status::Active, Status::Held)
    );
    // It signs for itself, too, while the others are held.
    let key = new_key(&world.network, &device.did, record.seq, &crate::network::ed25519("next"));
    let rotate = Rotate { device: device.alone(), seq: record.seq, key, next_key: None };
    world.does(device.did, &device.key, Action::Rotate(rotate)).unwrap();
    let seq = world.target_seq(&whole);
    let release = Release { target: whole.clone(), hold: HoldId([1; 16]), seq };
    world.maker_does(Action::Release(release)).unwrap();
    let third = Org::new("third");
    let record =
        muster_ledger::OrganisationRecord { label: "Third".into(), keys: third.keys(), seq: 0 };
    world.set(StateKey::Organisation(third.did), &record);
    world.transfers(&maker, &third, &whole);
    assert_eq!(world.owner(device), rival.did);
    assert_eq!(world.owner(&batch.devices[1]), third.did);
    let revoke = Revoke { target: whole, reason: "".into() };
    world.does(third.did, &third.operate, Action::Revoke(revoke)).unwrap();
    assert_eq!(world.status(device), Status::Active);
    assert_eq!(world.status(&batch.devices[1]), Status::Revoked);
    // It goes on, back to who had it first: the batch does not have it again.
    world.transfers(&rival, &maker, &target);
    let again = world.state.device(&device.did).unwrap().unwrap().left.unwrap();
    assert_eq!((again.owner, again.entry), (maker.did, left.entry));
    assert_eq!(world.status(device), Status::Active);
}

#[test]
fn an_offer_takes_two_signatures_and_stands_alone() {
    let (mut world, batch, maker, rival) = world();
    for target in [Target::Batch(batch.id), batch.devices[0].target()] {
        let id = world.offers(&maker, &rival, &target).unwrap();
        let stands = Refusal::Offer { offer: id, why: "it stands: end it before another is made" };
        assert_eq!(world.offers(&maker, &rival, &target), Err(stands));
        // Only to whom it is made, by the key for it, by its id.
        assert!(matches!(world.accepts(&maker, &target, id), Err(Refusal::Offer { .. })));
        let accept = Action::AcceptTransfer(AcceptTransfer { target: bare(&target), offer: id });
        for key in [&rival.root, &rival.approve, &rival.enrol] {
            let refused = world.does(rival.did, key, accept.clone());
            assert!(matches!(refused, Err(Refusal::Capability { .. })), "{refused:?}");
        }
        let other = world.accepts(&rival, &target, OfferId([1; 32]));
        assert!(matches!(other, Err(Refusal::Offer { .. })));
        world.accepts(&rival, &target, id).unwrap();
        assert!(world.accepts(&rival, &target, id).is_err(), "it is accepted once");
        world.transfers(&rival, &maker, &target);
    }
}

#[test]
fn either_side_ends_an_offer() {
    let (mut world, batch, maker, rival) = world();
    let third = Org::new("third");
    let record =
        muster_ledger::OrganisationRecord { label: "Third".into(), keys: third.keys(), seq: 0 };
    world.set(StateKey::Organisation(third.did), &record);
    for target in [Target::Batch(batch.id), batch.devices[0].target()] {
        for by in [&maker, &rival] {
            let id = world.offers(&maker, &rival, &target).unwrap();
            assert!(matches!(world.cancels(&third, &target, id), Err(Refusal::Offer { .. })));
            world.cancels(by, &target, id).unwrap();
            assert!(matches!(world.accepts(&rival, &target, id), Err(Refusal::Offer { .. })));
            assert!(matches!(world.cancels(by, &target, id), Err(Refusal::Offer { .. })));
        }
    }
}

#[test]
fn what_changes_the_target_ends_the_offer() {
    let (mut world, batch, maker, rival) = world();
    let (device, whole) = (&batch.devices[0], Target::Batch(batch.id));
    let hold_and_release = |world: &mut World, target: &Target, id: u8| {
        world.maker_does(held(target, id, world.index)).unwrap();
        let seq = world.target_seq(target);
        let release = Release { target: target.clone(), hold: HoldId([id; 16]), seq };
        world.maker_does(Action::Release(release)).unwrap();
    };
    let over = |result| assert!(matches!(result, Err(Refusal::Offer { .. })), "{result:?}");
    for (offered, changed) in
        [(&device.target(), &device.target()), (&whole, &whole), (&device.target(), &whole)]
    {
        let id = world.offers(&maker, &rival, offered).unwrap();
        hold_and_release(&mut world, changed, 1);
        over(world.accepts(&rival, offered, id));
        // Nothing stands in the way of the next one.
        let id = world.offers(&maker, &rival, offered).unwrap();
        world.cancels(&maker, offered, id).unwrap();
    }
    // A device of the batch that changes by itself is none of the batch's changes.
    let id = world.offers(&maker, &rival, &whole).unwrap();
    hold_and_release(&mut world, &device.target(), 2);
    world.accepts(&rival, &whole, id).unwrap();
    // A rotation by the device itself.
    let target = device.target();
    let id = world.offers(&rival, &maker, &target).unwrap();
    let seq = world.device_seq(&device.did);
    let key = new_key(&world.network, &device.did, seq, &crate::network::ed25519("next"));
    let rotate = Rotate { device: device.alone(), seq, key, next_key: None };
    world.does(device.did, &device.key, Action::Rotate(rotate)).unwrap();
    over(world.accepts(&maker, &target, id));
    // The batch went to another, and came back: what was offered before is not.
    let id = world.offers(&rival, &maker, &target).unwrap();
    world.transfers(&rival, &maker, &whole);
    world.transfers(&maker, &rival, &whole);
    over(world.accepts(&maker, &target, id));
}

#[test]
fn only_what_is_active_transfers_and_only_in_time() {
    let (mut world, batch, maker, rival) = world();
    let (one, two) = (batch.devices[0].target(), batch.devices[1].target());
    let offer = |world: &World, to, target: &Target, ms| {
        let (seq, expires) = (world.target_seq(target), world.time.plus_ms(ms));
        Action::OfferTransfer(OfferTransfer { target: target.clone(), to, seq, expires })
    };
    for (to, ms) in [
        (maker.did, DAY),
        (Org::new("stranger").did, DAY),
        (rival.did, 0),
        (rival.did, limits::OFFER_LIFETIME_MS + 1),
    ] {
        let refused = world.maker_does(offer(&world, to, &one, ms)).unwrap_err();
        assert!(matches!(refused, Refusal::Limit(_) | Refusal::Organisation { .. }), "{refused:?}");
    }
    let longest = offer(&world, rival.did, &two, limits::OFFER_LIFETIME_MS);
    let OfferTransfer { seq, .. } = match &longest {
        Action::OfferTransfer(a) => a.clone(),
        _ => unreachable!(),
    };
    world.maker_does(longest).unwrap();
    let stale =
        OfferTransfer { target: two.clone(), to: rival.did, seq, expires: world.time.plus_ms(DAY) };
    let refused = world.maker_does(Action::OfferTransfer(stale));
    assert!(matches!(refused, Err(Refusal::Sequence { .. })));
    let id = world.offers(&maker, &rival, &one).unwrap();
    world.time = world.time.plus_ms(DAY);
    assert!(matches!(world.accepts(&rival, &one, id), Err(Refusal::Offer { .. })), "expired");
    // A held one is offered by nobody, and a held batch holds its devices.
    let whole = Target::Batch(batch.id);
    world.maker_does(held(&whole, 1, world.index)).unwrap();
    for target in [&whole, &one] {
        let refused = world.offers(&maker, &rival, target);
        assert_eq!(refused, Err(Refusal::Standing(Status::Held)));
    }
    world.maker_does(Action::Revoke(Revoke { target: whole.clone(), reason: "".into() })).unwrap();
    assert_eq!(world.offers(&maker, &rival, &one), Err(Refusal::Standing(Status::Revoked)));
}

/// What one signature may give away is what it may end.
#[test]
fn a_fleet_is_given_away_by_more_than_one_signature() {
    let (world, batch) = World::with_batch(4);
    let mut world = world.governed(Some(approval(3, 1)));
    let (maker, rival) = (Org::new("maker"), Org::new("rival"));
    let person = crate::governed::person;
    let whole = Target::Batch(batch.id);
    let refused = world.offers(&maker, &rival, &whole);
    assert_eq!(refused, Err(Refusal::TooManyEnded { devices: 4, today: 0, allowed: 3 }));
    world.offers(&maker, &rival, &batch.devices[0].target()).unwrap();
    assert_eq!(world.state.oversight(&maker.did).unwrap().ended, 1);
    // Proposed and approved it is offered, under the proposal's id, and still to be accepted.
    let (seq, expires) = (world.target_seq(&whole), world.time.plus_ms(DAY));
    let offer = OfferTransfer { target: whole.clone(), to: rival.did, seq, expires };
    let id = world.proposes(&person(0), Action::OfferTransfer(offer)).unwrap();
    world.approves(&person(1), id).unwrap();
    assert_eq!(world.state.oversight(&maker.did).unwrap().ended, 1);
    world.accepts(&rival, &whole, OfferId(id.0)).unwrap();
    assert_eq!(world.owner(&batch.devices[1]), rival.did);
    // The rules of the network are the new owner's as well.
    let rules = Rules { approval: Some(approval(0, 1)), ..Rules::DEFAULT };
    world.set(StateKey::Rules, &rules);
    let revoke = Action::Revoke(Revoke { target: whole, reason: "".into() });
    let key: &SecretKey = &rival.operate;
    assert!(matches!(world.does(rival.did, key, revoke), Err(Refusal::TooManyEnded { .. })));
}
