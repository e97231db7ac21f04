//! What goes on at the node while a client enrols: rows are counted, devices revoked.

use super::process::Http;
use crate::signing::Desk;
use anyhow::{Context as _, Result};
use muster_ledger::{Action, DeviceRef, Revoke, Target};
use std::time::{Duration, Instant};
use tokio::sync::watch::Receiver;
use tokio::time::{MissedTickBehavior, interval};

/// One revocation is begun every so often.
const REVOKE_EVERY: Duration = Duration::from_millis(100);

/// The rows are counted every so often: some times within a tenth of a small run.
const COUNT_EVERY: Duration = Duration::from_millis(20);

/// The node's counter.
const STAGED: &str = "muster_rows_total{verdict=\"staged\"} ";

/// Revokes one device after the other until told to stop, at least one. Milliseconds from before
/// the signature until the proof of the acknowledgement was checked, for each.
pub(super) async fn revoke(
    desk: Desk,
    devices: Vec<DeviceRef>,
    stop: Receiver<bool>,
) -> Result<Vec<f64>> {
    let mut ticks = interval(REVOKE_EVERY);
    // After a slow one the next is not begun at once: that would be a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples = Vec::new();
    for device in devices {
        ticks.tick().await;
        if *stop.borrow() && !samples.is_empty() {
            break;
        }
        let start = Instant::now();
        let revoke = Revoke { target: Target::Device(device), reason: String::new() };
        desk.submit(Action::Revoke(revoke)).await.context("a revocation during the enrolment")?;
        samples.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(samples)
}

/// How many rows were staged when: seconds and rows, both from the beginning of the count.
pub(super) struct Staged(Vec<(f64, f64)>);

impl Staged {
    /// Counts until told to stop.
    pub(super) async fn count(node: Http, stop: Receiver<bool>) -> Result<Self> {
        let (start, before) = (Instant::now(), staged(&node).await?);
        let mut ticks = interval(COUNT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut samples = vec![(0.0, 0.0)];
        loop {
            ticks.tick().await;
            let last = *stop.borrow();
            let rows = staged(&node).await? - before;
            samples.push((start.elapsed().as_secs_f64(), rows));
            if last {
                return Ok(Self(samples));
            }
        }
    }

    /// Rows a second in the first and in the last tenth of the rows.
    pub(super) fn tenths(&self) -> (f64, f64) {
        let rows = self.0.last().map_or(0.0, |(_, rows)| *rows);
        let rate = |from: f64, to: f64| {
            rows * (to - from) / (self.when(rows * to) - self.when(rows * from))
        };
        (rate(0.0, 0.1), rate(0.9, 1.0))
    }

    /// When so many rows were staged, between two counts in proportion; for none, when it began.
    fn when(&self, rows: f64) -> f64 {
        let steps = self.0.windows(2).filter_map(|pair| <&[_; 2]>::try_from(pair).ok());
        for [(before, from), (after, to)] in steps {
            if *to > *from && *to >= rows {
                return before + (after - before) * (rows - from) / (to - from);
            }
        }
        0.0
    }
}

async fn staged(node: &Http) -> Result<f64> {
    let text = String::from_utf8(node.get("/metrics").await?)?;
    let count = text.lines().find_map(|line| line.strip_prefix(STAGED));
    Ok(count.context("the node does not count staged rows")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::Staged;

    #[test]
    fn tenths_are_of_rows_not_of_time() {
        // Nothing for a second, then 100 rows a second, the last ten at half the rate, then idle.
        let samples = [(0.0, 0.0), (1.0, 0.0), (1.9, 90.0), (2.1, 100.0), (9.0, 100.0)];
        let (first, last) = Staged(samples.to_vec()).tenths();
        assert!((first - 100.0).abs() < 1e-9, "{first}");
        assert!((last - 50.0).abs() < 1e-9, "{last}");
    }
}
