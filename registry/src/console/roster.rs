//! Batches by their age, and which of their devices do not stand as the batch does: so that counts
//! are there when they are asked for, and lists by standing need no walk over the state. In
//! memory, by the newest signed head.

use crate::Error;
use crate::claims::Claim;
use crate::overview::record;
use muster_api::StateCounts;
use muster_identity::Did;
use muster_ledger::{
    BatchId, BatchRecord, DeviceRecord, Standing, State, StateKey, Status, Time, View as _,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds as _};

/// Names in their order.
pub(crate) type Names = BTreeSet<Claim>;

/// A batch of the ledger.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    /// Its number in the store; none while its leaves are lost.
    pub(crate) number: Option<u64>,
    pub(crate) owner: Did,
    pub(crate) model: String,
    pub(crate) count: u64,
    pub(crate) status: Status,
    /// Devices that are held, revoked, deactivated by themselves.
    own: [Names; 3],
    /// Devices that left it by a transfer, and whose they are: neither its owner nor its standing
    /// is theirs.
    left: BTreeMap<Claim, Did>,
    /// How many those are, by their standing.
    left_by: StateCounts,
}

/// Which devices of a batch have a standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    None,
    /// All but those that are stricter by themselves than this.
    AllBut(Status),
    /// Those that are so by themselves.
    Own(Status),
    /// Whatever their standing.
    All,
}

const STRICTER: [Status; 3] = [Status::Held, Status::Revoked, Status::Deactivated];

fn number(counts: &mut StateCounts, status: Status) -> &mut u64 {
    match status {
        Status::Active => &mut counts.active,
        Status::Held => &mut counts.held,
        Status::Revoked => &mut counts.revoked,
        Status::Deactivated => &mut counts.deactivated,
    }
}

impl Batch {
    fn of(id: BatchId, record: BatchRecord, number: Option<u64>, time: Time) -> Self {
        let BatchRecord { owner, model, count, .. } = record;
        let status = record.standing.at(time);
        let (own, left, left_by) = Default::default();
        Self { id, number, owner, model, count, status, own, left, left_by }
    }

    /// Its devices that are so by themselves.
    pub(crate) fn own(&self, status: Status) -> Option<&Names> {
        let at = STRICTER.iter().position(|s| *s == status)?;
        self.own.get(at)
    }

    fn own_status(&self, name: &Claim) -> Status {
        let own = STRICTER.iter().zip(&self.own).find(|(_, names)| names.contains(name));
        own.map_or(Status::Active, |(status, _)| *status)
    }

    fn set(&mut self, name: Claim, status: Status, left: Option<Did>) {
        if self.left.contains_key(&name) {
            let before = self.own_status(&name);
            *number(&mut self.left_by, before) -= 1;
        }
        if let Some(owner) = left {
            self.left.insert(name, owner);
            *number(&mut self.left_by, status) += 1;
        }
        for (names, of) in self.own.iter_mut().zip(STRICTER) {
            if of == status {
                names.insert(name);
            } else {
                names.remove(&name);
            }
        }
    }

    /// A device's standing.
    pub(crate) fn status_of(&self, name: &Claim) -> Status {
        let own = self.own_status(name);
        if self.left.contains_key(name) { own } else { self.status.max(own) }
    }

    /// Its devices by their standing.
    pub(crate) fn tally(&self) -> StateCounts {
        let mut counts = self.left_by;
        let mut left = self.left_by;
        let mut rest = self.count.saturating_sub(self.left.len() as u64);
        for (names, of) in self.own.iter().zip(STRICTER) {
            let devices = (names.len() as u64 - *number(&mut left, of)).min(rest);
            rest -= devices;
            *number(&mut counts, self.status.max(of)) += devices;
        }
        *number(&mut counts, self.status) += rest;
        counts
    }

    pub(crate) fn within(&self, state: Option<Status>) -> Within {
        match state {
            None => Within::All,
            // Below the batch's there are only those that left it.
            Some(state) if state < self.status => match *number(&mut { self.left_by }, state) {
                0 => Within::None,
                _ if state == Status::Active => Within::AllBut(state),
                _ => Within::Own(state),
            },
            Some(state) if state == self.status => Within::AllBut(state),
            Some(state) => Within::Own(state),
        }
    }

    /// How many devices have a standing.
    pub(crate) fn count_of(&self, state: Option<Status>) -> u64 {
        let tally = &mut self.tally();
        state.map_or(self.count, |state| *number(tally, state))
    }

    /// How many of an owner have a standing; none: of whatever owner.
    pub(crate) fn count_for(&self, state: Option<Status>, owner: Option<Did>) -> u64 {
        let Some(owner) = owner.filter(|_| !self.left.is_empty()) else {
            return self.count_of(state);
        };
        let others = |(name, of): (&Claim, &Did)| {
            *of != owner && state.is_none_or(|state| self.own_status(name) == state)
        };
        let not_his = self.left.iter().filter(|entry| others(*entry)).count() as u64;
        let left = match state {
            Some(state) => *number(&mut { self.left_by }, state),
            None => self.left.len() as u64,
        };
        let within = if self.owner == owner { self.count_of(state) - left } else { 0 };
        within + left - not_his
    }

    /// How many ended for good.
    pub(crate) fn ended(&self) -> u64 {
        let tally = self.tally();
        tally.revoked + tally.deactivated
    }
}

/// Which batches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Which {
    pub(crate) model: Option<String>,
    pub(crate) owner: Option<Did>,
    pub(crate) batch: Option<BatchId>,
    pub(crate) state: Option<Status>,
}

impl Which {
    /// Whether devices of a batch may be among them.
    pub(crate) fn admits(&self, batch: &Batch) -> bool {
        self.model.as_ref().is_none_or(|model| *model == batch.model)
            && self.batch.is_none_or(|id| id == batch.id)
            && self.owner.is_none_or(|owner| owner == batch.owner || !batch.left.is_empty())
            && batch.count_for(self.state, self.owner) > 0
    }
}

/// All batches.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// Log entries that it is of.
    pub(crate) size: u64,
    /// When its head was signed.
    pub(crate) time: Time,
    /// By the place of their enrolment in the log.
    batches: BTreeMap<u64, Batch>,
    places: BTreeMap<BatchId, u64>,
    /// By their number in the store.
    numbers: BTreeMap<u64, u64>,
    /// Devices by standing, by model.
    pub(crate) models: BTreeMap<String, StateCounts>,
    /// Holds of devices and batches that end by themselves.
    until: BTreeSet<(Time, StateKey)>,
}

/// The next end of a hold.
fn next_end(standing: &Standing, time: Time) -> Option<Time> {
    standing.holds.iter().filter_map(|hold| hold.until).filter(|until| *until > time).min()
}

impl Roster {
    /// What a state says.
    pub(crate) fn of(
        state: &State,
        numbers: &BTreeMap<BatchId, u64>,
        size: u64,
        time: Time,
    ) -> Result<Self, Error> {
        let mut all = Self { size, time, ..Self::default() };
        for (key, bytes) in state.iter() {
            if let StateKey::Batch(id) = key {
                all.put_batch(id, record(bytes)?, numbers.get(&id).copied());
            }
        }
        for (key, bytes) in state.iter() {
            if let StateKey::Device(did) = key {
                all.put_device(did, record(bytes)?);
            }
        }
        Ok(all)
    }

    /// Batches with the places of their enrolments, newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (u64, &Batch)> {
        self.batches.iter().rev().map(|(entry, batch)| (*entry, batch))
    }

    fn put_batch(&mut self, id: BatchId, record: BatchRecord, number: Option<u64>) {
        let (entry, time) = (record.entry, self.time);
        if let Some(end) = next_end(&record.standing, time) {
            self.until.insert((end, StateKey::Batch(id)));
        }
        self.places.insert(id, entry);
        if let Some(number) = number {
            self.numbers.insert(number, entry);
        }
        self.changing(entry, |batches| match batches.get_mut(&entry) {
            Some(batch) => {
                batch.status = record.standing.at(time);
                batch.owner = record.owner;
                batch.number = batch.number.or(number);
            }
            None => {
                batches.insert(entry, Batch::of(id, record, number, time));
            }
        });
    }

    fn put_device(&mut self, did: Did, record: DeviceRecord) {
        let time = self.time;
        if let Some(end) = next_end(&record.standing, time) {
            self.until.insert((end, StateKey::Device(did)));
        }
        let Some(entry) = self.places.get(&record.batch).copied() else { return };
        self.changing(entry, |batches| {
            if let Some(batch) = batches.get_mut(&entry) {
                let left = record.left.map(|left| left.owner);
                batch.set(Claim::of_did(&did), record.standing.at(time), left);
            }
        });
    }

    /// Changes a batch, and the numbers of its model with it.
    fn changing(&mut self, entry: u64, change: impl FnOnce(&mut BTreeMap<u64, Batch>)) {
        let count = |batch: Option<&Batch>| batch.map(|batch| batch.tally()).unwrap_or_default();
        let before = count(self.batches.get(&entry));
        change(&mut self.batches);
        let Some(batch) = self.batches.get(&entry) else { return };
        let after = count(Some(batch));
        let model = match self.models.get_mut(&batch.model) {
            Some(model) => model,
            None => self.models.entry(batch.model.clone()).or_default(),
        };
        for status in [Status::Active].into_iter().chain(STRICTER) {
            let (mut before, mut after) = (before, after);
            let all = number(model, status);
            *all = (*all + *number(&mut after, status)) - *number(&mut before, status);
        }
    }

    /// Reads records anew that changed, and those whose hold ended, by a later head.
    pub(crate) fn follow(
        &mut self,
        state: &State,
        mut changed: BTreeSet<StateKey>,
        numbers: &BTreeMap<BatchId, u64>,
        (size, time): (u64, Time),
    ) -> Result<(), Error> {
        (self.size, self.time) = (size, time);
        while let Some(first) = self.until.first().copied().filter(|(until, _)| *until <= time) {
            self.until.remove(&first);
            changed.insert(first.1);
        }
        // Batches come before devices in the order of keys.
        for key in changed {
            match key {
                StateKey::Batch(id) => {
                    let found = state.batch(&id).map_err(Error::damaged)?;
                    let number = numbers.get(&id).copied();
                    if let Some(record) = found {
                        self.put_batch(id, record, number);
                    }
                }
                StateKey::Device(did) => {
                    let found = state.device(&did).map_err(Error::damaged)?;
                    if let Some(record) = found {
                        self.put_device(did, record);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The leaves of a batch came back.
    pub(crate) fn found(&mut self, id: &BatchId, number: u64) {
        let Some(entry) = self.places.get(id).copied() else { return };
        if let Some(batch) = self.batches.get_mut(&entry) {
            batch.number = Some(number);
            self.numbers.insert(number, entry);
        }
    }

    /// How many batches there are.
    pub(crate) fn len(&self) -> u64 {
        self.batches.len() as u64
    }

    /// The batch that was enrolled by an entry.
    pub(crate) fn at(&self, entry: u64) -> Option<&Batch> {
        self.batches.get(&entry)
    }

    /// A batch and its place.
    pub(crate) fn batch(&self, id: &BatchId) -> Option<(u64, &Batch)> {
        let entry = *self.places.get(id)?;
        Some((entry, self.batches.get(&entry)?))
    }

    /// The place of the live batch with a number.
    pub(crate) fn place_of(&self, number: u64) -> Option<u64> {
        self.numbers.get(&number).copied()
    }

    /// The newest batch of some below a place, or at it if it is included.
    pub(crate) fn next(&self, which: &Which, below: Bound<u64>) -> Option<(u64, &Batch)> {
        if let Some(id) = &which.batch {
            let found = self.batch(id).filter(|(_, batch)| which.admits(batch))?;
            return (Bound::Unbounded, below).contains(&found.0).then_some(found);
        }
        let mut down = self.batches.range((Bound::Unbounded, below)).rev();
        down.find(|(_, batch)| which.admits(batch)).map(|(entry, batch)| (*entry, batch))
    }

    /// Batches from a place of the log on, the newest first.
    pub(crate) fn since(&self, entry: u64) -> impl Iterator<Item = u64> + use<'_> {
        self.batches.range(entry..).rev().map(|(entry, _)| *entry)
    }

    /// All batches of some, the newest first.
    pub(crate) fn all<'a>(
        &'a self,
        which: &'a Which,
    ) -> impl Iterator<Item = (u64, &'a Batch)> + use<'a> {
        let mut below = Bound::Unbounded;
        std::iter::from_fn(move || {
            let (entry, batch) = self.next(which, below)?;
            below = Bound::Excluded(entry);
            Some((entry, batch))
        })
    }

    /// How many devices some batches hold in the standing that is asked for.
    pub(crate) fn total(&self, which: &Which) -> u64 {
        self.all(which).map(|(_, batch)| batch.count_for(which.state, which.owner)).sum()
    }
}
