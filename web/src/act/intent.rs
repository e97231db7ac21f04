use super::AT_ONCE;
use crate::Console;
use crate::people::Invited;
use crate::session::Visitor;
use crate::sign_in::bytes;
use muster_api::{DeviceView, Problem};
use muster_identity::{Did, PublicKey, Signature};
use muster_ledger::{
    Action, Approve, BatchId, Capabilities, Capability, ChangeKeys, Deactivate, DeviceRef, Hold,
    HoldId, NewKey, Power, Propose, Release, Revoke, RevokeKey, Target, WithdrawProposal,
};
use serde::Deserialize;

/// What somebody means to do. The browser keeps it beside what it gets to sign, and compares.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Intent {
    /// Suspend devices or batches.
    Hold { targets: Vec<String>, reason: String, hours: Option<u64> },
    /// Lift one hold, or all holds of one's own.
    Release { targets: Vec<String> },
    /// End devices or batches.
    Revoke { targets: Vec<String>, reason: String },
    /// End DIDs.
    Deactivate { targets: Vec<String> },
    /// End one key of a device.
    RevokeKey { targets: Vec<String>, key: String },
    /// Put an ending before those who approve.
    Propose { targets: Vec<String>, proposed: Ending, reason: String },
    /// Approve a proposal.
    Approve { proposal: String },
    /// End a proposal.
    WithdrawProposal { proposal: String },
    /// Give a key that used an invitation its place on the ledger.
    Admit { invite: String },
    /// Take keys of people off the ledger.
    RemoveKeys { keys: Vec<String> },
}

/// What ends a device, and can be proposed here.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ending {
    Revoke,
    Deactivate,
}

/// An action, and what it concerns in words.
pub(crate) struct Built {
    pub(crate) action: Action,
    pub(crate) about: String,
    pub(crate) devices: u64,
}

/// What a person names.
enum Named {
    Device(DeviceRef, Box<DeviceView>),
    Batch(BatchId, Box<muster_api::BatchView>),
}

impl Named {
    fn target(&self) -> Target {
        match self {
            Self::Device(device, _) => Target::Device(device.clone()),
            Self::Batch(id, _) => Target::Batch(*id),
        }
    }

    fn devices(&self) -> u64 {
        match self {
            Self::Device(..) => 1,
            Self::Batch(_, view) => view.count,
        }
    }
}

impl Intent {
    /// The actions that do it.
    pub(crate) async fn build(
        self,
        console: &Console,
        who: &Visitor,
    ) -> Result<Vec<Built>, Problem> {
        match self {
            Self::Hold { targets, reason, hours } => {
                let seen = console.registry().head()?.head().size;
                let now = muster_ledger::Time(console.now());
                let until = hours.map(|h| now.plus_ms(h.saturating_mul(3_600_000)));
                each(console, targets, |named| {
                    let id: HoldId = console.hold_id();
                    Ok(vec![Action::Hold(Hold {
                        target: named.target(),
                        id,
                        power: Power::Owner,
                        until,
                        seen,
                        reason: reason.clone(),
                    })])
                })
                .await
            }
            Self::Release { targets } => {
                each(console, targets, |named| {
                    let (holds, seq) = match named {
                        Named::Device(_, view) => (&view.holds, view.seq),
                        Named::Batch(_, view) => (&view.holds, view.seq),
                    };
                    // Each release counts as a change: one more for each that comes before.
                    let own = holds.iter().filter(|h| h.power == "owner").zip(seq..);
                    own.map(|(hold, seq)| {
                        let hold = hold.hold.parse().map_err(|_| corrupt("a hold"))?;
                        Ok(Action::Release(Release { target: named.target(), hold, seq }))
                    })
                    .collect()
                })
                .await
            }
            Self::Revoke { targets, reason } => {
                each(console, targets, |named| {
                    let target = named.target();
                    Ok(vec![Action::Revoke(Revoke { target, reason: reason.clone() })])
                })
                .await
            }
            Self::Deactivate { targets } => {
                each(console, targets, |named| {
                    Ok(vec![Action::Deactivate(Deactivate { target: named.target() })])
                })
                .await
            }
            Self::RevokeKey { targets, key } => {
                let key = PublicKey::from_multikey(&key).map_err(|_| malformed("the key"))?;
                each(console, targets, |named| match named {
                    Named::Device(device, _) => {
                        Ok(vec![Action::RevokeKey(RevokeKey { device: device.clone(), key })])
                    }
                    Named::Batch(..) => Err(malformed("the device")),
                })
                .await
            }
            Self::Propose { targets, proposed, reason } => {
                let now = muster_ledger::Time(console.now());
                let expires = now.plus_ms(muster_ledger::limits::PROPOSAL_LIFETIME_MS - SLACK_MS);
                each(console, targets, |named| {
                    let target = named.target();
                    let action = Box::new(match proposed {
                        Ending::Revoke => Action::Revoke(Revoke { target, reason: reason.clone() }),
                        Ending::Deactivate => Action::Deactivate(Deactivate { target }),
                    });
                    // The reason stands in what is proposed.
                    Ok(vec![Action::Propose(Propose { action, expires, reason: String::new() })])
                })
                .await
            }
            Self::Approve { proposal } => {
                let id = proposal.parse().map_err(|_| malformed("the proposal"))?;
                one(Action::Approve(Approve { proposal: id }), proposal)
            }
            Self::WithdrawProposal { proposal } => {
                let id = proposal.parse().map_err(|_| malformed("the proposal"))?;
                one(Action::WithdrawProposal(WithdrawProposal { proposal: id }), proposal)
            }
            Self::Admit { invite } => admit(console, who, &invite).await,
            Self::RemoveKeys { keys } => {
                let seq = seq(console, who)?;
                let about = keys.join(", ");
                let remove = keys
                    .iter()
                    .map(|key| PublicKey::from_multikey(key).map_err(|_| malformed("a key")))
                    .collect::<Result<_, _>>()?;
                let change = ChangeKeys { seq, add: Vec::new(), remove };
                Ok(vec![Built { action: Action::ChangeKeys(change), about, devices: 0 }])
            }
        }
    }
}

/// Time between building a proposal and its block (ms), so that its end is not too far away then.
const SLACK_MS: u64 = 60_000;

fn one(action: Action, about: String) -> Result<Vec<Built>, Problem> {
    Ok(vec![Built { action, about, devices: 0 }])
}

async fn each(
    console: &Console,
    targets: Vec<String>,
    actions: impl Fn(&Named) -> Result<Vec<Action>, Problem>,
) -> Result<Vec<Built>, Problem> {
    if targets.is_empty() || targets.len() > AT_ONCE {
        let title = format!("name 1 to {AT_ONCE} devices or batches at once");
        return Err(Problem::new(400, "targets", title));
    }
    let mut all = Vec::with_capacity(targets.len());
    for target in targets {
        let named = console.named(&target).await?;
        let devices = named.devices();
        for action in actions(&named)? {
            all.push(Built { action, about: target.clone(), devices });
        }
    }
    Ok(all)
}

impl Console {
    fn hold_id(&self) -> HoldId {
        let secret = self.secret();
        HoldId(std::array::from_fn(|i| secret[i]))
    }

    async fn named(&self, text: &str) -> Result<Named, Problem> {
        let unknown = || Problem::new(404, "not-found", format!("{text} is not on this ledger"));
        if text.starts_with("did:") {
            let did: Did = text.parse().map_err(|_| malformed("a DID"))?;
            let view = self.registry().device(&did).await?.ok_or_else(unknown)?;
            let part = match view.changed {
                true => None,
                false => {
                    Some(Box::new(self.registry().device_part(&did).await?.ok_or_else(unknown)?))
                }
            };
            return Ok(Named::Device(DeviceRef { did, part }, Box::new(view)));
        }
        let id: BatchId = text.parse().map_err(|_| malformed("a batch"))?;
        let view = self.registry().batch(&id).await?.ok_or_else(unknown)?;
        Ok(Named::Batch(id, Box::new(view)))
    }
}

/// Brings the key of an invitation onto the ledger. Its holder signed that it wants to join, for
/// the present count of changes.
async fn admit(console: &Console, who: &Visitor, id: &str) -> Result<Vec<Built>, Problem> {
    let book = console.book().await;
    // Of an invitation whose maker may not invite any more, nobody is admitted.
    let stands =
        |i: &&Invited| book.stands(i, |did, key, needs| console.on_ledger(did, key, needs));
    let invited = book.invites.iter().find(|i| i.id == id).filter(stands);
    let Some((invite, claim)) = invited.and_then(|i| Some((i.invite()?, i.claim.clone()?))) else {
        return Err(Problem::new(410, "invite-over", "nobody waits there any more"));
    };
    drop(book);
    if *invite.organisation() != who.session.organisation {
        return Err(crate::people::gone());
    }
    let terms = invite.terms();
    let Some(capabilities) = Capabilities::of_role(terms.role) else {
        return Err(Problem::new(409, "role", "this role needs nothing of the ledger"));
    };
    let seq = seq(console, who)?;
    if claim.seq != seq {
        let title = "the key must sign anew that it wants to join: the organisation changed since";
        return Err(Problem::new(409, "sequence", title)
            .cure("its page does that by itself while it is open: try again in a moment"));
    }
    let key = PublicKey::from_multikey(&claim.key).map_err(|_| corrupt("a key"))?;
    let proof = bytes(&claim.proof)?.try_into().map_err(|_| corrupt("a proof"))?;
    let add = vec![(NewKey { key, proof: Signature(proof) }, capabilities)];
    let about = format!("{}, {}: {}", terms.name, terms.role.word(), claim.key);
    let change = ChangeKeys { seq, add, remove: Vec::new() };
    Ok(vec![Built { action: Action::ChangeKeys(change), about, devices: 0 }])
}

/// The organisation's count of changes, for somebody whose key may change its keys.
fn seq(console: &Console, who: &Visitor) -> Result<u64, Problem> {
    let record = console.organisation_record(&who.session.organisation)?;
    let record = record.ok_or_else(|| corrupt("the organisation"))?;
    let root = Capabilities::of(&[Capability::Root]);
    if !crate::people::has(&record, &who.session.key, root) {
        let title = "your key does not change keys of the organisation";
        return Err(Problem::new(403, "capability", title).cure("ask an admin with a root key"));
    }
    Ok(record.seq)
}

fn malformed(what: &str) -> Problem {
    Problem::new(400, "malformed", format!("{what} cannot be read"))
}

fn corrupt(what: &str) -> Problem {
    Problem::new(500, "corrupt", format!("{what} is damaged"))
}
