//! What a console asks: devices by search, what a change would reach, activity, counts, the log,
//! and news as they happen. Everything is answered from the newest signed head and from rows that
//! follow from the log; the work of one request has a bound.

mod asking;
mod batches;

pub use asking::{DeviceSearch, LogFilter, Selection, Subject};
pub use batches::{BatchPage, BatchSearch, UploadView};

use crate::Registry;
use muster_api::{
    ActivityPoint, ChangeView, DevicePage, DeviceRow, EffectView, Event, LogPage, OverviewCounts,
    Problem,
};
use muster_ledger::Time;

/// All devices of a search, page by page, under the heads of the time.
pub struct Export;

impl Export {
    /// The next devices; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<DeviceRow>>, Problem> {
        Err(Problem::new(501, "unfinished", "not yet"))
    }
}

/// News of a node.
pub struct Watch;

impl Watch {
    /// The next event; none when the node closes.
    pub async fn next(&mut self) -> Option<Event> {
        None
    }
}

impl Registry {
    /// A page of devices.
    pub async fn find_devices(&self, _search: &DeviceSearch) -> Result<DevicePage, Problem> {
        Err(Problem::new(501, "unfinished", "not yet"))
    }

    /// All devices of a search, in its order, for an export of any length.
    pub fn export(&self, _search: DeviceSearch) -> Export {
        Export
    }

    /// All devices of a search, put as few operations as possible.
    pub async fn select(&self, _search: &DeviceSearch) -> Result<Selection, Problem> {
        Err(Problem::new(501, "unfinished", "not yet"))
    }

    /// What a change of these devices and batches would reach.
    pub async fn effect(&self, _targets: &[Subject]) -> Result<EffectView, Problem> {
        Err(Problem::new(501, "unfinished", "not yet"))
    }

    /// What happened between two times, by steps of whole hours.
    pub async fn activity(
        &self,
        _from: Time,
        _to: Time,
        _step_ms: u64,
    ) -> Result<Vec<ActivityPoint>, Problem> {
        Err(Problem::new(501, "unfinished", "not yet"))
    }

    /// The network in numbers.
    pub async fn overview_counts(&self) -> Result<OverviewCounts, Problem> {
        Err(Problem::new(501, "unfinished", "not yet"))
    }

    /// Entries of the log before a place, newest first.
    pub async fn log_page(
        &self,
        _before: Option<u64>,
        _filter: &LogFilter,
        _limit: u64,
    ) -> Result<LogPage, Problem> {
        Err(Problem::new(501, "unfinished", "not yet"))
    }

    /// The newest entries, newest first.
    pub async fn last_changes(&self, _count: u64) -> Result<Vec<ChangeView>, Problem> {
        Err(Problem::new(501, "unfinished", "not yet"))
    }

    /// News from now on. Whoever is slow misses some, and is told.
    pub fn watch(&self) -> Watch {
        Watch
    }
}
