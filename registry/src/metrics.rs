//! Counters in Prometheus' text format 0.0.4.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a node counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) blocks: AtomicU64,
    pub(crate) commit_micros: AtomicU64,
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
    pub(crate) checkpoint_ms: u64,
    pub(crate) waiting: u64,
}

impl Metrics {
    /// One more.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// A block was committed in this time.
    pub(crate) fn committed(&self, took: Duration) {
        Self::count(&self.blocks);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_micros.fetch_add(micros, Relaxed);
    }

    /// All of it as text.
    pub(crate) fn text(&self, gauges: &Gauges) -> String {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let micros = get(&self.commit_micros);
        let ms = gauges.checkpoint_ms;
        let rows: [(&str, &str, &str, String); 15] = [
            ("muster_log_entries", "gauge", "Entries under the head.", gauges.size.to_string()),
            ("muster_height", "gauge", "Height of the last block.", gauges.height.to_string()),
            ("muster_devices", "gauge", "Enrolled devices.", gauges.devices.to_string()),
            (
                "muster_checkpoint_time_seconds",
                "gauge",
                "When the head was signed.",
                format!("{}.{:03}", ms / 1_000, ms % 1_000),
            ),
            (
                "muster_operations_waiting",
                "gauge",
                "Waiting for a block.",
                gauges.waiting.to_string(),
            ),
            (
                "muster_failing",
                "gauge",
                "1 if the last commit or signature failed.",
                u64::from(self.failing.load(Relaxed)).to_string(),
            ),
            (
                "muster_operations_total{result=\"accepted\"}",
                "counter",
                "Operations by result.",
                get(&self.accepted).to_string(),
            ),
            ("muster_operations_total{result=\"refused\"}", "", "", get(&self.refused).to_string()),
            (
                "muster_rows_total{verdict=\"staged\"}",
                "counter",
                "Rows of uploads by verdict.",
                get(&self.rows_staged).to_string(),
            ),
            ("muster_rows_total{verdict=\"already\"}", "", "", get(&self.rows_already).to_string()),
            ("muster_rows_total{verdict=\"refused\"}", "", "", get(&self.rows_refused).to_string()),
            (
                "muster_commits_failed_total",
                "counter",
                "Blocks that could not be committed.",
                get(&self.failed_commits).to_string(),
            ),
            ("muster_commit_seconds", "summary", "Time of commits.", String::new()),
            (
                "muster_commit_seconds_sum",
                "",
                "",
                format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            ),
            ("muster_commit_seconds_count", "", "", get(&self.blocks).to_string()),
        ];
        let mut text = String::new();
        for (name, kind, help, value) in rows {
            let family = name.split('{').next().unwrap_or(name);
            let mut line = |line: std::fmt::Arguments<'_>| {
                writeln!(text, "{line}").expect("a String accepts every write");
            };
            if !kind.is_empty() {
                line(format_args!("# HELP {family} {help}"));
                line(format_args!("# TYPE {family} {kind}"));
            }
            if !value.is_empty() {
                line(format_args!("{name} {value}"));
            }
        }
        text
    }
}
