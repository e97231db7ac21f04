//! What gateways let through and refused, by the hour. A report has numbers since the gateway's
//! start, so two reports of one run give what happened between them, and a new start counts from
//! nothing.

use super::book::{Heard, Name};
use crate::store::{CountedHour, GatewayHour};
use muster_api::limits;
use std::collections::BTreeMap;

const HOUR_MS: u64 = 3_600_000;

/// How far the start of one run may seem to move, in milliseconds: the time that reports travel,
/// and seconds that were rounded off. A gateway that starts anew takes as long until it reports.
const START_MOVES_MS: u64 = 30_000;

/// Seconds that a gateway of which nobody heard before may have run, for its first report to count
/// (1 h): what it did before it was registered is no event of this hour.
const FIRST_S: u64 = 3_600;

/// What is counted and not written yet.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<(Name, u64), (u64, u64)>);

impl Counts {
    /// Counts what a gateway's report says beyond its last one.
    pub(super) fn note(&mut self, name: &Name, before: Option<&Heard>, now: &Heard) {
        let Some((allowed, refused)) = between(before, now).filter(|n| *n != (0, 0)) else {
            return;
        };
        self.add(name.clone(), now.received / HOUR_MS, (allowed, refused));
    }

    fn add(&mut self, name: Name, hour: u64, (allowed, refused): (u64, u64)) {
        let most = 2 * limits::GATEWAYS;
        if self.0.len() >= most && !self.0.contains_key(&(name.clone(), hour)) {
            // A disk that stays full: there is room for two hours of the largest fleet.
            return;
        }
        let counts = self.0.entry((name, hour)).or_default();
        counts.0 = counts.0.saturating_add(allowed);
        counts.1 = counts.1.saturating_add(refused);
    }

    /// All of it, to be written.
    pub(super) fn take(&mut self) -> Vec<CountedHour> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|((by, hour), (allowed, refused))| CountedHour {
            by,
            counts: GatewayHour { hour, allowed, refused },
        })
        .collect()
    }

    /// It could not be written.
    pub(super) fn put_back(&mut self, counted: Vec<CountedHour>) {
        for CountedHour { by, counts } in counted {
            self.add(by, counts.hour, (counts.allowed, counts.refused));
        }
    }
}

/// What a report says beyond the one before: devices let through, and refusals.
fn between(before: Option<&Heard>, now: &Heard) -> Option<(u64, u64)> {
    let counts = |heard: &Heard| {
        let report = heard.report()?;
        let refused = report.refused.iter().fold(0u64, |sum, (_, n)| sum.saturating_add(*n));
        let started = i128::from(heard.received) - i128::from(report.uptime) * 1_000;
        Some((report.accepted, refused, report.uptime, started))
    };
    let (accepted, refused, uptime, started) = counts(now)?;
    if before.is_none() && uptime > FIRST_S {
        return None;
    }
    let same = before.and_then(counts).filter(|(was, refusals, up, began)| {
        *was <= accepted
            && *refusals <= refused
            && *up <= uptime
            && started.abs_diff(*began) <= u128::from(START_MOVES_MS)
    });
    let (was, refusals) = same.map_or((0, 0), |(was, refusals, ..)| (was, refusals));
    // SQLite has 63 bits; no gateway counts so far.
    let bounded = |n: u64| n.min(u64::from(u32::MAX));
    Some((bounded(accepted - was), bounded(refused - refusals)))
}
