use crate::{
    BatchId, Capabilities, DeviceRef, EvidencePolicy, GrantId, HoldId, Network, Power, Target,
    Time, ValidatorSet, limits,
};
use alloc::{string::String, vec::Vec};
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Error, PublicKey, Signature, sha256};

/// What an operation does. *Empowering* actions bind the target's change counter (`seq`);
/// *restricting* ones apply whatever it is, so nobody can outrun them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Enrols a batch of devices.
    Enrol(Enrol),
    /// Suspends a device or batch (restricting).
    Hold(Hold),
    /// Lifts one hold (empowering).
    Release(Release),
    /// Ends a device or batch for good (restricting).
    Revoke(Revoke),
    /// Ends a DID for good (restricting).
    Deactivate(Deactivate),
    /// Ends one key of a device (restricting).
    RevokeKey(RevokeKey),
    /// Replaces a device's key, signed by the old and the new one (empowering).
    Rotate(Rotate),
    /// Adds and removes keys of an organisation (empowering).
    ChangeKeys(ChangeKeys),
    /// Lets an organisation enrol (empowering).
    Grant(Grant),
    /// Ends a grant (restricting).
    WithdrawGrant(WithdrawGrant),
    /// Replaces the validators of a network that one organisation runs alone (empowering).
    ChangeValidators(ChangeValidators),
}

/// Enrols `count` devices whose leaves have this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrol {
    /// Under this grant.
    pub grant: GrantId,
    /// Model of all devices of the batch.
    pub model: String,
    /// Number of leaves.
    pub count: u64,
    /// Root of the leaf tree.
    pub root: [u8; 32],
}

impl Enrol {
    /// The batch's id. It leaves out the model and the author: the same leaves under the same
    /// grant are the same batch.
    pub fn batch(&self, network: &Network) -> BatchId {
        let mut w = Writer::default();
        w.array(5).text("muster/batch/1").value(network).value(&self.grant);
        w.bytes(&self.root).uint(self.count);
        BatchId(sha256(&[&w.into_bytes()]))
    }
}

/// Suspends a target until it is released or the hold runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What is held.
    pub target: Target,
    /// Names the hold, so that one release lifts one hold.
    pub id: HoldId,
    /// By which power.
    pub power: Power,
    /// When it ends by itself; required for incidents.
    pub until: Option<Time>,
    /// Log size the signer had seen: a hold signed before a release does not undo it.
    pub seen: u64,
    /// Public reason, possibly empty.
    pub reason: String,
}

/// Lifts one hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What is released.
    pub target: Target,
    /// Which hold.
    pub hold: HoldId,
    /// The target's change counter.
    pub seq: u64,
}

/// Ends a device, or every device of a batch, with all present and future keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    /// What is revoked.
    pub target: Target,
    /// Public reason, possibly empty.
    pub reason: String,
}

/// Ends a DID (DID Core 1.0 §8.2: deactivate), or those of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deactivate {
    /// What is deactivated.
    pub target: Target,
}

/// Ends one key of a device, the device itself may go on with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeKey {
    /// The device.
    pub device: DeviceRef,
    /// The key.
    pub key: PublicKey,
}

/// Replaces a device's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// The device, which signs this with its old key.
    pub device: DeviceRef,
    /// Its change counter.
    pub seq: u64,
    /// The new key with its own signature.
    pub key: NewKey,
    /// Commitment to the next key, as in an inception.
    pub next_key: Option<[u8; 32]>,
}

/// A key that enters the ledger, and its signature that it wants to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewKey {
    /// The key.
    pub key: PublicKey,
    /// Over [`NewKey::message`].
    pub proof: Signature,
}

impl NewKey {
    /// What a new key signs: CBOR `["muster/new-key/1", network, DID it joins, seq, key]`.
    pub fn message(network: &Network, joins: &Did, seq: u64, key: &PublicKey) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(5).text("muster/new-key/1").value(network).value(joins).uint(seq).value(key);
        w.into_bytes()
    }

    pub(crate) fn verify(&self, network: &Network, joins: &Did, seq: u64) -> Result<(), Error> {
        self.key.verify(&Self::message(network, joins, seq, &self.key), &self.proof)
    }
}

/// Adds and removes keys of the author, all at once or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeKeys {
    /// The organisation's change counter.
    pub seq: u64,
    /// New keys with what they may do.
    pub add: Vec<(NewKey, Capabilities)>,
    /// Keys that end.
    pub remove: Vec<PublicKey>,
}

/// Lets an organisation enrol devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The author's change counter.
    pub seq: u64,
    /// Who may enrol.
    pub organisation: Did,
    /// Which models; none named means every model.
    pub models: Vec<String>,
    /// How many devices in all.
    pub count: u64,
    /// Until when.
    pub expires: Time,
    /// What evidence each leaf must show.
    pub evidence: EvidencePolicy,
}

impl Grant {
    /// The grant's id.
    pub fn id(network: &Network, issuer: &Did, seq: u64) -> GrantId {
        let mut w = Writer::default();
        w.array(4).text("muster/grant/1").value(network).value(issuer).uint(seq);
        GrantId(sha256(&[&w.into_bytes()]))
    }
}

/// Ends a grant; what it enrolled stays enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawGrant {
    /// Which grant.
    pub grant: GrantId,
}

/// Replaces the validators, by the root key alone: the old ones may be lost or stolen, so nobody
/// asks them. The new ones sign the head that this operation makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeValidators {
    /// The organisation's change counter.
    pub seq: u64,
    /// Who signs from this head on.
    pub validators: ValidatorSet,
}

impl Action {
    /// A stable word: the command that makes it, and its name in histories and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Enrol(_) => "enrol",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Revoke(_) => "revoke",
            Self::Deactivate(_) => "deactivate",
            Self::RevokeKey(_) => "revoke-key",
            Self::Rotate(_) => "rotate",
            Self::ChangeKeys(_) => "change-keys",
            Self::Grant(_) => "grant",
            Self::WithdrawGrant(_) => "withdraw-grant",
            Self::ChangeValidators(_) => "change-validators",
        }
    }

    /// The device or batch it concerns, if it concerns one that exists already.
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Hold(a) => Some(a.target.clone()),
            Self::Release(a) => Some(a.target.clone()),
            Self::Revoke(a) => Some(a.target.clone()),
            Self::Deactivate(a) => Some(a.target.clone()),
            Self::RevokeKey(a) => Some(Target::Device(a.device.clone())),
            Self::Rotate(a) => Some(Target::Device(a.device.clone())),
            Self::Enrol(_)
            | Self::ChangeKeys(_)
            | Self::Grant(_)
            | Self::WithdrawGrant(_)
            | Self::ChangeValidators(_) => None,
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Enrol(_) => 1,
            Self::Hold(_) => 2,
            Self::Release(_) => 3,
            Self::Revoke(_) => 4,
            Self::Deactivate(_) => 5,
            Self::RevokeKey(_) => 6,
            Self::Rotate(_) => 7,
            Self::ChangeKeys(_) => 8,
            Self::Grant(_) => 9,
            Self::WithdrawGrant(_) => 10,
            Self::ChangeValidators(_) => 11,
        }
    }
}

/// `[number, map]`.
impl Encode for Action {
    fn encode(&self, w: &mut Writer) {
        w.array(2).uint(self.number());
        match self {
            Self::Enrol(a) => {
                w.map(4).uint(1).value(&a.grant).uint(2).text(&a.model);
                w.uint(3).uint(a.count).uint(4).bytes(&a.root);
            }
            Self::Hold(a) => {
                w.map(if a.until.is_some() { 6 } else { 5 });
                w.uint(1).value(&a.target).uint(2).value(&a.id).uint(3).value(&a.power);
                if let Some(until) = &a.until {
                    w.uint(4).value(until);
                }
                w.uint(5).uint(a.seen).uint(6).text(&a.reason);
            }
            Self::Release(a) => {
                w.map(3).uint(1).value(&a.target).uint(2).value(&a.hold).uint(3).uint(a.seq);
            }
            Self::Revoke(a) => {
                w.map(2).uint(1).value(&a.target).uint(2).text(&a.reason);
            }
            Self::Deactivate(a) => {
                w.map(1).uint(1).value(&a.target);
            }
            Self::RevokeKey(a) => {
                w.map(2).uint(1).value(&a.device).uint(2).value(&a.key);
            }
            Self::Rotate(a) => {
                w.map(if a.next_key.is_some() { 4 } else { 3 });
                w.uint(1).value(&a.device).uint(2).uint(a.seq).uint(3).value(&a.key);
                if let Some(next) = &a.next_key {
                    w.uint(4).bytes(next);
                }
            }
            Self::ChangeKeys(a) => {
                w.map(3).uint(1).uint(a.seq).uint(2).array(a.add.len());
                for (key, capabilities) in &a.add {
                    w.array(2).value(key).value(capabilities);
                }
                w.uint(3).list(&a.remove);
            }
            Self::Grant(a) => {
                w.map(6).uint(1).uint(a.seq).uint(2).value(&a.organisation);
                w.uint(3).array(a.models.len());
                for model in &a.models {
                    w.text(model);
                }
                w.uint(4).uint(a.count).uint(5).value(&a.expires).uint(6).value(&a.evidence);
            }
            Self::WithdrawGrant(a) => {
                w.map(1).uint(1).value(&a.grant);
            }
            Self::ChangeValidators(a) => {
                w.map(2).uint(1).uint(a.seq).uint(2).value(&a.validators);
            }
        }
    }
}

impl Decode for Action {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        let number = r.uint()?;
        if !(1..=11).contains(&number) {
            return Err(r.fault(UNKNOWN_ACTION));
        }
        let mut m = r.map()?;
        let action = match number {
            1 => Self::Enrol(Enrol {
                grant: m.required(1)?.value()?,
                model: model(m.required(2)?)?,
                count: m.required(3)?.uint_max(limits::BATCH_DEVICES)?,
                root: m.required(4)?.array_of()?,
            }),
            2 => Self::Hold(Hold {
                target: m.required(1)?.value()?,
                id: m.required(2)?.value()?,
                power: m.required(3)?.value()?,
                until: m.optional(4)?.map(|r| r.value()).transpose()?,
                seen: m.required(5)?.uint()?,
                reason: printable(m.required(6)?, limits::REASON_BYTES)?,
            }),
            3 => Self::Release(Release {
                target: m.required(1)?.value()?,
                hold: m.required(2)?.value()?,
                seq: m.required(3)?.uint()?,
            }),
            4 => Self::Revoke(Revoke {
                target: m.required(1)?.value()?,
                reason: printable(m.required(2)?, limits::REASON_BYTES)?,
            }),
            5 => Self::Deactivate(Deactivate { target: m.required(1)?.value()? }),
            6 => Self::RevokeKey(RevokeKey {
                device: m.required(1)?.value()?,
                key: m.required(2)?.value()?,
            }),
            7 => Self::Rotate(Rotate {
                device: m.required(1)?.value()?,
                seq: m.required(2)?.uint()?,
                key: m.required(3)?.value()?,
                next_key: m.optional(4)?.map(|r| r.array_of()).transpose()?,
            }),
            8 => Self::ChangeKeys(ChangeKeys {
                seq: m.required(1)?.uint()?,
                add: m.required(2).and_then(|r| {
                    let n = r.array(limits::ORGANISATION_KEYS)?;
                    (0..n)
                        .map(|_| {
                            r.tuple(2)?;
                            Ok((r.value()?, r.value()?))
                        })
                        .collect()
                })?,
                remove: m.required(3)?.list(limits::ORGANISATION_KEYS)?,
            }),
            9 => Self::Grant(Grant {
                seq: m.required(1)?.uint()?,
                organisation: m.required(2)?.value()?,
                models: models(m.required(3)?)?,
                count: m.required(4)?.uint()?,
                expires: m.required(5)?.value()?,
                evidence: m.required(6)?.value()?,
            }),
            10 => Self::WithdrawGrant(WithdrawGrant { grant: m.required(1)?.value()? }),
            _ => Self::ChangeValidators(ChangeValidators {
                seq: m.required(1)?.uint()?,
                validators: m.required(2)?.value()?,
            }),
        };
        m.end()?;
        Ok(action)
    }
}

/// What the decoder says of an action of a later version; a follower stops there.
pub(crate) const UNKNOWN_ACTION: &str = "an unknown action";

/// A model id: 1 to 64 bytes of printable ASCII, so that it is safe in a header and a path.
pub(crate) fn model(r: &mut Reader<'_>) -> Result<String, Error> {
    let text = r.string(limits::MODEL_BYTES)?;
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        Ok(text)
    } else {
        Err(r.fault("a model id is 1 to 64 characters of printable ASCII"))
    }
}

/// Text to show to people: no control characters, which could rewrite a terminal or a log.
pub(crate) fn printable(r: &mut Reader<'_>, max: usize) -> Result<String, Error> {
    let text = r.string(max)?;
    if text.chars().any(char::is_control) {
        return Err(r.fault("a text with control characters"));
    }
    Ok(text)
}

pub(crate) fn models(r: &mut Reader<'_>) -> Result<Vec<String>, Error> {
    let n = r.array(limits::GRANT_MODELS)?;
    (0..n).map(|_| model(r)).collect()
}

impl Encode for NewKey {
    fn encode(&self, w: &mut Writer) {
        w.array(2).value(&self.key).value(&self.proof);
    }
}

impl Decode for NewKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        Ok(Self { key: r.value()?, proof: r.value()? })
    }
}
