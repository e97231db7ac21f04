//! Finding devices. An index proposes devices in its order, each is then read and judged by the
//! newest signed head; so what an index says too much, or not yet, makes no answer wrong.

use super::cursor::{At, Cursor, Phase};
use super::limits::{BATCH_LOOKS, GATHERED, LOOKED_AT, TOGETHER};
use super::query::{Candidate, Found, Query};
use super::roster::Within;
use crate::Error;
use crate::claims::Claim;
use crate::node::{Node, Published};
use muster_api::Problem;
use muster_identity::Did;
use muster_ledger::{BatchId, BatchRecord, Leaf, View as _, status};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A piece of an index.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) candidates: Vec<Candidate>,
    /// Where the next one begins; none: the phase is over.
    pub(super) next: Option<Cursor>,
    /// Rows that were read for it.
    pub(super) looked: u64,
}

/// What was found, and where to go on.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) found: Vec<Found>,
    pub(super) next: Option<Cursor>,
    /// It was found by reading all that there is.
    pub(super) all: bool,
}

/// Which part of a batch comes next.
struct Part {
    entry: u64,
    /// None: its leaves are not here.
    number: Option<u64>,
    within: Within,
    /// Names of [`Within::Own`].
    names: Vec<Claim>,
}

/// A search at work, under one head.
pub(super) struct Search<'a> {
    pub(super) node: &'a Node,
    pub(super) published: Arc<Published>,
    pub(super) query: &'a Query,
    /// Places of the batches in which a lot may be, descending, and the lot.
    lot: Option<(String, Vec<u64>)>,
    batches: BTreeMap<u64, Option<(BatchId, Arc<BatchRecord>)>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(node: &'a Node, query: &'a Query) -> Result<Self, Error> {
        let published = node.published()?;
        Ok(Self { node, published, query, lot: None, batches: BTreeMap::new() })
    }

    /// Devices behind a place, so many at most.
    pub(super) async fn walk(
        &mut self,
        from: Option<Cursor>,
        limit: usize,
        looks: u64,
    ) -> Result<Walked, Problem> {
        let phases = self.query.phases();
        let Some(first) = phases.first().copied() else {
            return Ok(Walked { all: true, ..Walked::default() });
        };
        if self.query.text.is_some()
            && self.node.console.roster().total(&self.query.which) <= GATHERED
        {
            return self.gather(from, limit).await;
        }
        let mut cursor = from.unwrap_or(Cursor::start(first));
        let mut walked = Walked::default();
        let (mut looked, mut want) = (0, (limit + 1).clamp(32, TOGETHER));
        loop {
            let piece = match phases.contains(&cursor.0) {
                true => self.piece(&cursor, want).await?,
                false => Piece::default(),
            };
            looked += piece.looked;
            let proposed = piece.candidates.len();
            let before = walked.found.len();
            for found in self.read(piece.candidates).await? {
                if self.query.place(&found)?.as_ref() != Some(&found.at) {
                    continue;
                }
                if walked.found.len() == limit {
                    walked.next = walked.found.last().map(|last| last.at.clone());
                    return Ok(walked);
                }
                walked.found.push(found);
            }
            // Few of many fit: larger pieces, fewer statements.
            if (walked.found.len() - before) * 4 < proposed {
                want = (want * 2).min(TOGETHER);
            }
            let next = piece.next.or_else(|| {
                let after = phases.iter().find(|phase| **phase > cursor.0)?;
                Some(Cursor::start(*after))
            });
            let Some(next) = next else {
                walked.all = true;
                return Ok(walked);
            };
            cursor = next;
            if looked >= looks {
                walked.next = Some(cursor);
                return Ok(walked);
            }
        }
    }

    /// Few devices are read all, whatever the text, and put in the order of its phases.
    async fn gather(&mut self, from: Option<Cursor>, limit: usize) -> Result<Walked, Problem> {
        let mut all = Vec::new();
        let mut cursor = Some(Cursor::start(Phase::Batches));
        while let Some(at) = cursor {
            let piece = self.piece(&at, TOGETHER).await?;
            for mut found in self.read(piece.candidates).await? {
                if let Some(place) = self.query.place(&found)? {
                    found.at = place;
                    all.push(found);
                }
            }
            cursor = piece.next;
        }
        all.sort_by(|a, b| a.at.cmp(&b.at));
        let known = from.map_or(0, |from| all.partition_point(|found| found.at <= from));
        let mut found = all.split_off(known);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().map(|last| last.at.clone()).filter(|_| more);
        Ok(Walked { all: next.is_none(), found, next })
    }

    async fn piece(&mut self, from: &Cursor, want: usize) -> Result<Piece, Problem> {
        match from.0 {
            Phase::Batches | Phase::Lot => self.by_batch(from, want).await,
            Phase::Serials => self.by_serial(&from.1, want).await,
            Phase::Dids => self.by_did(&from.1, want).await,
            Phase::Keys => self.by_key(&from.1, want).await,
        }
    }

    async fn by_batch(&mut self, from: &Cursor, want: usize) -> Result<Piece, Problem> {
        let phase = from.0;
        let lot = self.query.lot_of(phase).map(String::from);
        if let Some(lot) = &lot {
            self.find_lot(lot).await?;
        }
        let (mut below, mut after) = match &from.1 {
            At::Batch(entry, name) => (Bound::Included(entry.0), Some((entry.0, *name))),
            _ => (Bound::Unbounded, None),
        };
        let mut piece = Piece::default();
        loop {
            let count = want - piece.candidates.len();
            let Some(part) = self.part(below, after, count) else { return Ok(piece) };
            let entry = part.entry;
            let behind = after.filter(|(of, _)| *of == entry).map(|(_, name)| name);
            let (names, full) = self.names(&part, lot.as_deref(), behind, count).await?;
            piece.looked += BATCH_LOOKS + names.0;
            let last = names.1;
            for (name, leaf) in names.2 {
                let at = Cursor(phase, At::Batch(Reverse(entry), name));
                piece.candidates.push(Candidate { entry, name, leaf, at });
            }
            // Behind the last name that was read, or behind all of the batch.
            let last = last.filter(|_| full).unwrap_or(Claim([0xff; 16]));
            if piece.candidates.len() >= want || piece.looked >= LOOKED_AT {
                piece.next = Some(Cursor(phase, At::Batch(Reverse(entry), last)));
                return Ok(piece);
            }
            match full {
                true => (below, after) = (Bound::Included(entry), Some((entry, last))),
                false => (below, after) = (Bound::Excluded(entry), None),
            }
        }
    }

    /// Where a lot may be.
    async fn find_lot(&mut self, lot: &str) -> Result<(), Error> {
        if self.lot.as_ref().is_some_and(|(known, _)| known == lot) {
            return Ok(());
        }
        let mut places = BTreeSet::new();
        let mut done = 0;
        if let (Some(index), Some(organisation)) =
            (self.node.console.index(), &self.query.organisation)
        {
            // Before the question: what comes meanwhile is looked through twice at most.
            let upto = index.done();
            let batches = index.lot_batches(organisation, lot).await;
            if let Some(batches) = self.node.console.said(&self.node.folder, batches) {
                done = upto;
                places.extend(batches.into_iter().map(|(entry, _)| entry));
            }
        }
        places.extend(self.node.console.roster().since(done));
        self.lot = Some((lot.into(), places.into_iter().rev().collect()));
        Ok(())
    }

    /// The next batch that may hold devices of the search.
    fn part(&self, below: Bound<u64>, after: Option<(u64, Claim)>, count: usize) -> Option<Part> {
        let roster = self.node.console.roster();
        let which = &self.query.which;
        let (entry, batch) = match &self.lot {
            None => roster.next(which, below)?,
            Some((_, places)) => {
                let first = places.partition_point(|place| match below {
                    Bound::Included(below) => *place > below,
                    Bound::Excluded(below) => *place >= below,
                    Bound::Unbounded => false,
                });
                places.get(first..)?.iter().find_map(|place| {
                    roster.at(*place).filter(|batch| which.admits(batch)).map(|b| (*place, b))
                })?
            }
        };
        let within = batch.within(which.state);
        let mut names = Vec::new();
        if let (Within::Own(status), None) = (within, &self.lot)
            && let Some(own) = batch.own(status)
        {
            let behind = after.filter(|(of, _)| *of == entry).map(|(_, name)| name);
            let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
            names.extend(own.range((from, Bound::Unbounded)).take(count));
        }
        Some(Part { entry, number: batch.number, within, names })
    }

    /// Devices of a batch behind a name: how many rows were read, the last name of them, and those
    /// that may belong to the search; and whether there may be more.
    async fn names(
        &self,
        part: &Part,
        lot: Option<&str>,
        behind: Option<Claim>,
        count: usize,
    ) -> Result<((u64, Option<Claim>, Vec<(Claim, Option<Vec<u8>>)>), bool), Problem> {
        let Some(number) = part.number else { return Ok(((0, None, Vec::new()), false)) };
        let read: Vec<(Claim, Option<Vec<u8>>, bool)> = match (lot, &self.query.organisation) {
            (Some(lot), Some(organisation)) => {
                let console = &self.node.console;
                let names = match console.index().filter(|index| part.entry < index.done()) {
                    Some(index) => {
                        let names = index.lot_names(organisation, lot, part.entry, behind, count);
                        console.said(&self.node.folder, names.await)
                    }
                    None => None,
                };
                match names {
                    Some(names) => names.into_iter().map(|name| (name, None, true)).collect(),
                    // The index is not so far, or fails: every leaf is looked at.
                    None => {
                        let page = self.node.store.listed(number, behind, TOGETHER as u64).await?;
                        let ours = |of: &(Did, String)| of.0 == *organisation && of.1 == lot;
                        let one = |l: crate::store::ListedLeaf| {
                            let fits = l.lot.as_ref().is_some_and(ours);
                            (l.name, Some(l.leaf), fits)
                        };
                        let full = page.len() == TOGETHER;
                        let page: Vec<_> = page.into_iter().map(one).collect();
                        return Ok((self.fitting(part, page), full));
                    }
                }
            }
            _ if matches!(part.within, Within::Own(_)) => {
                part.names.iter().map(|name| (*name, None, true)).collect()
            }
            _ => {
                let page = self.node.store.leaves(number, behind, count as u64).await?;
                page.into_iter().map(|row| (row.name, Some(row.leaf), true)).collect()
            }
        };
        let full = read.len() == count;
        Ok((self.fitting(part, read), full))
    }

    /// Of the rows that were read, those whose standing fits.
    #[expect(clippy::type_complexity, reason = "as above")]
    fn fitting(
        &self,
        part: &Part,
        read: Vec<(Claim, Option<Vec<u8>>, bool)>,
    ) -> (u64, Option<Claim>, Vec<(Claim, Option<Vec<u8>>)>) {
        let (looked, last) = (read.len() as u64, read.last().map(|(name, ..)| *name));
        let roster = self.node.console.roster();
        let batch = roster.at(part.entry);
        let state = self.query.which.state;
        let stands = |name: &Claim| {
            state.is_none_or(|state| batch.is_some_and(|batch| batch.status_of(name) == state))
        };
        let fits = read.into_iter().filter(|(name, _, fits)| *fits && stands(name));
        (looked, last, fits.map(|(name, leaf, _)| (name, leaf)).collect())
    }

    /// Reads candidates; those that do not belong to the search are left out.
    async fn read(&mut self, candidates: Vec<Candidate>) -> Result<Vec<Found>, Problem> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let store = &self.node.store;
        let missing: Vec<(u64, Claim)> = {
            let roster = self.node.console.roster();
            let number = |c: &Candidate| Some((roster.at(c.entry)?.number?, c.name));
            candidates.iter().filter(|c| c.leaf.is_none()).filter_map(number).collect()
        };
        let mut leaves = BTreeMap::new();
        if !missing.is_empty() {
            let rows = store.leaves_of(missing).await?;
            leaves.extend(rows.into_iter().map(|row| (row.name, row.leaf)));
        }
        let mut private = BTreeMap::new();
        if let Some(organisation) = self.query.organisation {
            let names = candidates.iter().map(|c| c.name).collect();
            private = store.private(organisation, names).await?;
        }
        let time = self.published.checkpoint.head().time;
        let mut all = Vec::with_capacity(candidates.len());
        for Candidate { entry, name, leaf, at } in candidates {
            // A claim without a leaf is that of a key.
            let Some(leaf) = leaf.or_else(|| leaves.remove(&name)) else { continue };
            let Some((batch_id, batch)) = self.batch(entry)? else { continue };
            let did = Leaf::did_in(&leaf).map_err(Error::damaged)?;
            let record = self.published.chain.state().device(&did)?;
            let status = status(record.as_ref(), &batch, time);
            let (serial, lot) = match private.get(&name).cloned() {
                Some((serial, lot)) => (Some(serial), lot),
                None => (None, None),
            };
            let found = Found { batch_id, batch, did, name, leaf, record, status, serial, lot, at };
            if self.query.admits(&found) {
                all.push(found);
            }
        }
        Ok(all)
    }

    /// The batch that an entry enrolled, under this head.
    fn batch(&mut self, entry: u64) -> Result<Option<(BatchId, Arc<BatchRecord>)>, Problem> {
        if let Some(known) = self.batches.get(&entry) {
            return Ok(known.clone());
        }
        let id = self.node.console.roster().at(entry).map(|batch| batch.id);
        let found = match id {
            Some(id) => self.published.chain.state().batch(&id)?.map(|b| (id, Arc::new(b))),
            None => None,
        };
        self.batches.insert(entry, found.clone());
        Ok(found)
    }
}
