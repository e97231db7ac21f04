//! What a console asks: devices by search, what a change would reach, activity, counts, the log,
//! and news as they happen. Everything is answered from the newest signed head and from rows that
//! follow from the log; the work of one request has a bound.

mod activity;
mod asking;
mod batches;
mod counts;
mod cursor;
mod effect;
mod follow;
mod healing;
mod limits;
mod log;
mod news;
mod pages;
mod query;
mod roster;
mod search;
mod sources;
pub(crate) mod stated;
mod text;

pub use asking::{DeviceSearch, LogFilter, Selection, Subject};
pub use batches::{BatchPage, BatchRow, BatchSearch, UploadView};
pub(crate) use follow::follow;
pub use news::Watch;
pub use pages::Export;
pub(crate) use text::{HEAD, Head};

use crate::folder::{Folder, INDEX};
use crate::node::{Node, Published};
use crate::readers::Reader;
use crate::store::sqlite::Index;
use crate::store::{Flip, Store};
use crate::{Error, Registry};
use muster_api::{
    ActivityPoint, ChangeView, DevicePage, EffectView, Event, LogPage, OverviewCounts, Problem,
};
use muster_identity::Did;
use muster_ledger::{BatchId, Chain, Changes, StateKey, Time};
use roster::Roster;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::broadcast;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What a node keeps for consoles.
pub(crate) struct Console {
    roster: Mutex<Roster>,
    /// What was decided and is not under a signed head yet.
    coming: Mutex<VecDeque<Coming>>,
    /// None where the file cannot be used: everything is looked up the long way.
    index: OnceLock<Index>,
    /// The index turned out to be damaged: as if there was none, until the next start.
    damaged: OnceLock<()>,
    news: broadcast::Sender<Event>,
}

#[derive(Debug, Default)]
struct Coming {
    /// The log's entries after it.
    size: u64,
    changed: BTreeSet<StateKey>,
    /// Numbers of new batches.
    numbers: BTreeMap<BatchId, u64>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            roster: Mutex::default(),
            coming: Mutex::default(),
            index: OnceLock::new(),
            damaged: OnceLock::new(),
            news: broadcast::Sender::new(muster_api::limits::WAITING_EVENTS),
        }
    }
}

impl Console {
    /// Each method of the roster leaves it whole, so a panic elsewhere does not spoil it.
    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn coming(&self) -> MutexGuard<'_, VecDeque<Coming>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> Option<&Index> {
        self.index.get().filter(|_| self.damaged.get().is_none())
    }

    /// Reads what a ledger says when the node starts.
    pub(crate) async fn load(&self, store: &dyn Store, chain: &Chain) -> Result<(), Error> {
        let numbers = store.batch_numbers().await?;
        let chain = chain.clone();
        let roster = tokio::task::spawn_blocking(move || {
            Roster::of(chain.state(), &numbers, chain.size(), chain.time())
        });
        *self.roster() = roster.await.map_err(|e| Error::Us(e.to_string()))??;
        Ok(())
    }

    /// Opens the index. Without it searches are slower, and that is all.
    pub(crate) async fn open_index(
        &self,
        folder: &Folder,
        network: &muster_ledger::Network,
        root: impl Fn(u64) -> Option<[u8; 32]>,
    ) {
        match Index::open(&folder.file(INDEX), network, root).await {
            Ok(index) => drop(self.index.set(index)),
            Err(error) => {
                tracing::warn!("index.db cannot be used: {error}; searches are slower");
            }
        }
    }

    /// Lets go of the index.
    pub(crate) async fn close(&self) {
        if let Some(index) = self.index.get() {
            index.close().await;
        }
    }

    /// Notes what a block changed.
    pub(crate) fn decided(&self, size: u64, changes: &Changes, flips: &[Flip]) {
        let changed = changes.0.keys().copied().collect();
        let numbers = flips.iter().map(|flip| (flip.batch, flip.upload)).collect();
        self.coming().push_back(Coming { size, changed, numbers });
    }

    /// A head was signed: the roster becomes that of it.
    pub(crate) fn publish(&self, published: &Published) {
        let (mut changed, mut numbers) = (BTreeSet::new(), BTreeMap::new());
        let mut coming = self.coming();
        while let Some(next) = coming.pop_front_if(|next| next.size <= published.chain.size()) {
            changed.extend(next.changed);
            numbers.extend(next.numbers);
        }
        drop(coming);
        let under = (published.chain.size(), published.checkpoint.head().time);
        let followed = self.roster().follow(published.chain.state(), changed, &numbers, under);
        if let Err(error) = followed {
            tracing::error!("lists and counts of consoles are not right any more: {error}");
        }
        self.tell_head(published);
        for id in numbers.keys() {
            self.tell_enrolled(id);
        }
    }

    /// The leaves of a batch came back.
    pub(crate) fn found(&self, flip: &Flip) {
        // It may be decided and not under a signed head yet.
        if let Some(last) = self.coming().back_mut() {
            last.numbers.insert(flip.batch, flip.upload);
        }
        self.roster().found(&flip.batch, flip.upload);
    }
}

impl Node {
    /// Makes ready what consoles ask for.
    pub(crate) async fn begin_console(&self) -> Result<(), Error> {
        self.console.load(&*self.store, &self.decided()).await?;
        let root = |size| self.log_root_at(size);
        self.console.open_index(&self.folder, &self.network, root).await;
        Ok(())
    }
}

impl Registry {
    /// A page of devices.
    pub async fn find_devices(&self, search: &DeviceSearch) -> Result<DevicePage, Problem> {
        self.node().find_devices(search).await
    }

    /// All devices of a search, in its order, for an export of any length.
    pub fn export(&self, search: &DeviceSearch) -> Result<Export, Problem> {
        Export::new(self.clone(), search)
    }

    /// All devices of a search, put as few operations as possible. Reads each of them, unless the
    /// search is by batches alone (model, owner, batch, state).
    pub async fn select(&self, search: &DeviceSearch) -> Result<Selection, Problem> {
        self.node().select(search).await
    }

    /// What a change of these devices and batches would reach.
    pub async fn effect(&self, targets: &[Subject]) -> Result<EffectView, Problem> {
        self.node().effect(targets, Reader::Operator).await
    }

    /// What happened between two times, by steps of whole hours, from the full hour before the
    /// first. What gateways let through and refused is counted when they report it.
    pub async fn activity(
        &self,
        from: Time,
        to: Time,
        step_ms: u64,
    ) -> Result<Vec<ActivityPoint>, Problem> {
        self.node().activity(Reader::Operator, from, to, step_ms).await
    }

    /// The network in numbers.
    pub async fn overview_counts(&self) -> Result<OverviewCounts, Problem> {
        self.node().overview_counts().await
    }

    /// Entries of the log before a place, newest first.
    pub async fn log_page(
        &self,
        before: Option<u64>,
        filter: &LogFilter,
        limit: u64,
    ) -> Result<LogPage, Problem> {
        self.shared_node().log_page(before, filter, limit).await
    }

    /// The newest entries, newest first.
    pub async fn last_changes(&self, count: u64) -> Result<Vec<ChangeView>, Problem> {
        self.shared_node().last_changes(count).await
    }

    /// Says to open pages that the people of an organisation changed.
    pub fn tell_people(&self, organisation: &Did) {
        self.node().console.tell_people(organisation);
    }

    /// News from now on. Whoever is slow misses some, and is told.
    pub fn watch(&self) -> Watch {
        Watch(self.node().console.news.subscribe())
    }
}
