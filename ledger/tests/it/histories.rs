//! Random histories, checked after every step against a model that knows only what may never
//! happen: a key or device that ended coming back, a device laxer than its batch, a key that
//! the device did not sign for, an owner whose powers outlast what it owns.

use crate::network::{Batch, HOUR, Org, START, World, batch_of, ed25519, genesis, new_key};
use muster_identity::cbor::Decode;
use muster_identity::{Did, Inception, PublicKey, Recovery, SecretKey, Signer, sha256};
use muster_ledger::{
    AcceptTransfer, Action, BatchRecord, Block, CancelTransfer, Capabilities, Capability, Chain,
    ChangeKeys, Deactivate, DeviceRecord, GrantRecord, Hold, HoldId, HoldRecord, Leaf, Members,
    OfferId, OfferTransfer, OrganisationRecord, OversightRecord, Power, ProposalRecord,
    ProtocolRecord, Recover, Release, Retired, Revoke, RevokeKey, Rotate, Rules, SignedOperation,
    Standing, StateKey, Status, Target, Time, ValidatorSet, View,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One attempt: what, on which device, by whom, with which variation, how much later.
pub(crate) type Step = (u8, u8, u8, u8, u8);

pub(crate) fn steps(kinds: u8) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..kinds, 0..6u8, 0..8u8, 0..16u8, 0..60u8), 20..70)
}

pub(crate) struct History {
    world: World,
    batches: [Batch; 2],
    /// Seeds of every key a device ever had; the last is the present one.
    seeds: BTreeMap<Did, Vec<String>>,
    /// Keys that ended, by device, and those of the organisation.
    ended: BTreeSet<PublicKey>,
    org_ended: BTreeSet<PublicKey>,
    org_added: Vec<String>,
    worst: BTreeMap<Did, Status>,
    /// Who owns the batches, and the devices that left them.
    owners: [Did; 2],
    left: BTreeMap<Did, Did>,
    accepted: Vec<(Time, SignedOperation)>,
}

/// One of the holds on a target.
fn pick(standing: Option<&Standing>, n: u8) -> Option<&HoldRecord> {
    let holds = &standing?.holds;
    holds.get(usize::from(n) % holds.len().max(1))
}

/// Three devices, of which the last lets its owner recover it.
fn declared(world: &World, seed: &str) -> Batch {
    let rows = (0..3).map(|i| {
        let key = device_key(&format!("{seed} device {i}"));
        let recovery = (i == 2).then_some(Recovery::Owner);
        (Inception { recovery, ..Inception::from_key(key.public_key()) }, key)
    });
    batch_of(&world.network, &world.maker.did, world.grant, rows.collect())
}

/// Either kind of key by its seed, as `network::batch` gives them out.
fn device_key(seed: &str) -> SecretKey {
    let odd = seed.ends_with("device 1");
    if odd { crate::network::p256(seed) } else { ed25519(seed) }
}

impl History {
    pub(crate) fn new(mut world: World) -> Self {
        let make = |seed| declared(&world, seed);
        let batches = [make("one"), make("two")];
        let mut accepted = Vec::new();
        let mut seeds = BTreeMap::new();
        for (batch, name) in batches.iter().zip(["one", "two"]) {
            let enrol = Action::Enrol(batch.enrol.clone());
            let signed = world.sign(world.maker.did, &world.maker.enrol, enrol);
            world.applies(&signed).unwrap();
            accepted.push((world.time, signed));
            for i in 0..3 {
                let seed = format!("{name} device {i}");
                let key = device_key(&seed).public_key();
                let device = batch.devices.iter().find(|d| d.key.public_key() == key).unwrap();
                seeds.insert(device.did, vec![seed]);
            }
        }
        Self {
            world,
            batches,
            seeds,
            accepted,
            ended: BTreeSet::new(),
            org_ended: BTreeSet::new(),
            org_added: Vec::new(),
            worst: BTreeMap::new(),
            owners: [Org::new("maker").did; 2],
            left: BTreeMap::new(),
        }
    }

    /// The attempt as author, key and action.
    fn attempt(&self, (what, at, who, n, _): Step) -> (Did, SecretKey, Action) {
        let world = &self.world;
        let (maker, rival) = (Org::new("maker"), Org::new("rival"));
        let batch = &self.batches[usize::from(at) / 3];
        let device = &batch.devices[usize::from(at) % 3];
        let (did, seeds) = (device.did, &self.seeds[&device.did]);
        let record = world.state.device(&did).unwrap();
        let batch_record = world.state.batch(&batch.id).unwrap().unwrap();
        let whole = Target::Batch(batch.id);
        // Sometimes from memory, without the device part.
        let named = if n == 15 { device.alone() } else { device.with_part() };
        let target = Target::Device(named.clone());
        let off = u64::from(n == 14);
        let own = Org::new(self.named_owner(self.owner(&Target::Device(device.alone()))));
        let holder = Org::new(self.named_owner(self.owner(&whole)));
        let seq = world.device_seq(&did) + off;
        let hold = |target, power| {
            let until = (n % 3 != 0 || power == Power::Incident)
                .then(|| world.time.plus_ms(u64::from(n + 1) * 200 * HOUR));
            let seen = world.index.saturating_sub(u64::from(n % 4));
            Action::Hold(Hold {
                target,
                id: HoldId([n % 6; 16]),
                power,
                until,
                seen,
                reason: "".into(),
            })
        };
        let rotate = |seed: &str| {
            let key = new_key(&world.network, &did, seq, &device_key(seed));
            Action::Rotate(Rotate { device: named.clone(), seq, key, next_key: None })
        };
        let org_seq = world.state.organisation(&maker.did).unwrap().unwrap().seq + off;
        let add = |seed: &str| {
            let key = new_key(&world.network, &maker.did, org_seq, &ed25519(seed));
            let may = Capabilities::of(&[Capability::Operate, Capability::Gateway]);
            ChangeKeys { seq: org_seq, add: vec![(key, may)], remove: vec![] }
        };
        let any = |list: &[String]| list[usize::from(n) % list.len()].clone();
        let present = seeds.last().unwrap();
        let (author, key, action) = match what {
            0 => (own.did, own.operate, hold(target, Power::Owner)),
            1 => (maker.did, maker.gateway, hold(target, Power::Incident)),
            2 => (maker.did, maker.approve, hold(target, Power::Governance)),
            3 => {
                let standing = record.as_ref().map(|r| &r.standing);
                let placed = pick(standing, n);
                let (author, key) = match placed.map(|h| h.power) {
                    Some(Power::Incident) => (maker.did, maker.gateway),
                    Some(Power::Governance) => (maker.did, maker.approve),
                    _ => (own.did, own.operate),
                };
                let hold = placed.map_or(HoldId([n; 16]), |h| h.id);
                (author, key, Action::Release(Release { target, hold, seq }))
            }
            4 => (holder.did, holder.operate, hold(whole, Power::Owner)),
            5 => {
                let placed = pick(Some(&batch_record.standing), n);
                let hold = placed.map_or(HoldId([n; 16]), |h| h.id);
                let release = Release { target: whole, hold, seq: batch_record.seq + off };
                (holder.did, holder.operate, Action::Release(release))
            }
            6 | 7 => (did, device_key(present), rotate(&format!("{present}+{what}"))),
            8 => (did, device_key(present), rotate(&any(seeds))),
            9 => (did, device_key(&any(seeds)), rotate(&format!("{present}+9"))),
            10 => {
                let key = device_key(&any(seeds)).public_key();
                (own.did, own.operate, Action::RevokeKey(RevokeKey { device: named, key }))
            }
            11 => {
                let seed = format!("org {n}");
                (maker.did, maker.root, Action::ChangeKeys(add(&seed)))
            }
            12 if !self.org_added.is_empty() => {
                let mut change = add(&any(&self.org_added));
                if n % 2 == 0 {
                    change.remove.push(change.add.remove(0).0.key);
                }
                (maker.did, maker.root, Action::ChangeKeys(change))
            }
            12 | 13 => (did, device_key(present), Action::Deactivate(Deactivate { target })),
            14 => (own.did, own.operate, Action::Revoke(Revoke { target, reason: "".into() })),
            15 => (own.did, own.operate, Action::Deactivate(Deactivate { target })),
            16 => {
                let revoke = Revoke { target: whole, reason: "".into() };
                (holder.did, holder.operate, Action::Revoke(revoke))
            }
            17 => (holder.did, holder.operate, Action::Deactivate(Deactivate { target: whole })),
            18..22 => {
                // Batches change hands more seldom than devices.
                let (target, seq, offer, owner) = match n % 4 {
                    0 => (whole, batch_record.seq + off, &batch_record.offer, holder),
                    _ => {
                        let offer = record.as_ref().map_or(&None, |r| &r.offer);
                        (target, seq, offer, own)
                    }
                };
                let other = if owner.did == maker.did { rival } else { Org::new("maker") };
                let offer = offer.as_ref().map_or(OfferId([n; 32]), |o| o.id);
                let expires = world.time.plus_ms(u64::from(n + 1) * HOUR);
                match what {
                    18 | 19 => {
                        let to = other.did;
                        let action = OfferTransfer { target, to, seq, expires };
                        (owner.did, owner.operate, Action::OfferTransfer(action))
                    }
                    20 => {
                        let action = AcceptTransfer { target, offer };
                        (other.did, other.operate, Action::AcceptTransfer(action))
                    }
                    _ => {
                        let by = if n % 2 == 0 { owner } else { other };
                        let action = CancelTransfer { target, offer };
                        (by.did, by.operate, Action::CancelTransfer(action))
                    }
                }
            }
            _ => {
                let key = new_key(&world.network, &did, seq, &device_key(&format!("{present}+22")));
                let recover = Recover { device: named, seq, key, next_key: None };
                (own.did, own.operate, Action::Recover(recover))
            }
        };
        // Now and then the wrong author, or the wrong key in the right name.
        let rival = Org::new("rival");
        match who {
            0 => (rival.did, rival.operate, action),
            1 if !matches!(action, Action::ChangeKeys(_)) => (author, ed25519("thief"), action),
            _ => (author, key, action),
        }
    }

    fn named_owner(&self, owner: Did) -> &'static str {
        if owner == Org::new("rival").did { "rival" } else { "maker" }
    }

    /// Who owns a target, as far as what was accepted tells.
    fn owner(&self, target: &Target) -> Did {
        let place = |has: &dyn Fn(&Batch) -> bool| self.batches.iter().position(has).unwrap();
        match target {
            Target::Batch(id) => self.owners[place(&|b| b.id == *id)],
            Target::Device(device) => self.left.get(&device.did).copied().unwrap_or_else(|| {
                self.owners[place(&|b| b.devices.iter().any(|d| d.did == device.did))]
            }),
        }
    }

    /// What only an owner does was done by the owner of that moment.
    fn check_owner(&self, author: &Did, action: &Action) {
        let target = match action {
            Action::Hold(a) if a.power == Power::Owner => a.target.clone(),
            Action::Deactivate(a) => match &a.target {
                Target::Device(device) if device.did == *author => return,
                target => target.clone(),
            },
            Action::Revoke(_)
            | Action::RevokeKey(_)
            | Action::OfferTransfer(_)
            | Action::Recover(_) => action.target().unwrap(),
            _ => return,
        };
        assert_eq!(self.owner(&target), *author, "{} by whom it is none of", action.word());
    }

    /// One attempt and everything that must hold after it.
    pub(crate) fn step(&mut self, step: Step) {
        let before = self.world.state.clone();
        let (author, key, action) = self.attempt(step);
        let signed = self.world.sign(author, &key, action.clone());
        let Ok(verified) = signed.verify() else {
            assert!(matches!(action, Action::ChangeKeys(_)), "only a proof for another author");
            return;
        };
        let result = self.world.applies(&signed);
        if result.is_ok() {
            self.accepted.push((self.world.time, signed));
            self.check_owner(&author, &action);
            self.learn(&action, &author, verified.key());
        }
        self.check_keys(&before, &author, verified.key(), &action);
        self.check_standing();
        if result.is_ok() {
            self.check_records();
        }
        self.world.time = self.world.time.plus_ms(u64::from(step.4) * 60_000);
    }

    /// What an accepted action teaches the model.
    fn learn(&mut self, action: &Action, author: &Did, by: &PublicKey) {
        match action {
            Action::Rotate(a) => {
                let seeds = self.seeds.get_mut(&a.device.did).unwrap();
                self.ended.insert(*by);
                let next = [6, 7, 9].map(|n| format!("{}+{n}", seeds.last().unwrap()));
                let seed = next.into_iter().find(|s| device_key(s).public_key() == a.key.key);
                seeds.push(seed.expect("no other key was ever acceptable"));
            }
            Action::RevokeKey(a) => {
                self.ended.insert(a.key);
            }
            Action::ChangeKeys(a) => {
                self.org_ended.extend(&a.remove);
                for (key, _) in &a.add {
                    assert!(!self.org_ended.contains(&key.key), "a removed key returned");
                    let seed = (0..16).map(|n| format!("org {n}"));
                    let seed = seed.into_iter().find(|s| ed25519(s).public_key() == key.key);
                    self.org_added.push(seed.unwrap());
                }
            }
            Action::Recover(a) => {
                let seeds = self.seeds.get_mut(&a.device.did).unwrap();
                let present = seeds.last().unwrap();
                self.ended.insert(device_key(present).public_key());
                let next = format!("{present}+22");
                seeds.push(next);
            }
            Action::AcceptTransfer(a) => match &a.target {
                Target::Device(device) => drop(self.left.insert(device.did, *author)),
                Target::Batch(id) => {
                    let place = self.batches.iter().position(|b| b.id == *id).unwrap();
                    self.owners[place] = *author;
                }
            },
            Action::Revoke(a) => self.ends(&a.target, Status::Revoked),
            Action::Deactivate(a) => self.ends(&a.target, Status::Deactivated),
            _ => {}
        }
    }

    fn ends(&mut self, target: &Target, with: Status) {
        let devices =
            self.batches.iter().flat_map(|b| b.devices.iter().map(move |d| (b.id, d.did)));
        for (batch, did) in devices {
            let concerned = match target {
                Target::Device(device) => device.did == did,
                Target::Batch(id) => *id == batch && !self.left.contains_key(&did),
            };
            if concerned {
                let worst = self.worst.entry(did).or_insert(with);
                *worst = (*worst).max(with);
            }
        }
    }

    /// Sovereign, and monotonic for keys.
    fn check_keys(&self, before: &impl View, author: &Did, by: &PublicKey, action: &Action) {
        for did in self.seeds.keys() {
            let new = self.world.state.device(did).unwrap();
            let old = before.device(did).unwrap();
            assert!(new.is_some() || old.is_none(), "a record never goes");
            let Some(new) = new else { continue };
            let first = device_key(&self.seeds[did][0]).public_key();
            let now = new.key.given(first);
            assert!(now.is_none_or(|key| !self.ended.contains(&key)), "an ended key is back");
            for ended in old.iter().flat_map(|r| &r.retired) {
                assert!(
                    new.retired
                        .iter()
                        .any(|k| k.key == ended.key && k.why as u8 >= ended.why as u8)
                );
            }
            let had = old.as_ref().map_or(Some(first), |r| r.key.given(first));
            if now != had && now.is_some() {
                let by_owner = match action {
                    Action::Recover(a) => a.device.did == *did && self.may_recover(did),
                    _ => false,
                };
                let rotated = matches!(action, Action::Rotate(a) if a.device.did == *did);
                let by_device = rotated && author == did && had == Some(*by);
                assert!(by_device || by_owner, "not by the device, nor as it declared");
                if by_owner {
                    assert_eq!(new.retired.last().map(|k| k.why), Some(Retired::Recovered));
                }
            }
            assert!(old.is_none_or(|r| r.seq == new.seq || r.seq + 1 == new.seq));
        }
        let keys = self.world.state.organisation(&Org::new("maker").did).unwrap().unwrap().keys;
        assert!(keys.iter().all(|k| !self.org_ended.contains(&k.key)), "a removed key is back");
    }

    /// Whether the device declared that its owner may.
    fn may_recover(&self, did: &Did) -> bool {
        let all = self.batches.iter().flat_map(|b| &b.devices);
        let part = &all.into_iter().find(|d| d.did == *did).unwrap().part;
        Leaf::from_cbor(&part.leaf).unwrap().inception.recovery == Some(Recovery::Owner)
    }

    fn check_standing(&self) {
        for batch in &self.batches {
            let record = self.world.state.batch(&batch.id).unwrap().unwrap();
            for device in &batch.devices {
                // Now, and at the end of all times.
                for time in [self.world.time, Time(u64::MAX)] {
                    let own = self.world.state.device(&device.did).unwrap();
                    let status = muster_ledger::status(own.as_ref(), &record, time);
                    let of_batch = record.standing.at(time);
                    let left = self.left.contains_key(&device.did);
                    assert!(left || status >= of_batch, "laxer than its batch");
                    let worst = self.worst.get(&device.did).copied().unwrap_or(Status::Active);
                    assert!(status >= worst, "{worst} and then {status}");
                }
            }
        }
    }

    /// Whatever apply writes can be read again.
    fn check_records(&self) {
        for (key, value) in self.world.state.iter() {
            let readable = match key {
                StateKey::Rules => Rules::from_cbor(value).is_ok(),
                StateKey::Validators => ValidatorSet::from_cbor(value).is_ok(),
                StateKey::Organisation(_) => OrganisationRecord::from_cbor(value).is_ok(),
                StateKey::Grant(_) => GrantRecord::from_cbor(value).is_ok(),
                StateKey::Batch(_) => BatchRecord::from_cbor(value).is_ok(),
                StateKey::Device(_) => DeviceRecord::from_cbor(value).is_ok(),
                StateKey::Key(_) => Did::from_cbor(value).is_ok(),
                StateKey::Protocol => ProtocolRecord::from_cbor(value).is_ok(),
                StateKey::Oversight(_) => OversightRecord::from_cbor(value).is_ok(),
                StateKey::Proposal(_) => ProposalRecord::from_cbor(value).is_ok(),
                StateKey::Members => Members::from_cbor(value).is_ok(),
            };
            assert!(readable, "{key:?}");
        }
    }
}

/// A world that a chain can replay: without the rival.
pub(crate) fn alone() -> World {
    World { state: genesis(1).state(), ..World::new() }
}

/// Puts the operations into blocks of these sizes, over and over.
pub(crate) fn replay(history: &History, sizes: &[usize]) -> Chain {
    let mut chain = Chain::new(&genesis(1));
    let mut operations = history.accepted.iter().map(|(_, signed)| signed.clone()).peekable();
    let mut sizes = sizes.iter().cycle();
    while operations.peek().is_some() {
        let operations: Vec<_> = operations.by_ref().take(*sizes.next().unwrap()).collect();
        let (height, time) = (chain.height() + 1, chain.time().plus_ms(1));
        chain = chain.extend(&Block { height, time, operations }).unwrap().0;
    }
    chain
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Time passes, everybody tries everything.
    #[test]
    fn nothing_that_ended_comes_back(steps in steps(16)) {
        let mut history = History::new(World::new());
        steps.into_iter().for_each(|step| history.step(step));
        // The same operations at the same times: the same root.
        let mut again = World::new();
        for (time, signed) in &history.accepted {
            again.time = *time;
            prop_assert!(again.applies(signed).is_ok());
        }
        prop_assert_eq!(again.state.root(), history.world.state.root());
    }

    /// As above, with batches that end.
    #[test]
    fn nor_does_anything_of_a_batch_that_ended(steps in steps(18)) {
        let mut history = History::new(World::new());
        steps.into_iter().for_each(|step| history.step(step));
        prop_assert!(history.accepted.len() >= 2);
    }

    /// As above, with devices and batches that change hands, and devices that lose their keys.
    #[test]
    fn nor_does_an_owner_that_gave_it_away(steps in steps(23)) {
        let mut history = History::new(World::new());
        // A device leaves, and the batch of others changes hands; then everybody tries everything.
        for (at, n) in [(0, 1), (3, 0)] {
            history.step((18, at, 2, n, 0));
            history.step((20, at, 2, n, 0));
        }
        prop_assert_eq!((history.left.len(), history.owners[0] != history.owners[1]), (1, true));
        steps.into_iter().for_each(|step| history.step(step));
        let owners = [&history.batches[0], &history.batches[1]]
            .map(|b| history.world.state.batch(&b.id).unwrap().unwrap().owner);
        prop_assert_eq!(owners, history.owners);
    }

    #[test]
    fn blocks_do_not_matter_to_the_state(
        steps in steps(16),
        sizes in prop::collection::vec(1usize..9, 1..6),
    ) {
        let mut history = History::new(alone());
        for (what, at, who, n, _) in steps {
            history.step((what, at, who, n, 0));
        }
        let chains = [vec![1], vec![1_000], sizes.clone(), sizes].map(|sizes| replay(&history, &sizes));
        for chain in &chains {
            prop_assert_eq!(chain.state().root(), history.world.state.root());
            prop_assert_eq!(chain.size(), history.accepted.len() as u64);
        }
        prop_assert_eq!(chains[2].head(START), chains[3].head(START), "replay");
    }
}

/// The random histories are not vacuous: most kinds of action are accepted at some time.
#[test]
fn a_long_history_does_everything() {
    let mut history = History::new(World::new());
    // What is held for long does nothing: it is released as often as it is held.
    const KINDS: [u8; 25] =
        [0, 1, 2, 3, 3, 3, 4, 5, 5, 5, 5, 6, 6, 7, 8, 9, 10, 11, 12, 18, 19, 20, 20, 20, 21];
    for n in 0..900u32 {
        let random = sha256(&[&n.to_be_bytes()]);
        // What ends things comes last.
        let what = match n {
            0..800 => KINDS[usize::from(random[0]) % KINDS.len()],
            _ => random[0] % 23,
        };
        history.step((what, random[1] % 6, random[2] % 8, random[3] % 16, random[4] % 60));
    }
    let words: BTreeSet<&str> = history
        .accepted
        .iter()
        .map(|(_, signed)| signed.verify().unwrap().operation().action.word())
        .collect();
    let all = [
        "accept-transfer",
        "cancel-transfer",
        "change-keys",
        "deactivate",
        "enrol",
        "hold",
        "offer-transfer",
        "recover",
        "release",
        "revoke",
        "revoke-key",
        "rotate",
    ];
    assert_eq!(words.into_iter().collect::<Vec<_>>(), all);
}
