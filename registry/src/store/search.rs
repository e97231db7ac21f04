use crate::claims::Claim;
use muster_identity::Did;
use std::collections::BTreeMap;

/// Names in some order between two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameRange {
    pub(crate) low: Claim,
    pub(crate) high: Claim,
    /// Only what comes behind this one.
    pub(crate) after: Option<Claim>,
    pub(crate) count: u64,
}

/// Serial numbers of an organisation between two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SerialRange {
    pub(crate) organisation: Did,
    /// The least that counts.
    pub(crate) low: String,
    /// What comes behind all that count; none: all do.
    pub(crate) behind: Option<String>,
    /// Only what comes behind this one.
    pub(crate) after: Option<String>,
    pub(crate) count: u64,
}

/// A device found by its serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SerialFound {
    pub(crate) serial: String,
    pub(crate) name: Claim,
    /// The batch or upload it is in.
    pub(crate) number: u64,
}

/// A leaf with what the directory says of its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedLeaf {
    pub(crate) name: Claim,
    pub(crate) leaf: Vec<u8>,
    /// Organisation and lot, where there is one.
    pub(crate) lot: Option<(Did, String)>,
}

/// What the directory says of devices: serial number and lot.
pub(crate) type Private = BTreeMap<Claim, (String, Option<String>)>;

/// Devices that a gateway saw last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenBy {
    pub(crate) organisation: Did,
    pub(crate) gateway: String,
    pub(crate) devices: u64,
    /// Within a day, and within a week.
    pub(crate) day: u64,
    pub(crate) week: u64,
    pub(crate) last: u64,
}

/// Which devices are looked up among those that gateways saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SeenOf {
    /// These.
    Names(Vec<Claim>),
    /// So many of a batch, by its number.
    Batch(u64, u64),
}

/// What gateways let through and refused in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GatewayHour {
    /// Hours since 1970.
    pub(crate) hour: u64,
    pub(crate) allowed: u64,
    pub(crate) refused: u64,
}

/// What one gateway let through and refused in an hour, to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountedHour {
    pub(crate) by: (Did, String),
    pub(crate) counts: GatewayHour,
}
