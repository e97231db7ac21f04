//! What a node answers about organisations, batches and devices: JSON for people and scripts.
//! It is the node's word; what must be proved travels as receipts and checkpoints.

use crate::{ApprovedView, ProtocolView, RulesView};
use serde::{Deserialize, Serialize};

/// `GET /v1/network`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
    /// Genesis hash.
    pub network: String,
    /// Log entries.
    pub size: u64,
    /// Height of the last block.
    pub height: u64,
    /// Time of the last block (ms).
    pub time: u64,
    /// Time of the head's last signature (ms).
    pub checkpoint_time: u64,
    /// Log root, base64.
    pub log_root: String,
    /// State root, base64.
    pub state_root: String,
    /// Enrolled devices.
    pub devices: u64,
    /// Organisations.
    pub organisations: Vec<OrganisationView>,
    /// Grants.
    pub grants: Vec<GrantView>,
    /// Rules.
    #[serde(default)]
    pub rules: RulesView,
    /// Protocol version.
    #[serde(default)]
    pub protocol: ProtocolView,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationView {
    /// Its DID.
    pub did: String,
    /// Its name.
    pub label: String,
    /// Change counter.
    pub seq: u64,
    /// Its keys.
    pub keys: Vec<KeyView>,
}

/// A key of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Multikey.
    pub key: String,
    /// Capabilities.
    pub capabilities: Vec<String>,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantView {
    /// Its id.
    pub grant: String,
    /// Who may enrol under it.
    pub organisation: String,
    /// Models; none means all.
    pub models: Vec<String>,
    /// Devices in all.
    pub count: u64,
    /// Devices enrolled.
    pub used: u64,
    /// Until when (ms).
    pub expires: u64,
    /// Evidence asked for.
    pub evidence: String,
    /// Whether it was withdrawn.
    pub withdrawn: bool,
}

/// `GET /v1/batches`, `GET /v1/batches/{batch}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchView {
    /// Its id.
    pub batch: String,
    /// Owner.
    pub owner: String,
    /// Grant.
    pub grant: String,
    /// Model.
    pub model: String,
    /// Devices.
    pub count: u64,
    /// Log position of the enrolment.
    pub entry: u64,
    /// Change counter.
    pub seq: u64,
    /// Its own standing.
    pub standing: String,
    /// Present holds.
    pub holds: Vec<HoldView>,
    /// The open offer of a transfer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offer: Option<OfferView>,
}

/// `GET /v1/devices/{did}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The DID.
    pub did: String,
    /// Its batch.
    pub batch: String,
    /// Leaf in the batch.
    pub index: u64,
    /// Owner.
    pub owner: String,
    /// Model.
    pub model: String,
    /// Whether the state has a record of its own; if not, the first operation carries the
    /// device part.
    pub changed: bool,
    /// Change counter.
    pub seq: u64,
    /// Strictest of its own and its batch's standing.
    pub standing: String,
    /// Present key, if any.
    pub key: Option<String>,
    /// Keys that are over.
    pub retired: Vec<String>,
    /// Those of them that a recovery replaced: the device did not sign for the one that followed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub recovered: Vec<String>,
    /// Place in the log of the transfer by which it left its batch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left: Option<u64>,
    /// The open offer of a transfer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offer: Option<OfferView>,
    /// Its own present holds.
    pub holds: Vec<HoldView>,
    /// Serial number from the private directory, where the node has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<String>,
    /// Lot from the private directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lot: Option<String>,
    /// When a gateway that reports so last let it through (ms).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<u64>,
    /// That gateway's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen_by: Option<String>,
    /// The node knows more, and shows it to the organisation that it belongs to.
    #[serde(skip_serializing_if = "is_false", default)]
    pub withheld: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// An offer of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    /// Its id.
    pub offer: String,
    /// The organisation that may accept it.
    pub to: String,
    /// From then on it cannot (ms).
    pub expires: u64,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// Its id.
    pub hold: String,
    /// `owner`, `incident` or `governance`.
    pub power: String,
    /// Who placed it.
    pub by: String,
    /// When it ends (ms).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<u64>,
}

/// `GET /v1/history/{subject}`: one change, and who signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// Log position.
    pub entry: u64,
    /// Block.
    pub height: u64,
    /// Time of the block (ms).
    pub time: u64,
    /// What was done.
    pub action: String,
    /// Who answers for it.
    pub author: String,
    /// The key that signed.
    pub key: String,
    /// Hash of the operation.
    pub hash: String,
    /// Public reason, where one was given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// What was proposed and by whom, if this is an approval.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approved: Option<ApprovedView>,
}
