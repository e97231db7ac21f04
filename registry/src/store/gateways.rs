use super::CountedHour;
use crate::claims::Claim;
use muster_identity::Did;

/// A gateway as the store keeps it. Tokens are kept as they came, so that they can be checked
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewayRow {
    pub(crate) organisation: Did,
    pub(crate) name: String,
    /// The operator's word.
    pub(crate) registration: String,
    /// The gateway's last acknowledgement, and when it came.
    pub(crate) heard: Option<(String, u64)>,
    /// Its last one with a report, and when it came.
    pub(crate) told: Option<(String, u64)>,
    /// What it acknowledged, ascending; when it is written, what the store has not.
    pub(crate) sizes: Vec<SizeRow>,
    /// When it is written: the least size that is kept; beyond every size, none is.
    pub(crate) least: u64,
}

/// When a gateway first acknowledged a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeRow {
    pub(crate) size: u64,
    /// Since when it goes by that size (ms, the node's clock).
    pub(crate) since: u64,
    /// The same by the gateway's own clock.
    pub(crate) stated: u64,
    /// When the acknowledgement came (ms, the node's clock).
    pub(crate) received: u64,
}

/// A device that a gateway let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenRow {
    pub(crate) device: Claim,
    pub(crate) time: u64,
    /// Organisation and name of the gateway.
    pub(crate) by: (Did, String),
}

/// What is written about gateways at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GatewaysSave {
    pub(crate) rows: Vec<GatewayRow>,
    /// Those that are forgotten.
    pub(crate) gone: Vec<(Did, String)>,
    pub(crate) seen: Vec<SeenRow>,
    /// What they let through and refused, to be added.
    pub(crate) counted: Vec<CountedHour>,
}

/// When a gateway last let a device through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) time: u64,
    /// Who runs the gateway.
    pub(crate) organisation: Did,
    pub(crate) gateway: String,
}
