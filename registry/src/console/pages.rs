//! Pages of devices, exports, selections.

use super::asking::{DeviceSearch, Selection};
use super::cursor::Cursor;
use super::limits::{EXPORTED, LOOKED_AT};
use super::query::{Found, Query};
use super::search::Search;
use crate::Registry;
use crate::node::{Node, Published};
use muster_api::{DevicePage, DeviceRow, Problem, limits};
use muster_identity::Did;
use muster_ledger::{BatchId, Status};
use std::collections::BTreeMap;

/// All devices of a search, page by page, each under the head of its time. Devices that are
/// enrolled meanwhile may be missing; none comes twice.
pub struct Export {
    registry: Registry,
    query: Query,
    /// Where it goes on; none: it is over.
    next: Option<Option<Cursor>>,
}

impl Export {
    pub(super) fn new(registry: Registry, search: &DeviceSearch) -> Result<Self, Problem> {
        let from = search.after.as_deref().map(Cursor::read).transpose()?;
        Ok(Self { registry, query: Query::of(search), next: Some(from) })
    }

    /// The next devices, perhaps none; no page at the end. What was read is lost if it is dropped
    /// while it waits.
    pub async fn next(&mut self) -> Result<Option<Vec<DeviceRow>>, Problem> {
        let Some(from) = self.next.take() else { return Ok(None) };
        let node = self.registry.node();
        let mut search = Search::new(node, &self.query)?;
        let walked = search.walk(from, EXPORTED, LOOKED_AT).await?;
        let rows = node.rows(&search.published, walked.found).await?;
        self.next = walked.next.map(Some);
        Ok(Some(rows))
    }
}

/// What was found of a batch.
#[derive(Debug, Default)]
struct Chosen {
    id: Option<BatchId>,
    found: u64,
    ended: u64,
    devices: Vec<Did>,
    /// It is known to be found as a whole.
    whole: bool,
}

impl Node {
    pub(super) async fn find_devices(&self, asked: &DeviceSearch) -> Result<DevicePage, Problem> {
        let query = Query::of(asked);
        let from = asked.after.as_deref().map(Cursor::read).transpose()?;
        let limit = match asked.limit {
            0 => limits::SEARCH_PAGE,
            limit => limit.min(limits::SEARCH_PAGE),
        };
        let first = from.is_none();
        let mut search = Search::new(self, &query)?;
        let of_keys = !query.text.as_ref().is_none_or(|text| text.keys.is_empty());
        // Before the walk, since the index goes on meanwhile; and behind it, if it turned out damaged.
        let whole = |size| self.console.index().is_some_and(|index| index.done() >= size);
        let before = whole(search.published.chain.size());
        let walked = search.walk(from, limit as usize, LOOKED_AT).await?;
        let building = of_keys && !(before && self.console.index().is_some());
        let shown = walked.found.len() as u64;
        let total = match (first, walked.all) {
            (true, true) => Some(shown),
            (true, false) => self.total(&query).await?,
            (false, _) => None,
        };
        let at_least = total.unwrap_or(shown + u64::from(walked.next.is_some()));
        let next = walked.next.map(|next| next.text());
        let rows = self.rows(&search.published, walked.found).await?;
        Ok(DevicePage { rows, next, total, at_least, building })
    }

    /// How many devices a search finds, where that is known.
    async fn total(&self, query: &Query) -> Result<Option<u64>, Problem> {
        if query.text.is_some() {
            return Ok(None);
        }
        let (Some(lot), Some(organisation)) = (&query.lot, &query.organisation) else {
            return Ok(Some(self.console.roster().total(&query.which)));
        };
        let Some(index) = self.console.index() else { return Ok(None) };
        if query.which.state.is_some() || self.console.roster().since(index.done()).next().is_some()
        {
            return Ok(None);
        }
        let batches = index.lot_batches(organisation, lot).await;
        let Some(batches) = self.console.said(&self.folder, batches) else { return Ok(None) };
        let roster = self.console.roster();
        let of = batches
            .iter()
            .filter(|(entry, _)| roster.at(*entry).is_some_and(|batch| query.which.admits(batch)));
        Ok(Some(of.map(|(_, count)| *count).sum()))
    }

    /// Devices as they are shown.
    pub(super) async fn rows(
        &self,
        published: &Published,
        found: Vec<Found>,
    ) -> Result<Vec<DeviceRow>, Problem> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let seen = self.store.seen_times(found.iter().map(|f| f.name).collect()).await?;
        let subjects: std::collections::BTreeSet<[u8; 32]> =
            found.iter().flat_map(|f| f.subjects()).collect();
        let size = published.checkpoint.head().size;
        let touched = self.store.last_touched(subjects.into_iter().collect(), size).await?;
        let mut texts: BTreeMap<Did, String> = BTreeMap::new();
        let rows = found.into_iter().map(|found| {
            let changed: Vec<[u8; 32]> = found.subjects().collect();
            let owner = texts.entry(found.owner()).or_insert_with_key(Did::to_string);
            DeviceRow {
                did: found.did.to_string(),
                batch: found.batch_id.to_string(),
                owner: owner.clone(),
                model: found.batch.model.clone(),
                state: found.status.word().into(),
                last_seen: seen.get(&found.name).copied(),
                changed: changed.iter().filter_map(|subject| touched.get(subject)).max().copied(),
                serial: found.serial,
                lot: found.lot,
            }
        });
        Ok(rows.collect())
    }

    pub(super) async fn select(&self, asked: &DeviceSearch) -> Result<Selection, Problem> {
        let mut query = Query::of(asked);
        let mut chosen: BTreeMap<u64, Chosen> = BTreeMap::new();
        if query.text.is_some() || query.lot.is_some() {
            let most = limits::SELECTED_DEVICES + 1;
            self.choose(&query, &mut chosen, most).await?;
        } else {
            // By batches alone: whole ones need no look at their devices.
            let all: Vec<(u64, BatchId, u64, bool)> = {
                let roster = self.console.roster();
                let state = query.which.state;
                let part = |(entry, batch): (u64, &super::roster::Batch)| {
                    let found = batch.count_for(state, query.which.owner);
                    let ended = match state {
                        Some(Status::Active | Status::Held) => 0,
                        Some(_) => found,
                        None => batch.ended(),
                    };
                    (entry, batch.id, found, batch.count - found == batch.ended() - ended)
                };
                roster.all(&query.which).map(part).collect()
            };
            for (entry, id, found, whole) in all {
                if whole {
                    let whole = Chosen { id: Some(id), found, whole, ..Chosen::default() };
                    chosen.insert(entry, whole);
                    continue;
                }
                let held: usize = chosen.values().map(|one| one.devices.len()).sum();
                let most = (limits::SELECTED_DEVICES + 1).saturating_sub(held);
                query.which.batch = Some(id);
                self.choose(&query, &mut chosen, most).await?;
                // What was not read was counted all the same.
                let one = chosen.entry(entry).or_default();
                (one.id, one.found) = (Some(id), one.found.max(found));
            }
        }
        Ok(self.put_together(chosen))
    }

    /// Notes the devices that a search finds, so many at most by their DIDs.
    async fn choose(
        &self,
        query: &Query,
        chosen: &mut BTreeMap<u64, Chosen>,
        most: usize,
    ) -> Result<(), Problem> {
        let (mut from, mut kept) = (None, 0);
        loop {
            let walked = Search::new(self, query)?.walk(from, EXPORTED, LOOKED_AT).await?;
            for found in walked.found {
                let one = chosen.entry(found.batch.entry).or_default();
                one.id = Some(found.batch_id);
                one.found += 1;
                one.ended += u64::from(found.status >= Status::Revoked);
                if kept < most {
                    one.devices.push(found.did);
                    kept += 1;
                }
            }
            match walked.next {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn put_together(&self, chosen: BTreeMap<u64, Chosen>) -> Selection {
        let mut selection = Selection::default();
        let roster = self.console.roster();
        for (entry, one) in chosen.into_iter().rev() {
            selection.count += one.found;
            let whole = |batch: &super::roster::Batch| {
                let (rest, ended) = (batch.count - one.found.min(batch.count), batch.ended());
                one.whole || rest == ended.saturating_sub(one.ended)
            };
            match (one.id, roster.at(entry)) {
                (Some(id), Some(batch)) if whole(batch) => selection.batches.push(id),
                _ => {
                    let room = limits::SELECTED_DEVICES - selection.devices.len();
                    selection.more |= (one.devices.len() as u64) < one.found;
                    selection.more |= one.devices.len() > room;
                    selection.devices.extend(one.devices.into_iter().take(room));
                }
            }
        }
        selection
    }
}
