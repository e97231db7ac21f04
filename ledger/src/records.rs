//! What the state holds: one record per organisation, grant and batch, and per device that
//! changed since its enrolment. Records name log positions, never heights or times of blocks,
//! so the state does not depend on how operations fell into blocks.

use crate::{
    BatchId, Capability, DeviceKey, EvidencePolicy, GrantId, HoldId, OrgKey, Power, Time, action,
    limits,
};
use alloc::{string::String, vec::Vec};
use core::fmt;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Error, PublicKey, sha256};

/// An organisation of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationRecord {
    /// A name to show; public.
    pub label: String,
    /// Its present keys.
    pub keys: Vec<OrgKey>,
    /// Change counter.
    pub seq: u64,
}

impl OrganisationRecord {
    /// Whether the key is one of its present keys with this capability.
    pub fn may(&self, key: &PublicKey, capability: Capability) -> bool {
        self.keys.iter().any(|k| k.key == *key && k.capabilities.has(capability))
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
    /// Who enrolled it, and owns its devices until they leave by transfer.
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

/// The status of a device: the strictest of its own and its batch's.
pub fn status(device: Option<&DeviceRecord>, batch: &BatchRecord, time: Time) -> Status {
    let own = device.map_or(Status::Active, |d| d.standing.at(time));
    own.max(batch.standing.at(time))
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

impl Encode for OrganisationRecord {
    fn encode(&self, w: &mut Writer) {
        w.map(3).uint(1).text(&self.label).uint(2).list(&self.keys).uint(3).uint(self.seq);
    }
}

impl Decode for OrganisationRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            label: action::printable(m.required(1)?, limits::LABEL_BYTES)?,
            keys: m.required(2)?.list(limits::ORGANISATION_KEYS)?,
            seq: m.required(3)?.uint()?,
        };
        m.end()?;
        Ok(record)
    }
}

impl Encode for GrantRecord {
    fn encode(&self, w: &mut Writer) {
        w.map(8).uint(1).value(&self.issuer).uint(2).value(&self.organisation);
        w.uint(3).array(self.models.len());
        for model in &self.models {
            w.text(model);
        }
        w.uint(4).uint(self.count).uint(5).uint(self.used).uint(6).value(&self.expires);
        w.uint(7).value(&self.evidence).uint(8).bool(self.withdrawn);
    }
}

impl Decode for GrantRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            issuer: m.required(1)?.value()?,
            organisation: m.required(2)?.value()?,
            models: action::models(m.required(3)?)?,
            count: m.required(4)?.uint()?,
            used: m.required(5)?.uint()?,
            expires: m.required(6)?.value()?,
            evidence: m.required(7)?.value()?,
            withdrawn: m.required(8)?.bool()?,
        };
        m.end()?;
        Ok(record)
    }
}

impl Encode for BatchRecord {
    fn encode(&self, w: &mut Writer) {
        w.map(8).uint(1).value(&self.owner).uint(2).value(&self.grant).uint(3).text(&self.model);
        w.uint(4).uint(self.count).uint(5).bytes(&self.root).uint(6).uint(self.entry);
        w.uint(7).uint(self.seq).uint(8).value(&self.standing);
    }
}

impl Decode for BatchRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            owner: m.required(1)?.value()?,
            grant: m.required(2)?.value()?,
            model: action::model(m.required(3)?)?,
            count: m.required(4)?.uint_max(limits::BATCH_DEVICES)?,
            root: m.required(5)?.array_of()?,
            entry: m.required(6)?.uint()?,
            seq: m.required(7)?.uint()?,
            standing: m.required(8)?.value()?,
        };
        m.end()?;
        Ok(record)
    }
}

impl Encode for DeviceRecord {
    fn encode(&self, w: &mut Writer) {
        let optional =
            usize::from(self.key.written().is_some()) + usize::from(self.next_key.is_some());
        w.map(5 + optional).uint(1).value(&self.batch).uint(2).uint(self.index);
        w.uint(3).uint(self.seq);
        if let Some(keys) = self.key.written() {
            w.uint(4).list(keys);
        }
        w.uint(5).list(&self.retired);
        if let Some(next) = &self.next_key {
            w.uint(6).bytes(next);
        }
        w.uint(7).value(&self.standing);
    }
}

impl Decode for DeviceRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut m = r.map()?;
        let record = Self {
            batch: m.required(1)?.value()?,
            index: m.required(2)?.uint_max(limits::BATCH_DEVICES)?,
            seq: m.required(3)?.uint()?,
            key: m.optional(4)?.map(DeviceKey::read).transpose()?.unwrap_or(DeviceKey::Own),
            retired: m.required(5)?.list(limits::RETIRED_KEYS)?,
            next_key: m.optional(6)?.map(|r| r.array_of()).transpose()?,
            standing: m.required(7)?.value()?,
        };
        m.end()?;
        if record.key == DeviceKey::Own && !(record.retired.is_empty() && record.next_key.is_none())
        {
            return Err(r.fault("a device with the key of its bare inception never had another"));
        }
        Ok(record)
    }
}

impl Encode for RetiredKey {
    fn encode(&self, w: &mut Writer) {
        w.array(2).value(&self.key).uint(self.why as u64);
    }
}

impl Decode for RetiredKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        let key = r.value()?;
        let why = match r.uint()? {
            1 => Retired::Rotated,
            2 => Retired::Revoked,
            _ => return Err(r.fault("an unknown reason for a retired key")),
        };
        Ok(Self { key, why })
    }
}

impl Encode for Standing {
    fn encode(&self, w: &mut Writer) {
        w.array(4).bool(self.revoked).bool(self.deactivated).uint(self.released);
        w.list(&self.holds);
    }
}

impl Decode for Standing {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(4)?;
        Ok(Self {
            revoked: r.bool()?,
            deactivated: r.bool()?,
            released: r.uint()?,
            holds: r.list(limits::HOLDS)?,
        })
    }
}

impl Encode for HoldRecord {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.until.is_some() { 4 } else { 3 });
        w.value(&self.id).value(&self.by).value(&self.power);
        if let Some(until) = &self.until {
            w.value(until);
        }
    }
}

impl Decode for HoldRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let items = r.array(4)?;
        if items < 3 {
            return Err(r.fault("a hold has an id, an author and a power"));
        }
        Ok(Self {
            id: r.value()?,
            by: r.value()?,
            power: r.value()?,
            until: if items == 4 { Some(r.value()?) } else { None },
        })
    }
}
