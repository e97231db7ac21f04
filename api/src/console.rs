//! What a console reads from its node: devices by search, effects before they happen, activity,
//! counts, the log in words. All of it is the node's own word.

use crate::ChangeView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A page of devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePage {
    /// The devices.
    pub rows: Vec<DeviceRow>,
    /// Where the next page begins; none at the end. A page may be short, even empty, and have a
    /// next one: the work of one request has a bound.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
    /// How many devices the search finds in all, where that is known without looking at each.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub total: Option<u64>,
    /// How many it finds at least.
    pub at_least: u64,
    /// The index of keys lacks devices that were enrolled just now: by a part of a key, they are
    /// not found yet.
    #[serde(default)]
    pub building: bool,
}

/// A device in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// Its DID.
    pub did: String,
    /// Its batch.
    pub batch: String,
    /// Its owner's DID.
    pub owner: String,
    /// Its model.
    pub model: String,
    /// Its standing under the newest head: `active`, `held`, `revoked`, `deactivated`.
    pub state: String,
    /// Its serial number, if the directory has it and it is the asking organisation's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<String>,
    /// Its lot, likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lot: Option<String>,
    /// When a gateway last reported it (ms).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<u64>,
    /// The last entry that changed it or its batch; its enrolment, if nothing did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changed: Option<u64>,
}

/// Devices by standing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCounts {
    /// In good standing.
    pub active: u64,
    /// Suspended.
    pub held: u64,
    /// Ended for good.
    pub revoked: u64,
    /// Their DID ended for good.
    pub deactivated: u64,
}

impl StateCounts {
    /// Counts a device by the word of its standing.
    pub fn add(&mut self, word: &str) {
        match word {
            "held" => self.held += 1,
            "revoked" => self.revoked += 1,
            "deactivated" => self.deactivated += 1,
            _ => self.active += 1,
        }
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        self.active + self.held + self.revoked + self.deactivated
    }
}

/// Gateways by how they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayCounts {
    /// Whose registration holds.
    pub registered: u64,
    /// Of them, those that follow and spoke of late.
    pub fresh: u64,
    /// Those that say that their roll is too old, or that they follow no further.
    pub stale: u64,
    /// Those that were not heard of for a while, or never.
    pub silent: u64,
}

/// The network in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverviewCounts {
    /// Log entries under the head that these counts are of.
    pub size: u64,
    /// When that head was signed (ms).
    pub time: u64,
    /// Devices by standing.
    pub devices: StateCounts,
    /// The same by model.
    pub models: BTreeMap<String, StateCounts>,
    /// Batches.
    pub batches: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Gateways.
    pub gateways: GatewayCounts,
}

/// What a change would reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectView {
    /// Devices, each once.
    pub devices: u64,
    /// By model.
    pub models: BTreeMap<String, u64>,
    /// By their present standing.
    pub states: StateCounts,
    /// How many were looked up among what gateways saw; the numbers below are of these.
    pub looked_at: u64,
    /// Seen within a day.
    pub seen_day: u64,
    /// Seen within a week.
    pub seen_week: u64,
    /// Ever seen.
    pub seen: u64,
    /// By the gateway that saw them last, the busiest first.
    pub places: Vec<EffectPlace>,
    /// The gateways that would refuse.
    pub gateways: GatewayCounts,
    /// Devices that ended since midnight (UTC), for rules that limit them.
    pub ended_today: u64,
    /// Targets that are not on the ledger.
    pub unknown: Vec<String>,
}

/// Devices that a gateway saw last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectPlace {
    /// Its name.
    pub gateway: String,
    /// Its organisation.
    pub organisation: String,
    /// Where it stands.
    pub site: String,
    /// How many.
    pub devices: u64,
    /// How many of them within a day.
    pub day: u64,
    /// When it saw one of them last (ms).
    pub last_seen: u64,
}

/// What happened in a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityPoint {
    /// When it begins (ms).
    pub time: u64,
    /// Devices enrolled.
    pub enrolled: u64,
    /// Devices named by holds, those of a batch all.
    pub held: u64,
    /// Devices named by releases.
    pub released: u64,
    /// Devices named by revocations and deactivations.
    pub revoked: u64,
    /// Devices that gateways let through.
    pub authentications: u64,
    /// Presentations that gateways refused.
    pub refusals: u64,
}

/// A page of the log, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The entries.
    pub rows: Vec<LogRow>,
    /// Ask for what is before this entry; none at the beginning of the log. A page may be short,
    /// even empty, and have a next one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<u64>,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// What changed, by whom.
    #[serde(flatten)]
    pub change: ChangeView,
    /// The device, batch, grant or organisation that it changes.
    pub subject: String,
    /// Which of them it is: `device`, `batch`, `grant`, `organisation`, `network`.
    pub subject_kind: String,
    /// How many devices it names.
    pub devices: u64,
    /// One sentence.
    pub words: String,
    /// The entry's hash in the log (RFC 9162 §2.1.1), lower-case hexadecimal.
    pub leaf_hash: String,
}

/// Something that just happened, for pages that are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Somebody joined, was invited, or left: who may use this node's console changed.
    People {
        /// Whose people.
        organisation: String,
    },
    /// A head was signed.
    Head {
        /// Log entries.
        size: u64,
        /// Blocks.
        height: u64,
        /// When (ms).
        time: u64,
    },
    /// A batch went live.
    Enrolled {
        /// The batch.
        batch: String,
        /// Its model.
        model: String,
        /// Its devices.
        devices: u64,
    },
    /// Rows of an upload came.
    Upload {
        /// The organisation that uploads.
        organisation: String,
        /// Number of the upload at this node: no right to it.
        number: u64,
        /// Its model.
        model: String,
        /// Rows staged.
        staged: u64,
        /// Rows that its request named.
        rows: u64,
    },
    /// A gateway goes by more of the log.
    Coverage {
        /// Its organisation.
        organisation: String,
        /// Its name.
        gateway: String,
        /// Log entries it goes by.
        size: u64,
    },
    /// A gateway does otherwise: see [`GatewayView::state`](crate::GatewayView).
    Gateway {
        /// Its organisation.
        organisation: String,
        /// Its name.
        gateway: String,
        /// How it does.
        state: String,
    },
    /// Events were left out, since whoever watches was slow: read the page anew.
    Missed {
        /// How many.
        events: u64,
    },
}
