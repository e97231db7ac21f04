//! What the stations' counters tell: how many devices of a lot were made, and where a counter
//! does not go on from where it was. Pure.

use crate::store::Counted;
use muster_api::{CounterView, limits};
use std::collections::BTreeMap;

/// Counts of rows, taken in the order of stations and counts.
///
/// A lot's count is the last of its counts less its first, at each station, without what other
/// lots counted in between, and without counts of devices that came again.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    lots: BTreeMap<(String, String), LotCounters>,
    /// The station, how far it has counted, and for which lot.
    reached: Option<(String, u64, (String, String))>,
}

/// What counters tell of a lot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LotCounters {
    /// Devices.
    pub(crate) made: u64,
    /// Rows with counts, those of devices that came again left out.
    pub(crate) rows: u64,
    /// The first faults, and how many there are.
    pub(crate) faults: Vec<CounterView>,
    pub(crate) fault_count: u64,
}

impl LotCounters {
    fn fault(&mut self, station: &str, fault: &str, from: u64, to: u64) {
        self.fault_count += 1;
        if self.faults.len() < limits::COUNTER_FAULTS {
            let (station, fault) = (station.into(), fault.into());
            self.faults.push(CounterView { station, fault, from, to });
        }
    }
}

impl Counters {
    /// Takes the next count.
    pub(crate) fn count(&mut self, counted: Counted) {
        let Counted { station, before, after, lot, order, again } = counted;
        let place = (lot, order);
        let (mut reached, mut last) = (before, None);
        if let Some((of, to, lot)) = self.reached.take()
            && of == station
        {
            (reached, last) = (to, Some(lot));
        }
        if before > reached
            && let Some(last) = &last
        {
            let of = self.lots.entry(last.clone()).or_default();
            if *last == place {
                of.fault(&station, "gap", reached, before);
                of.made = of.made.saturating_add(before - reached);
            } else {
                of.fault(&station, "between", reached, before);
            }
        }
        let own = self.lots.entry(place.clone()).or_default();
        if before < reached && before < after {
            own.fault(&station, "overlap", before, after.min(reached));
        }
        if !again {
            own.rows += 1;
            own.made = own.made.saturating_add(after.saturating_sub(before.max(reached)));
        }
        let goes_on = last.is_none() || after > reached;
        let lot = if goes_on { place } else { last.unwrap_or(place) };
        self.reached = Some((station, after.max(reached), lot));
    }

    /// By lot and order.
    pub(crate) fn finish(self) -> BTreeMap<(String, String), LotCounters> {
        self.lots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(counts: &[(&str, u64, u64, &str, bool)], lot: &str) -> (u64, u64, Vec<String>) {
        let mut counters = Counters::default();
        for (station, before, after, lot, again) in counts {
            let (station, lot) = ((*station).into(), (*lot).into());
            let (before, after, order) = (*before, *after, String::new());
            counters.count(Counted { station, before, after, lot, order, again: *again });
        }
        let of = counters.finish().remove(&(lot.into(), String::new())).unwrap_or_default();
        let faults = of.faults.iter().map(|f| format!("{} {}-{}", f.fault, f.from, f.to));
        (of.made, of.rows, faults.collect())
    }

    #[test]
    fn counters_tell_what_was_made() {
        let a = |before, after| ("s", before, after, "A", false);
        assert_eq!(told(&[a(0, 1), a(1, 2)], "A"), (2, 2, vec![]));
        // Two were counted, and no row tells of them.
        assert_eq!(told(&[a(0, 1), a(3, 4)], "A"), (4, 2, vec!["gap 1-3".into()]));
        // One count stands in two rows.
        assert_eq!(told(&[a(0, 1), a(0, 1)], "A"), (1, 2, vec!["overlap 0-1".into()]));
        // One row, and the counter went on by three.
        assert_eq!(told(&[a(0, 3)], "A"), (3, 1, vec![]));
        // A device came again: its first count made no further device.
        let again = ("s", 1, 2, "A", true);
        assert_eq!(told(&[a(0, 1), again, a(2, 3)], "A"), (2, 2, vec![]));
        // Another lot in between, and another station.
        let other = ("s", 1, 5, "B", false);
        let station = ("t", 70, 71, "A", false);
        assert_eq!(told(&[a(0, 1), other, a(5, 6), station], "A"), (3, 3, vec![]));
        // Between the lots somebody went on counting.
        let late = ("s", 4, 5, "B", false);
        assert_eq!(told(&[a(0, 1), late], "A"), (1, 1, vec!["between 1-4".into()]));
        assert_eq!(told(&[a(0, 1), late], "B"), (1, 1, vec![]));
    }
}
