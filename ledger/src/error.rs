use crate::{BatchId, GrantId, HoldId, OfferId, Outcome, ProposalId, Status, Time};
use alloc::string::String;
use muster_identity::{Did, PublicKey};

/// Bytes that are not what they claim to be: always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key, a signature, a DID or an encoding that the ground refuses.
    #[error(transparent)]
    Identity(#[from] muster_identity::Error),
    /// An operation of a later protocol version, or of a kind this one does not know.
    #[error("upgrade needed: {0}")]
    Upgrade(&'static str),
    /// A Merkle path that does not lead to the root.
    #[error("the Merkle path does not lead to the root")]
    Path,
    /// A value outside its stated bounds.
    #[error("{0}")]
    Bound(&'static str),
}

/// Why an operation is refused. A refused operation leaves the state as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Signed for another network.
    #[error("signed for another network")]
    WrongNetwork,
    /// Its time is over.
    #[error("expired: valid until {until}, the block's time is {now}")]
    Expired {
        /// The operation's own limit.
        until: Time,
        /// Time of the block.
        now: Time,
    },
    /// It asks to be valid for longer than the ledger allows.
    #[error("valid_until lies more than 24 hours ahead")]
    TooLongLived,
    /// From this block on operations state a protocol version that this program does not know.
    #[error(
        "upgrade needed: from block {height} on the network speaks protocol {version}, this program \
         knows up to {known}"
    )]
    Upgrade {
        /// The version.
        version: u64,
        /// Height of the next block.
        height: u64,
        /// The version of this program.
        known: u64,
    },
    /// More devices than one signature may end in a day.
    #[error(
        "this ends {devices} devices; without approval an organisation ends {allowed} a day, and \
         {today} were ended today"
    )]
    TooManyEnded {
        /// By the operation.
        devices: u64,
        /// On this day of UTC, before it.
        today: u64,
        /// In a day.
        allowed: u64,
    },
    /// A matter that takes more than one signature.
    #[error("by the network's rules {0} needs a proposal that others approve")]
    NeedsApproval(&'static str),
    /// Fewer keys that approve than the rules ask for.
    #[error(
        "the rules ask for more approvals than the organisation's keys could give: whoever proposes \
         does not approve; add keys with `approve`, in the same change if one is removed"
    )]
    TooFewApprovers,
    /// No such proposal.
    #[error("no proposal {0} on this ledger")]
    UnknownProposal(ProposalId),
    /// The same proposal twice.
    #[error("proposal {0} is on the ledger already")]
    ProposalExists(ProposalId),
    /// The proposal is over.
    #[error("the proposal is {}", .0.word())]
    ProposalClosed(Outcome),
    /// The key cannot approve this proposal: it made it, or approved it before.
    #[error("{0}")]
    OwnApproval(&'static str),
    /// The author is neither an organisation nor the device concerned.
    #[error(
        "{0} may not do this: it is neither an organisation of this network nor the device itself"
    )]
    UnknownAuthor(Did),
    /// The key does not belong to the author, or not any more.
    #[error("{key} is not a present key of {author}")]
    NotAKeyOf {
        /// The key that signed.
        key: PublicKey,
        /// Whom the operation names.
        author: Did,
    },
    /// The key lacks the capability.
    #[error("{key} lacks the capability `{needs}`")]
    Capability {
        /// The key that signed.
        key: PublicKey,
        /// What it would need.
        needs: &'static str,
    },
    /// Only the owner may do this.
    #[error("only the owner {0} may do this")]
    NotOwner(Did),
    /// The change counter moved on: read the target again and sign again.
    #[error("the change counter is {found}, the operation was signed for {signed}")]
    Sequence {
        /// In the state.
        found: u64,
        /// In the operation.
        signed: u64,
    },
    /// No such batch.
    #[error("no batch {0} on this ledger")]
    UnknownBatch(BatchId),
    /// The state does not know the device and the operation carries no device part.
    #[error("{0} is unchanged since enrolment: the operation must carry its device part")]
    DevicePartMissing(Did),
    /// The device part does not belong to the device or its batch.
    #[error("the device part does not prove {0}")]
    DevicePart(Did),
    /// The target is not in a state that allows this.
    #[error("the target is {0}")]
    Standing(Status),
    /// The same hold id twice.
    #[error("hold {0} is already placed")]
    HoldExists(HoldId),
    /// No such hold.
    #[error("no hold {0} on the target")]
    UnknownHold(HoldId),
    /// The target was released after its signer looked.
    #[error(
        "the target was released at log size {released}, the hold was signed at {seen}: look again"
    )]
    ReleasedSince {
        /// Log size after the release.
        released: u64,
        /// Log size the signer had seen.
        seen: u64,
    },
    /// The hold was placed by another power.
    #[error("the hold was placed by another power and only that may release it")]
    OtherPower,
    /// The key is not one of the target's.
    #[error("{0} is not a key of the target")]
    UnknownKey(PublicKey),
    /// The key was used before, here or elsewhere; keys never come back.
    #[error("{0} was in use before, and a key never returns")]
    KeyUsed(PublicKey),
    /// The new key is not the one committed to.
    #[error("the new key is not the one the device committed to")]
    NextKey,
    /// An organisation must keep a root key.
    #[error("the organisation would be left without a root key")]
    NoRootKey,
    /// The batch is on the ledger already.
    #[error("batch {0} is already enrolled")]
    BatchExists(BatchId),
    /// No such grant.
    #[error("no grant {0} on this ledger")]
    UnknownGrant(GrantId),
    /// The grant was withdrawn or has expired, or belongs to another organisation.
    #[error("grant {grant}: {why}")]
    Grant {
        /// Which one.
        grant: GrantId,
        /// What is wrong.
        why: &'static str,
    },
    /// The grant does not cover so many devices.
    #[error("the grant allows {allowed} devices, {used} are used, the batch has {asked}")]
    GrantExceeded {
        /// In all.
        allowed: u64,
        /// Already enrolled.
        used: u64,
        /// Asked for now.
        asked: u64,
    },
    /// The grant does not name the model.
    #[error("the grant does not cover model {0:?}")]
    Model(String),
    /// An organisation that cannot be admitted, expelled or counted on.
    #[error("organisation {organisation}: {why}")]
    Organisation {
        /// Which one.
        organisation: Did,
        /// What is wrong.
        why: &'static str,
    },
    /// A key that was named as a validator and is none of an organisation's for that.
    #[error(
        "{0} is no key of an organisation of this network with the capability `validator`: its          organisation adds it first"
    )]
    NotAValidator(PublicKey),
    /// The offer of a transfer cannot be made, accepted or ended.
    #[error("offer {offer}: {why}")]
    Offer {
        /// Which one.
        offer: OfferId,
        /// What is wrong.
        why: &'static str,
    },
    /// The device declared no such recovery.
    #[error("{0} declared no recovery by whoever signed this")]
    NoRecovery(Did),
    /// A list is full.
    #[error("{0}")]
    Limit(&'static str),
    /// A DID or key of a batch is on the ledger already (checked over the leaves by nodes).
    #[error("row {row}: {did} or its key is already on the ledger")]
    Clash {
        /// Row of the batch, from 0.
        row: u64,
        /// The device.
        did: Did,
    },
    /// The leaves of a batch are not what the operation says (checked by nodes).
    #[error("leaves: {0}")]
    Leaves(&'static str),
    /// A record of the state cannot be read: the store is damaged.
    #[error("the state is damaged: {0}")]
    Corrupt(&'static str),
}

impl Refusal {
    /// A stable word for scripts and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongNetwork => "wrong-network",
            Self::Expired { .. } => "expired",
            Self::TooLongLived => "too-long-lived",
            Self::Upgrade { .. } => "upgrade-needed",
            Self::TooManyEnded { .. } | Self::NeedsApproval(_) => "needs-approval",
            Self::TooFewApprovers => "too-few-approvers",
            Self::UnknownProposal(_) => "unknown-proposal",
            Self::ProposalExists(_) => "proposal-exists",
            Self::ProposalClosed(_) => "proposal-closed",
            Self::OwnApproval(_) => "own-approval",
            Self::UnknownAuthor(_) => "unknown-author",
            Self::NotAKeyOf { .. } => "not-a-key",
            Self::Capability { .. } => "capability",
            Self::NotOwner(_) => "not-owner",
            Self::Sequence { .. } => "sequence",
            Self::UnknownBatch(_) => "unknown-batch",
            Self::DevicePartMissing(_) => "device-part-missing",
            Self::DevicePart(_) => "device-part",
            Self::Standing(_) => "standing",
            Self::HoldExists(_) => "hold-exists",
            Self::UnknownHold(_) => "unknown-hold",
            Self::ReleasedSince { .. } => "released-since",
            Self::OtherPower => "other-power",
            Self::UnknownKey(_) => "unknown-key",
            Self::KeyUsed(_) => "key-used",
            Self::NextKey => "next-key",
            Self::NoRootKey => "no-root-key",
            Self::BatchExists(_) => "batch-exists",
            Self::UnknownGrant(_) => "unknown-grant",
            Self::Grant { .. } => "grant",
            Self::GrantExceeded { .. } => "grant-exceeded",
            Self::Model(_) => "model",
            Self::Organisation { .. } => "organisation",
            Self::NotAValidator(_) => "not-a-validator",
            Self::Offer { .. } => "offer",
            Self::NoRecovery(_) => "no-recovery",
            Self::Limit(_) => "limit",
            Self::Clash { .. } => "clash",
            Self::Leaves(_) => "leaves",
            Self::Corrupt(_) => "corrupt",
        }
    }
}
