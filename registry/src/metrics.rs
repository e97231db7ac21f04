//! What a node counts, and what of it is served to Prometheus.

use muster_api::{Exposition, Histogram, seconds};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

muster_api::metrics! {
    pub table;

    /// Entries under the head.
    LOG_ENTRIES: Gauge "muster_log_entries" [] in "entries";
    /// Height of the last block.
    HEIGHT: Gauge "muster_height" [] in "blocks";
    /// Enrolled devices.
    DEVICES: Gauge "muster_devices" [] in "devices";
    /// Batches on the ledger.
    BATCHES: Gauge "muster_batches" [] in "batches";
    /// Records of the state: what changed since enrolment, and what is no device.
    STATE_RECORDS: Gauge "muster_state_records" [] in "records";
    /// When the head was signed, since 1970.
    CHECKPOINT_TIME: Gauge "muster_checkpoint_time_seconds" [] in "seconds";
    /// Operations that wait for a block.
    WAITING: Gauge "muster_operations_waiting" [] in "operations";
    /// 1 if the last commit or signature failed.
    FAILING: Gauge "muster_failing" [] in "0 or 1";
    /// Operations by result: accepted, refused.
    OPERATIONS: Counter "muster_operations_total" ["result"] in "operations";
    /// Rows of uploads by verdict: staged, already, refused.
    ROWS: Counter "muster_rows_total" ["verdict"] in "rows";
    /// Uploads that are open.
    UPLOADS: Gauge "muster_uploads_open" [] in "uploads";
    /// How long commits of blocks took.
    COMMITS: Histogram "muster_commit_seconds" [] in "seconds";
    /// Blocks that could not be committed.
    COMMITS_FAILED: Counter "muster_commits_failed_total" [] in "blocks";
    /// Batches whose leaves were lost with a disk.
    LOST_BATCHES: Gauge "muster_lost_batches" [] in "batches";
    /// Registered gateways.
    GATEWAYS: Gauge "muster_gateways_registered" [] in "gateways";
    /// Of the registered gateways, those that acknowledged something of late.
    ACKNOWLEDGING: Gauge "muster_gateways_acknowledging" [] in "gateways";
    /// Entries that the slowest acknowledging gateway lacks.
    SLOWEST_ENTRIES: Gauge "muster_gateways_slowest_entries" [] in "entries";
    /// How much older than the head the last one is that the slowest gateway acknowledged.
    SLOWEST_SECONDS: Gauge "muster_gateways_slowest_seconds" [] in "seconds";
    /// Heads that gateways report as convicted by a quorum's signature: forks, false roots.
    FORKS: Gauge "muster_gateways_forks" [] in "heads";
    /// Protocol version of the next block.
    PROTOCOL: Gauge "muster_protocol_version" [] in "version";
    /// Protocol version that is announced, 0 if none is.
    NEXT_PROTOCOL: Gauge "muster_protocol_next_version" [] in "version";
    /// Height of the first block of the announced version, 0 if none is.
    NEXT_PROTOCOL_HEIGHT: Gauge "muster_protocol_next_height" [] in "blocks";
    /// Whether the next block is of a version that this program does not know.
    UPGRADE_NEEDED: Gauge "muster_upgrade_needed" [] in "0 or 1";
}

/// What a node counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) commits: Histogram,
    pub(crate) failed_commits: AtomicU64,
    pub(crate) rows_staged: AtomicU64,
    pub(crate) rows_already: AtomicU64,
    pub(crate) rows_refused: AtomicU64,
    /// Whether the last commit or signature failed.
    pub(crate) failing: AtomicBool,
}

/// What it reads off the ledger when asked.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) size: u64,
    pub(crate) height: u64,
    pub(crate) devices: u64,
    pub(crate) batches: u64,
    pub(crate) records: u64,
    pub(crate) checkpoint_ms: u64,
    pub(crate) waiting: u64,
    pub(crate) lost: u64,
    /// None: the store cannot tell.
    pub(crate) uploads: Option<u64>,
}

impl Metrics {
    /// One more.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// A block was committed in this time.
    pub(crate) fn committed(&self, took: Duration) {
        self.commits.record(took);
    }

    /// All of it as text.
    pub(crate) fn write(&self, text: &mut Exposition, gauges: &Gauges) {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        text.one(&LOG_ENTRIES, gauges.size);
        text.one(&HEIGHT, gauges.height);
        text.one(&DEVICES, gauges.devices);
        text.one(&BATCHES, gauges.batches);
        text.one(&STATE_RECORDS, gauges.records);
        text.one(&CHECKPOINT_TIME, seconds(gauges.checkpoint_ms.saturating_mul(1_000)));
        text.one(&WAITING, gauges.waiting);
        text.one(&FAILING, u64::from(self.failing.load(Relaxed)));
        let operations = [("accepted", &self.accepted), ("refused", &self.refused)];
        text.many(&OPERATIONS, operations.map(|(result, n)| ([result.into()], get(n))));
        let rows = [
            ("staged", &self.rows_staged),
            ("already", &self.rows_already),
            ("refused", &self.rows_refused),
        ];
        text.many(&ROWS, rows.map(|(verdict, n)| ([verdict.into()], get(n))));
        text.many(&UPLOADS, gauges.uploads.map(|n| ([], n)));
        text.histograms(&COMMITS, [([], &self.commits)]);
        text.one(&COMMITS_FAILED, get(&self.failed_commits));
        text.one(&LOST_BATCHES, gauges.lost);
    }
}
