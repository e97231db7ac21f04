//! Whether lots add up: what the line says, against what is enrolled and valid under the newest
//! head (`docs/formats/lots.md`).

use crate::Error;
use crate::claims::Claim;
use crate::counters::LotCounters;
use crate::node::{Node, Published};
use crate::store::{Asked, LotDevice, LotGroup, WhichLots};
use muster_api::{
    LineNoted, LineRecords, LineResult, LotDeviceView, LotDevicesView, LotQuery, LotView, LotsView,
    Problem, limits,
};
use muster_identity::Did;
use muster_identity::cbor::Decode as _;
use muster_ledger::{BatchId, DeviceRecord, Leaf, StateKey, Status, View as _, status};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many line records are kept of organisations, where that was counted. Records are noted one
/// request at a time, so a count stays true.
#[derive(Debug, Default)]
pub(crate) struct LineRows(Mutex<BTreeMap<Did, u64>>);

impl LineRows {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Did, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, organisation: &Did) -> Option<u64> {
        self.lock().get(organisation).copied()
    }

    fn are(&self, organisation: Did, count: u64) {
        self.lock().insert(organisation, count);
    }
}

/// Devices that are looked up at once.
const TOGETHER: usize = 4_096;

/// Whether nothing of a standing is left: a hold suspends, it takes no device out of a lot.
fn is_over(status: Status) -> bool {
    matches!(status, Status::Revoked | Status::Deactivated)
}

impl Node {
    /// Notes what the line says of devices, by the right of an upload.
    pub(crate) async fn note_line(
        &self,
        upload: &str,
        records: LineRecords,
    ) -> Result<LineNoted, Problem> {
        let found = self.upload(upload).await?;
        if found.rehearsal {
            return Err(Problem::new(409, "rehearsal", "a rehearsal leaves nothing behind")
                .cure("send what the line says by an upload that is none"));
        }
        if records.0.iter().any(|r| r.before.zip(r.after).is_some_and(|(b, a)| a < b)) {
            return Err(Problem::new(400, "malformed", "a counter that runs backwards"));
        }
        let turn = self.staging.acquire().await;
        let _turn = turn.map_err(|e| Error::Us(e.to_string()))?;
        let organisation = found.organisation;
        let (_, overview) = self.overview()?;
        let most = overview.granted(&organisation).saturating_mul(limits::LINE_ROWS_OF_A_DEVICE);
        let kept = match self.line_rows.of(&organisation) {
            Some(kept) => kept,
            None => self.store.line_rows(organisation).await?,
        };
        let room = most.saturating_sub(kept);
        let Some(noted) = self.store.note_line(organisation, records.0, room).await? else {
            self.line_rows.are(organisation, kept);
            let title = format!(
                "the node keeps {kept} line records of this organisation and has room for {room} \
                 more: {} for each device that its grants allow",
                limits::LINE_ROWS_OF_A_DEVICE
            );
            return Err(Problem::new(409, "line-quota", title)
                .cure("enrol with less of the line (orders, stations, results, counters), or ask for a larger grant"));
        };
        self.line_rows.are(organisation, kept + noted.further);
        Ok(LineNoted { scrapped: noted.scrapped })
    }

    fn asked(&self, query: &LotQuery) -> Result<Asked, Problem> {
        let organisation = match &query.organisation {
            None => self.genesis.organisation_did(),
            Some(did) => did.parse().map_err(|e: muster_identity::Error| {
                Problem::new(400, "did", format!("organisation: {e}"))
            })?,
        };
        let after = query.after_lot.clone().map(|lot| {
            let order = query.after_order.clone().unwrap_or_default();
            (lot, order)
        });
        let (lot, order) = (query.lot.clone(), query.order.clone());
        Ok(Asked { organisation, lot, order, after, to: None })
    }

    /// The balances of a page of lots.
    pub(crate) async fn lots(&self, query: &LotQuery) -> Result<LotsView, Problem> {
        let mut asked = self.asked(query)?;
        let mut page = self.store.lots(asked.clone(), limits::LOTS_PAGE + 1).await?;
        let more = page.len() as u64 > limits::LOTS_PAGE;
        page.truncate(limits::LOTS_PAGE as usize);
        let Some(last) = page.last().cloned() else {
            return Ok(LotsView { lots: Vec::new(), next: None });
        };
        asked.to = Some(last.clone());
        let mut lots: BTreeMap<(String, String), LotView> = BTreeMap::new();
        for (lot, order) in page {
            let view = LotView { lot: lot.clone(), order: order.clone(), ..LotView::default() };
            lots.insert((lot, order), view);
        }
        let published = self.published()?;
        let mut live = BTreeMap::new();
        for group in self.store.lot_groups(asked.clone()).await? {
            let stands = self.stands(&published, &mut live, group.batch)?;
            let Some(view) = lots.get_mut(&(group.lot.clone(), group.order.clone())) else {
                continue;
            };
            view.devices += group.devices;
            view.reruns += group.reruns;
            *place(view, group.result, stands) += group.devices;
        }
        self.settle_changed(&published, &asked, &mut live, &mut lots).await?;
        let mut counters = self.store.lot_counts(asked).await?.finish();
        for (place, view) in &mut lots {
            balance(view, counters.remove(place).unwrap_or_default());
        }
        let next = more.then_some(last);
        Ok(LotsView { lots: lots.into_values().collect(), next })
    }

    /// Whether devices of a batch are valid, as far as it depends on the batch: none are where
    /// it is not on the ledger.
    fn stands(
        &self,
        published: &Published,
        known: &mut BTreeMap<BatchId, Option<Stands>>,
        batch: Option<BatchId>,
    ) -> Result<Option<Stands>, Problem> {
        let Some(batch) = batch else { return Ok(None) };
        if let Some(known) = known.get(&batch) {
            return Ok(*known);
        }
        let time = published.checkpoint.head().time;
        let record = published.chain.state().batch(&batch)?;
        let stands = record.map(|record| match is_over(record.standing.at(time)) {
            true => Stands::Over,
            false => Stands::Valid,
        });
        known.insert(batch, stands);
        Ok(stands)
    }

    /// Devices that were revoked one by one, in batches that stand.
    async fn settle_changed(
        &self,
        published: &Published,
        asked: &Asked,
        live: &mut BTreeMap<BatchId, Option<Stands>>,
        lots: &mut BTreeMap<(String, String), LotView>,
    ) -> Result<(), Problem> {
        let time = published.checkpoint.head().time;
        let mut over = Vec::new();
        for (key, bytes) in published.chain.state().iter() {
            let StateKey::Device(did) = key else { continue };
            let record = DeviceRecord::from_cbor(bytes).map_err(Error::damaged)?;
            if is_over(record.standing.at(time)) {
                over.push(Claim::of_did(&did));
            }
        }
        for names in over.chunks(TOGETHER) {
            for group in self.store.lot_groups_of(asked.clone(), names.to_vec()).await? {
                let LotGroup { lot, order, result, batch, .. } = group;
                let stands = self.stands(published, live, batch)?;
                let Some(view) = lots.get_mut(&(lot, order)) else { continue };
                if stands == Some(Stands::Valid) {
                    let from = place(view, result, stands);
                    *from = from.saturating_sub(1);
                    *place(view, result, Some(Stands::Over)) += 1;
                }
            }
        }
        Ok(())
    }

    /// A page of the devices of lots.
    pub(crate) async fn lot_devices(&self, query: &LotQuery) -> Result<LotDevicesView, Problem> {
        let asked = self.asked(query)?;
        let state = query.state.as_deref();
        let which = match state {
            None => WhichLots::All,
            Some("shipped" | "revoked") => WhichLots::Result(LineResult::Pass),
            Some("rework") => WhichLots::Result(LineResult::Rework),
            Some("scrap" | "scrap-valid") => WhichLots::Result(LineResult::Scrap),
            Some("not-enrolled") => WhichLots::NotEnrolled,
            Some(_) => {
                let why =
                    "the states are shipped, rework, scrap, scrap-valid, revoked, not-enrolled";
                return Err(Problem::new(400, "state", why));
            }
        };
        let published = self.published()?;
        let after = query.after.clone().unwrap_or_default();
        let page = limits::LOT_DEVICES_PAGE;
        let found = self.store.lot_devices(asked, which, after, page).await?;
        let full = found.devices.len() as u64 == page;
        let next = found.devices.last().map(|device| device.serial.clone()).filter(|_| full);
        let mut devices = Vec::new();
        for device in found.devices {
            let view = self.lot_device(&published, device, &found.born)?;
            if state.is_none_or(|state| state == view.state) {
                devices.push(view);
            }
        }
        Ok(LotDevicesView { devices, next })
    }

    fn lot_device(
        &self,
        published: &Published,
        device: LotDevice,
        born: &BTreeMap<BatchId, u64>,
    ) -> Result<LotDeviceView, Problem> {
        let LotDevice { serial, lot, order, result, enrolled } = device;
        let (chain, time) = (&published.chain, published.checkpoint.head().time);
        let (mut did, mut batch, mut scrap_batch, mut stands) = (None, None, false, None);
        if let Some((id, leaf)) = enrolled
            && let Some(record) = chain.state().batch(&id)?
        {
            let found: Did = Leaf::did_in(&leaf).map_err(Error::damaged)?;
            let own = chain.state().device(&found)?;
            let over = is_over(status(own.as_ref(), &record, time));
            stands = Some(if over { Stands::Over } else { Stands::Valid });
            scrap_batch = born.get(&id) == Some(&record.count);
            (did, batch) = (Some(found.to_string()), Some(id.to_string()));
        }
        let state = state_word(result, stands).into();
        Ok(LotDeviceView { serial, lot, order, state, did, batch, scrap_batch })
    }
}

/// An enrolled device or batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Valid,
    Over,
}

/// Where a device of a lot is counted; see [`state_word`].
fn place(view: &mut LotView, result: LineResult, stands: Option<Stands>) -> &mut u64 {
    match (result, stands) {
        (LineResult::Pass, Some(Stands::Valid)) => &mut view.shipped,
        (LineResult::Pass, Some(Stands::Over)) => &mut view.revoked,
        (LineResult::Pass, None) => &mut view.not_enrolled,
        (LineResult::Rework, _) => &mut view.rework,
        (LineResult::Scrap, Some(Stands::Valid)) => &mut view.scrap_valid,
        (LineResult::Scrap, _) => &mut view.scrap,
    }
}

fn state_word(result: LineResult, stands: Option<Stands>) -> &'static str {
    match (result, stands) {
        (LineResult::Pass, Some(Stands::Valid)) => "shipped",
        (LineResult::Pass, Some(Stands::Over)) => "revoked",
        (LineResult::Pass, None) => "not-enrolled",
        (LineResult::Rework, _) => "rework",
        (LineResult::Scrap, Some(Stands::Valid)) => "scrap-valid",
        (LineResult::Scrap, _) => "scrap",
    }
}

/// Draws the balance once everything is counted.
fn balance(view: &mut LotView, counters: LotCounters) {
    view.counted = counters.made;
    view.made = counters.made + view.devices.saturating_sub(counters.rows);
    let there = view.shipped + view.rework + view.scrap + view.scrap_valid + view.revoked;
    view.missing = i64::try_from(i128::from(view.made) - i128::from(there)).unwrap_or(i64::MAX);
    view.balanced = view.missing == 0 && view.scrap_valid == 0;
    (view.counters, view.counter_faults) = (counters.faults, counters.fault_count);
}
