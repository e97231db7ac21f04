use super::membership::{read_keys, write_keys};
use super::{Action, NewKey, model, models, printable};
use crate::{
    AcceptTransfer, Admit, Approve, CancelTransfer, ChangeKeys, ChangeRules, ChangeValidators,
    Deactivate, Enrol, Expel, Grant, Hold, OfferTransfer, Power, Propose, Recover, Release, Revoke,
    RevokeKey, Rotate, UpgradeProtocol, WithdrawGrant, WithdrawProposal, limits,
};
use alloc::boxed::Box;
use core::ops::RangeInclusive;
use muster_identity::Error;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};

/// Numbers of the actions that this version knows.
const KNOWN: RangeInclusive<u64> = 1..=22;

/// Of these, what one may propose: what ends devices or gives them away, and what concerns keys or
/// every organisation. Holds and releases are among them for those of the network's power.
const PROPOSED: [u64; 14] = [2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 17, 18, 19];

/// What the decoder says of an action of a later version; a follower stops there.
pub(crate) const UNKNOWN_ACTION: &str = "an unknown action";

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
                w.map(3).uint(1).uint(a.seq).uint(2);
                write_keys(w, &a.add);
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
            Self::ChangeRules(a) => {
                w.map(2).uint(1).uint(a.seq).uint(2).value(&a.rules);
            }
            Self::UpgradeProtocol(a) => {
                w.map(if a.next.is_some() { 2 } else { 1 }).uint(1).uint(a.seq);
                if let Some(next) = &a.next {
                    w.uint(2).value(next);
                }
            }
            Self::Propose(a) => {
                w.map(3).uint(1).value(&*a.action).uint(2).value(&a.expires);
                w.uint(3).text(&a.reason);
            }
            Self::Approve(a) => {
                w.map(1).uint(1).value(&a.proposal);
            }
            Self::WithdrawProposal(a) => {
                w.map(1).uint(1).value(&a.proposal);
            }
            Self::Admit(a) => {
                w.map(2).uint(1).uint(a.seq).uint(2).value(&a.admission);
            }
            Self::Expel(a) => {
                w.map(2).uint(1).uint(a.seq).uint(2).value(&a.organisation);
            }
            Self::OfferTransfer(a) => {
                w.map(4).uint(1).value(&a.target).uint(2).value(&a.to);
                w.uint(3).uint(a.seq).uint(4).value(&a.expires);
            }
            Self::AcceptTransfer(AcceptTransfer { target, offer })
            | Self::CancelTransfer(CancelTransfer { target, offer }) => {
                w.map(2).uint(1).value(target).uint(2).value(offer);
            }
            Self::Recover(a) => {
                w.map(if a.next_key.is_some() { 4 } else { 3 });
                w.uint(1).value(&a.device).uint(2).uint(a.seq).uint(3).value(&a.key);
                if let Some(next) = &a.next_key {
                    w.uint(4).bytes(next);
                }
            }
        }
    }
}

impl Decode for Action {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        let number = r.uint()?;
        Self::of_number(number, r)
    }
}

impl Action {
    fn of_number(number: u64, r: &mut Reader<'_>) -> Result<Self, Error> {
        if !KNOWN.contains(&number) {
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
                add: read_keys(m.required(2)?)?,
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
            11 => Self::ChangeValidators(ChangeValidators {
                seq: m.required(1)?.uint()?,
                validators: m.required(2)?.value()?,
            }),
            12 => Self::ChangeRules(ChangeRules {
                seq: m.required(1)?.uint()?,
                rules: m.required(2)?.value()?,
            }),
            13 => Self::UpgradeProtocol(UpgradeProtocol {
                seq: m.required(1)?.uint()?,
                next: m.optional(2)?.map(|r| r.value()).transpose()?,
            }),
            14 => Self::Propose(Propose {
                action: Box::new(Self::proposed(m.required(1)?)?),
                expires: m.required(2)?.value()?,
                reason: printable(m.required(3)?, limits::REASON_BYTES)?,
            }),
            15 => Self::Approve(Approve { proposal: m.required(1)?.value()? }),
            16 => Self::WithdrawProposal(WithdrawProposal { proposal: m.required(1)?.value()? }),
            17 => Self::Admit(Admit {
                seq: m.required(1)?.uint()?,
                admission: m.required(2)?.value()?,
            }),
            18 => Self::Expel(Expel {
                seq: m.required(1)?.uint()?,
                organisation: m.required(2)?.value()?,
            }),
            19 => Self::OfferTransfer(OfferTransfer {
                target: m.required(1)?.value()?,
                to: m.required(2)?.value()?,
                seq: m.required(3)?.uint()?,
                expires: m.required(4)?.value()?,
            }),
            20 => Self::AcceptTransfer(AcceptTransfer {
                target: m.required(1)?.value()?,
                offer: m.required(2)?.value()?,
            }),
            21 => Self::CancelTransfer(CancelTransfer {
                target: m.required(1)?.value()?,
                offer: m.required(2)?.value()?,
            }),
            _ => Self::Recover(Recover {
                device: m.required(1)?.value()?,
                seq: m.required(2)?.uint()?,
                key: m.required(3)?.value()?,
                next_key: m.optional(4)?.map(|r| r.array_of()).transpose()?,
            }),
        };
        m.end()?;
        Ok(action)
    }

    /// An action as a proposal holds it: of a kind that one may propose, so that no proposal holds
    /// another, and small enough for a record of the state.
    pub(crate) fn proposed(r: &mut Reader<'_>) -> Result<Self, Error> {
        let start = r.position();
        r.tuple(2)?;
        let number = r.uint()?;
        if KNOWN.contains(&number) && !PROPOSED.contains(&number) {
            return Err(r.fault("an action that is not proposed"));
        }
        let action = Self::of_number(number, r)?;
        if matches!(&action, Self::Hold(a) if a.power != Power::Governance) {
            return Err(r.fault("a hold by one organisation needs no proposal"));
        }
        if r.since(start).len() > limits::PROPOSED_BYTES {
            return Err(r.fault("a proposed action above 6,144 bytes"));
        }
        Ok(action)
    }
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
