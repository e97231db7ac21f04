//! How a node decides, and with whom: JSON for people and scripts. It is the node's word about
//! itself and what it sees of others; what must be proved travels as checkpoints.

use serde::{Deserialize, Serialize};

/// What a node is for the ledger.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsensusRole {
    /// It decides alone.
    #[default]
    Solo,
    /// It votes with others.
    Validator,
    /// It follows the validators, takes operations and passes them on.
    Access,
}

impl ConsensusRole {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Solo => "solo",
            Self::Validator => "validator",
            Self::Access => "access",
        }
    }
}

/// `GET /v1/consensus`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsensusView {
    /// Genesis hash.
    pub network: String,
    /// What this node is.
    pub role: ConsensusRole,
    /// The key that it would vote with (Multikey).
    pub key: String,
    /// By which name others dial it; empty without a consortium.
    pub peer: String,
    /// Height of the last block that was decided here.
    pub height: u64,
    /// Log entries under the newest signed head.
    pub size: u64,
    /// Log root of that head, base64.
    pub log_root: String,
    /// State root of that head, base64.
    pub state_root: String,
    /// When that head was signed (ms).
    pub checkpoint_time: u64,
    /// Round of the height that is being decided; 0 while nothing is.
    pub round: u64,
    /// Validators that must sign, and how many are heard of.
    pub quorum: QuorumView,
    /// Those who decide the next block.
    pub validators: Vec<ValidatorView>,
    /// Nodes it speaks with, or would like to.
    pub peers: Vec<PeerView>,
    /// Batches that were announced and are not decided.
    pub batches: Vec<UnderWayView>,
    /// Decided batches whose leaves are not here yet: until they are, it signs nothing.
    pub missing_leaves: Vec<UnderWayView>,
    /// While it fetches blocks that others decided: the height it goes for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catching_up_to: Option<u64>,
    /// From which height on it votes while it is a validator. None as long as that is not known: it
    /// was put back from a backup and has not heard how far the others are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub votes_from: Option<u64>,
    /// What validators signed and must not have, kept as files.
    pub evidence: Vec<EvidenceView>,
}

/// How many validators must sign.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumView {
    /// More than two thirds of them.
    pub needed: u64,
    /// Of them, those that this node hears of at present, itself included.
    pub present: u64,
    /// All of them.
    pub of: u64,
}

/// Who decides.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ValidatorView {
    /// Its key (Multikey).
    pub key: String,
    /// Whose key it is (DID).
    pub organisation: String,
    /// That organisation's name.
    pub label: String,
    /// Whether its signature is in the newest checkpoint.
    pub signed: bool,
    /// Whether this node hears of it at present, or is it.
    pub present: bool,
    /// The last height at which something of it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
}

/// A node it speaks with.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerView {
    /// Its name; empty while nobody answered at the address.
    pub id: String,
    /// Where it is.
    pub address: String,
    /// Whether there is a connection.
    pub connected: bool,
    /// The height it says it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// How far that is behind the highest one that is known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// When it was last heard of (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
    /// How long an answer takes (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u64>,
}

/// A batch between its announcement and its leaves on every node.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnderWayView {
    /// Its id.
    pub batch: String,
    /// Devices.
    pub count: u64,
    /// Leaves of it that are here and checked.
    pub here: u64,
    /// Validators that said they have all of them.
    pub ready: u64,
}

/// Something that a validator signed and must not have.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvidenceView {
    /// What it did: such as double-vote, double-proposal, two-heads.
    pub what: String,
    /// Its key (Multikey).
    pub validator: String,
    /// At which height.
    pub height: u64,
    /// The file that proves it, in the node's folder.
    pub file: String,
}
