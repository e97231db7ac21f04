use serde::{Deserialize, Serialize};

/// The rules of the network, as they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesView {
    /// How old a follower's last verified head may be before it needs a pinned one (ms).
    pub trust_period_ms: u64,
    /// The least evidence that any grant may ask for.
    pub evidence: String,
    /// What one signature does not suffice for; absent if it suffices for everything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<ApprovalView>,
    /// How many organisations decide what concerns all, where they are several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub table: Vec<MatterView>,
}

/// How many organisations decide a kind of act that concerns all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatterView {
    /// `admit`, `expel`, `grant`, `validators`, `rules`, `protocol` or `hold`.
    pub matter: String,
    /// A number, `more than half`, `more than two thirds` or `all`.
    pub threshold: String,
    /// How many organisations that are now, whoever proposes included.
    pub organisations: u64,
    /// Whether the rules say so; if not, it is what holds where they say nothing.
    pub stated: bool,
}

/// What needs a proposal and the approval of others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// So many devices an organisation may end in a day of UTC without approval.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub devices: Option<u64>,
    /// How many keys other than the proposing one must approve.
    pub people: u64,
    /// Whether changes of keys, rules and protocol version need approval.
    pub governance: bool,
}

/// The protocol version of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolView {
    /// The version of the next block.
    pub version: u64,
    /// What was announced and is not reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<NextProtocolView>,
    /// What this node cannot follow, in words: before the height, and from it on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upgrade: Option<String>,
}

/// A protocol version, and from which block on operations state it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextProtocolView {
    /// The version.
    pub version: u64,
    /// Height of its first block.
    pub height: u64,
    /// As long as it is not confirmed, from when on it may be (ms): it does not come before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirm_from: Option<u64>,
}

/// `GET /v1/proposals`: what waits for approval.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalsView {
    /// How many keys other than the proposing one must approve.
    pub people: u64,
    /// What each organisation ended today without approval, if the rules count it.
    pub ended: Vec<EndedView>,
    /// Open proposals, oldest first.
    pub proposals: Vec<ProposalView>,
}

/// How many devices an organisation ended without approval on the day of UTC of the head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedView {
    /// Its DID.
    pub organisation: String,
    /// Devices.
    pub today: u64,
}

/// An open proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalView {
    /// Its id: the hash of `signed`.
    pub proposal: String,
    /// The organisation that proposes, and approves what does not concern all.
    pub organisation: String,
    /// What kind of act it is, if it concerns all: then other organisations approve.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub matter: Option<String>,
    /// How many keys or other organisations must approve.
    #[serde(default)]
    pub needed: u64,
    /// The key that proposed (Multikey).
    pub key: String,
    /// What is proposed, in one word.
    pub action: String,
    /// The device or batch it concerns.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// How many devices that are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub devices: Option<u64>,
    /// Public reason, where one was given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Place of the proposal in the log.
    pub entry: u64,
    /// When it was proposed (ms).
    pub proposed: u64,
    /// From then on nobody can approve it (ms).
    pub expires: u64,
    /// Keys that approved (Multikey), those of them that still count.
    pub approvals: Vec<String>,
    /// Of what concerns all, the organisations of those keys.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approved_by: Vec<String>,
    /// The signed operation that proposed it, base64url: whoever approves reads this, not the words
    /// of a node.
    pub signed: String,
}

/// What an approval was about: beside the entry in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedView {
    /// The proposal's id.
    pub proposal: String,
    /// What was proposed, in one word.
    pub action: String,
    /// Whether this entry carried it out.
    pub carried_out: bool,
    /// The key that proposed (Multikey).
    pub proposed_by: String,
    /// Keys that approved up to this entry (Multikey), its own included.
    pub approved_by: Vec<String>,
}
