//! What happened over time: operations by the log, authentications by what gateways report.

use super::HOUR_MS;
use crate::node::Node;
use crate::readers::Reader;
use muster_api::{ActivityPoint, Problem, limits};
use muster_ledger::Time;

impl Node {
    pub(crate) async fn activity(
        &self,
        reader: Reader,
        from: Time,
        to: Time,
        step_ms: u64,
    ) -> Result<Vec<ActivityPoint>, Problem> {
        let step = step_ms.div_ceil(HOUR_MS).max(1);
        let (first, end) = (from.0 / HOUR_MS, to.0.div_ceil(HOUR_MS));
        let points = end.saturating_sub(first).div_ceil(step);
        if points > limits::ACTIVITY_POINTS {
            let title = format!("{points} points of activity are more than one answer has");
            return Err(Problem::new(400, "too-many-points", title)
                .cure("ask for a shorter time, or with a longer step"));
        }
        let mut all: Vec<ActivityPoint> = (0..points)
            .map(|n| ActivityPoint {
                time: (first + n * step) * HOUR_MS,
                ..ActivityPoint::default()
            })
            .collect();
        let place = |hour: u64| (hour.saturating_sub(first) / step) as usize;
        if let Some(index) = self.console.index() {
            let hours = self.console.said(&self.folder, index.hours(first, end).await);
            for hour in hours.unwrap_or_default() {
                if let Some(point) = all.get_mut(place(hour.hour)) {
                    point.enrolled += hour.enrolled;
                    point.held += hour.held;
                    point.released += hour.released;
                    point.revoked += hour.revoked;
                }
            }
        }
        // What gateways let through is their organisation's; the log is everybody's.
        let of = match reader {
            Reader::Organisation(own) => Some(own),
            Reader::Operator | Reader::Stranger => None,
        };
        let hours = match reader {
            Reader::Stranger => Vec::new(),
            _ => self.store.gateway_hours(of, first, end).await?,
        };
        for hour in hours {
            if let Some(point) = all.get_mut(place(hour.hour)) {
                point.authentications += hour.allowed;
                point.refusals += hour.refused;
            }
        }
        Ok(all)
    }
}
