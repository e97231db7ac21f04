//! The network in numbers, which are kept while it changes: nothing is counted when they are asked for.

use crate::node::Node;
use crate::readers::Reader;
use muster_api::{GatewayCounts, OverviewCounts, Problem, StateCounts};

impl Node {
    pub(super) async fn overview_counts(&self) -> Result<OverviewCounts, Problem> {
        let uploads = self.store.uploads().await?.iter().filter(|u| !u.rehearsal).count() as u64;
        let gateways = self.gateway_counts(Reader::Operator)?;
        let roster = self.console.roster();
        let mut devices = StateCounts::default();
        for model in roster.models.values() {
            devices.active += model.active;
            devices.held += model.held;
            devices.revoked += model.revoked;
            devices.deactivated += model.deactivated;
        }
        Ok(OverviewCounts {
            size: roster.size,
            time: roster.time.0,
            devices,
            models: roster.models.clone(),
            batches: roster.len(),
            uploads,
            gateways,
        })
    }

    pub(super) fn gateway_counts(&self, reader: Reader) -> Result<GatewayCounts, Problem> {
        let view = self.gateways_view(reader)?;
        let mut counts = GatewayCounts { registered: view.registered, ..GatewayCounts::default() };
        for gateway in &view.gateways {
            match gateway.state.as_str() {
                "live" => counts.fresh += 1,
                "stale" | "stopped" => counts.stale += 1,
                "silent" | "never" => counts.silent += 1,
                _ => {}
            }
        }
        Ok(counts)
    }
}
