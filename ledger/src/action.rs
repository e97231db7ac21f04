mod encoding;
mod membership;
mod ownership;

pub(crate) use encoding::UNKNOWN_ACTION;
pub use membership::{Admission, Admit, Expel};
pub use ownership::{AcceptTransfer, CancelTransfer, OfferTransfer, Recover};

use crate::{
    Approve, BatchId, Capabilities, ChangeRules, DeviceRef, EvidencePolicy, GrantId, HoldId,
    Network, Power, Propose, Target, Time, UpgradeProtocol, ValidatorSet, WithdrawProposal, limits,
};
use alloc::{string::String, vec::Vec};
use muster_identity::cbor::{Reader, Writer};
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
    /// Replaces the validators (empowering).
    ChangeValidators(ChangeValidators),
    /// Replaces the rules (empowering).
    ChangeRules(ChangeRules),
    /// Announces the next protocol version, or takes it back (empowering).
    UpgradeProtocol(UpgradeProtocol),
    /// Puts an action before those who approve.
    Propose(Propose),
    /// Approves a proposal; the last approval needed carries it out.
    Approve(Approve),
    /// Ends a proposal without carrying it out (restricting).
    WithdrawProposal(WithdrawProposal),
    /// Takes an organisation in (empowering).
    Admit(Admit),
    /// Puts an organisation out (empowering: it is the others who gain).
    Expel(Expel),
    /// Offers a device or batch to another organisation (empowering).
    OfferTransfer(OfferTransfer),
    /// Accepts such an offer (empowering).
    AcceptTransfer(AcceptTransfer),
    /// Ends such an offer (restricting).
    CancelTransfer(CancelTransfer),
    /// Replaces a lost key of a device, as it declared (empowering).
    Recover(Recover),
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

/// Replaces the validators. Where one organisation has them all, by its root key alone: the old ones
/// may be lost or stolen, so nobody asks them. The new ones sign the head that this operation makes.
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
            Self::ChangeRules(_) => "change-rules",
            Self::UpgradeProtocol(_) => "upgrade-protocol",
            Self::Propose(_) => "propose",
            Self::Approve(_) => "approve",
            Self::WithdrawProposal(_) => "withdraw-proposal",
            Self::Admit(_) => "admit",
            Self::Expel(_) => "expel",
            Self::OfferTransfer(_) => "offer-transfer",
            Self::AcceptTransfer(_) => "accept-transfer",
            Self::CancelTransfer(_) => "cancel-transfer",
            Self::Recover(_) => "recover",
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
            Self::OfferTransfer(a) => Some(a.target.clone()),
            Self::AcceptTransfer(a) => Some(a.target.clone()),
            Self::CancelTransfer(a) => Some(a.target.clone()),
            Self::Recover(a) => Some(Target::Device(a.device.clone())),
            Self::Enrol(_)
            | Self::ChangeKeys(_)
            | Self::Grant(_)
            | Self::WithdrawGrant(_)
            | Self::ChangeValidators(_)
            | Self::ChangeRules(_)
            | Self::UpgradeProtocol(_)
            | Self::Propose(_)
            | Self::Approve(_)
            | Self::WithdrawProposal(_)
            | Self::Admit(_)
            | Self::Expel(_) => None,
        }
    }

    /// The keys that it brings onto the ledger, with their own signatures. Validators that take the
    /// place of others are not among them: they sign the head.
    pub fn new_keys(&self) -> Vec<PublicKey> {
        let of = |list: &[(NewKey, Capabilities)]| list.iter().map(|(new, _)| new.key).collect();
        match self {
            Self::Rotate(a) => alloc::vec![a.key.key],
            Self::Recover(a) => alloc::vec![a.key.key],
            Self::ChangeKeys(a) => of(&a.add),
            Self::Admit(a) => of(&a.admission.keys),
            _ => Vec::new(),
        }
    }

    /// Checks the signatures of the keys that it brings in.
    pub(crate) fn verify_new_keys(&self, network: &Network, author: &Did) -> Result<(), Error> {
        match self {
            Self::Rotate(a) => a.key.verify(network, &a.device.did, a.seq),
            Self::Recover(a) => a.key.verify(network, &a.device.did, a.seq),
            Self::ChangeKeys(a) => {
                a.add.iter().try_for_each(|(key, _)| key.verify(network, author, a.seq))
            }
            Self::Admit(a) => a.admission.verify(network),
            _ => Ok(()),
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
            Self::ChangeRules(_) => 12,
            Self::UpgradeProtocol(_) => 13,
            Self::Propose(_) => 14,
            Self::Approve(_) => 15,
            Self::WithdrawProposal(_) => 16,
            Self::Admit(_) => 17,
            Self::Expel(_) => 18,
            Self::OfferTransfer(_) => 19,
            Self::AcceptTransfer(_) => 20,
            Self::CancelTransfer(_) => 21,
            Self::Recover(_) => 22,
        }
    }
}

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
