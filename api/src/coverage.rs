//! Gateways as a node knows them, and who already goes by an entry of the log
//! (`docs/formats/acknowledgement.md`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /v1/gateways`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaysView {
    /// Log entries of the node.
    pub size: u64,
    /// When its head was signed (ms).
    pub checkpoint: u64,
    /// Registered gateways, those without a valid registration left out.
    pub registered: u64,
    /// How many of them acknowledged something and are not silent.
    pub acknowledging: u64,
    /// All, by organisation and name.
    pub gateways: Vec<GatewayView>,
}

/// A gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayView {
    /// Its name.
    pub gateway: String,
    /// The organisation that runs it (DID).
    pub organisation: String,
    /// Its key (Multikey).
    pub key: String,
    /// Where it stands; empty if the operator did not say.
    pub site: String,
    /// When the operator registered it (ms).
    pub registered: u64,
    /// `live`, `stale`, `stopped` as it says itself; `silent` if it said nothing for long;
    /// `never` if it said nothing yet; `void` if the key that registered it is over.
    pub state: String,
    /// When it was last heard of (ms, the node's clock).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heard: Option<u64>,
    /// Log entries it goes by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// Height it goes by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u64>,
    /// Entries of the node that it did not acknowledge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag_entries: Option<u64>,
    /// How much older than the node's its last acknowledged head is (ms).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag_ms: Option<u64>,
    /// How far its clock is ahead of the node's (ms), less the time the acknowledgement travelled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clock_ahead_ms: Option<i64>,
    /// Its last report.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub report: Option<ReportView>,
}

/// What a gateway reported of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportView {
    /// When it came (ms, the node's clock).
    pub received: u64,
    /// Seconds since its start.
    pub uptime: u64,
    /// How old its roll was (ms).
    pub roll_age_ms: u64,
    /// Devices let through since its start.
    pub accepted: u64,
    /// Refusals since its start by reason, those that happened.
    pub refused: BTreeMap<String, u64>,
    /// Heads that a quorum's signature convicts, since its start.
    pub forks: u64,
}

/// `GET /v1/coverage/{target}`: which gateways go by an entry of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageView {
    /// Place of the entry.
    pub entry: u64,
    /// Its block.
    pub height: u64,
    /// Time of its block (ms).
    pub time: u64,
    /// What was done.
    pub action: String,
    /// Registered gateways.
    pub registered: u64,
    /// Those that go by it.
    pub acknowledged: u64,
    /// Those that do not yet, and were heard of lately.
    pub waiting: u64,
    /// Those that do not as far as is known, and are silent or never said anything.
    pub silent: u64,
    /// Of the gateways whose delay is known: half had it within so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p50_ms: Option<u64>,
    /// And 99 of 100.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p99_ms: Option<u64>,
    /// Each, by organisation and name.
    pub gateways: Vec<CoveredView>,
}

/// Whether a gateway goes by an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoveredView {
    /// Its name.
    pub gateway: String,
    /// The organisation that runs it.
    pub organisation: String,
    /// Where it stands.
    pub site: String,
    /// As in [`GatewayView::state`].
    pub state: String,
    /// Whether it goes by the entry, that is, refuses what the entry ends.
    pub refuses: bool,
    /// Since when (ms, the node's clock): receipt of the acknowledgement, less the time for which
    /// the gateway had gone by it. Where `delay_ms` is absent, since then at the latest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<u64>,
    /// From the block's time to `since`. Absent where the gateway was not heard of before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delay_ms: Option<u64>,
    /// Since when by the gateway's own clock (ms).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stated: Option<u64>,
    /// When the acknowledgement came (ms, the node's clock).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub received: Option<u64>,
}
