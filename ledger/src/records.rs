//! What the state holds: one record per organisation, grant and batch, and per device that
//! changed since its enrolment. Records name log positions, never heights or times of blocks,
//! so the state does not depend on how operations fell into blocks.

mod encoding;

use crate::{
    BatchId, Capability, DeviceKey, EvidencePolicy, GrantId, HoldId, OfferId, OrgKey, Power, Time,
    limits,
};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Error, PublicKey, sha256};

/// An organisation of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationRecord {
    /// A name to show; public.
    pub label: String,
    /// Its present keys; none of an organisation that was expelled.
    pub keys: Vec<OrgKey>,
    /// Change counter.
    pub seq: u64,
}

impl OrganisationRecord {
    /// Whether the key is one of its present keys with this capability.
    pub fn may(&self, key: &PublicKey, capability: Capability) -> bool {
        self.keys.iter().any(|k| k.key == *key && k.capabilities.has(capability))
    }

    /// Whether it is one of the network's organisations. One that was expelled has no keys, and
    /// every other has a root key.
    pub fn is_admitted(&self) -> bool {
        !self.keys.is_empty()
    }
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// Who gave it.
    pub issuer: Did,
    /// Who may enrol under it.
    pub organisation: Did,
    /// Which models; none named means every model.
    pub models: Vec<String>,
    /// How many devices in all.
    pub count: u64,
    /// How many are enrolled.
    pub used: u64,
    /// Until when.
    pub expires: Time,
    /// What evidence each leaf must show.
    pub evidence: EvidencePolicy,
    /// Whether it was withdrawn.
    pub withdrawn: bool,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecord {
    /// Who owns it and its devices, save those that left it by a transfer of their own. At first
    /// whoever enrolled it, which its grant names for ever.
    pub owner: Did,
    /// Under which grant.
    pub grant: GrantId,
    /// Model of its devices.
    pub model: String,
    /// Number of leaves.
    pub count: u64,
    /// Root of the leaf tree.
    pub root: [u8; 32],
    /// Position of its enrolment in the log.
    pub entry: u64,
    /// Change counter.
    pub seq: u64,
    /// Its standing, which is also that of its devices.
    pub standing: Standing,
    /// To whom it is offered.
    pub offer: Option<Box<Offer>>,
}

/// A device that changed since its enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The batch it was enrolled in.
    pub batch: BatchId,
    /// Its leaf in the batch.
    pub index: u64,
    /// Change counter.
    pub seq: u64,
    /// The present authentication key.
    pub key: DeviceKey,
    /// Keys that are over, oldest first.
    pub retired: Vec<RetiredKey>,
    /// Commitment to the next key.
    pub next_key: Option<[u8; 32]>,
    /// The device's own standing.
    pub standing: Standing,
    /// Whether it left its batch by a transfer.
    pub left: Option<Left>,
    /// To whom it is offered.
    pub offer: Option<Box<Offer>>,
}

/// A device that left its batch: neither the batch's owner nor its standing reaches it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Who owns it.
    pub owner: Did,
    /// Place in the log of the transfer by which it left.
    pub entry: u64,
}

/// An open offer of a transfer. Every change of its target ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// Who may accept it.
    pub to: Did,
    /// From then on nobody can.
    pub expires: Time,
    /// Of a device in its batch: the batch's change counter when it was made. A change of the batch
    /// is one of its devices, and ends the offer too.
    pub batch: Option<u64>,
}

/// A key that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetiredKey {
    /// The key.
    pub key: PublicKey,
    /// Why.
    pub why: Retired,
}

/// Why a key is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// Replaced by another.
    Rotated = 1,
    /// Revoked.
    Revoked = 2,
    /// Replaced by a recovery, as the device had declared; perhaps revoked before.
    Recovered = 3,
}

/// The standing of a device or batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Ended for good.
    pub revoked: bool,
    /// The DID ended for good.
    pub deactivated: bool,
    /// Log size after the last release, zero if there was none.
    pub released: u64,
    /// Present holds.
    pub holds: Vec<HoldRecord>,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRecord {
    /// Its id.
    pub id: HoldId,
    /// Who placed it.
    pub by: Did,
    /// By which power.
    pub power: Power,
    /// When it ends by itself.
    pub until: Option<Time>,
}

/// A standing in one word, strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// In good standing.
    Active,
    /// Suspended, reversibly.
    Held,
    /// Ended for good.
    Revoked,
    /// The DID ended for good.
    Deactivated,
}

impl Status {
    /// Its word in documents, headers and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Held => "held",
            Self::Revoked => "revoked",
            Self::Deactivated => "deactivated",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Standing {
    /// The status at a time. Holds end lazily, against the time of a verified checkpoint or of
    /// a block, never a local clock.
    pub fn at(&self, time: Time) -> Status {
        if self.deactivated {
            Status::Deactivated
        } else if self.revoked {
            Status::Revoked
        } else if self.holds.iter().any(|h| h.until.is_none_or(|until| time < until)) {
            Status::Held
        } else {
            Status::Active
        }
    }
}

/// The status of a device: the strictest of its own and, until it leaves, its batch's.
pub fn status(device: Option<&DeviceRecord>, batch: &BatchRecord, time: Time) -> Status {
    let own = device.map_or(Status::Active, |d| d.standing.at(time));
    if device.is_some_and(|d| d.left.is_some()) { own } else { own.max(batch.standing.at(time)) }
}

/// The owner of a device: its batch's, until it leaves.
pub fn owner_of<'a>(device: Option<&'a DeviceRecord>, batch: &'a BatchRecord) -> &'a Did {
    device.and_then(|d| d.left.as_ref()).map_or(&batch.owner, |left| &left.owner)
}

/// The validators of a network, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorSet(pub Vec<PublicKey>);

impl ValidatorSet {
    /// The hash that checkpoints carry.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[&self.to_cbor()])
    }

    /// How many must sign: more than two thirds.
    pub fn quorum(&self) -> usize {
        self.0.len() * 2 / 3 + 1
    }
}

impl Encode for ValidatorSet {
    fn encode(&self, w: &mut Writer) {
        w.list(&self.0);
    }
}

impl Decode for ValidatorSet {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let keys: Vec<PublicKey> = r.list(limits::VALIDATORS)?;
        let distinct = keys.windows(2).all(|pair| pair[0] < pair[1]);
        if keys.is_empty() || !distinct {
            return Err(r.fault("validators are one or more keys in ascending order"));
        }
        if keys.iter().any(|k| k.algorithm() != muster_identity::Algorithm::Ed25519) {
            return Err(r.fault("a validator key is Ed25519 (C2SP cosignature/v1)"));
        }
        Ok(Self(keys))
    }
}
