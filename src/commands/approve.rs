//! `muster approve`: what one person proposed and others must look at. They look at the signed
//! operation itself, which is decoded here; only how many devices a batch has is the node's word.

use super::change::{done, done_everywhere, told};
use super::confirm::confirm;
use super::{Session, moment};
use crate::cli::{Approve, ProposeArg};
use crate::host::Machine;
use crate::signing::Desk;
use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE64URL_NOPAD;
use muster_api::{Host as _, ProposalView, ProposalsView};
use muster_identity::PublicKey;
use muster_ledger::{
    self as ledger, Action, Matter, ProposalId, Propose, SignedOperation, Target, VerifiedEntry,
    WithdrawProposal,
};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Another person's key: it operates and approves.
const SECOND: &str = "keys/admin2.pem";

/// Digits of an id that name a proposal among those that wait.
const PREFIX: usize = 8;

pub(super) async fn run(session: &Session, arg: Approve) -> Result<ExitCode> {
    let Some(named) = &arg.proposal else {
        let view = arg.sign.node.client()?.proposals().await?;
        return list(session, &view);
    };
    let desk = Desk::open(&session.home, &arg.sign, SECOND)?;
    let view = desk.client.proposals().await?;
    let found = find(&view, named)?;
    let read = Read::of(found)?;
    session.output.say(read.words(found)?);
    if arg.reject {
        let withdraw = WithdrawProposal { proposal: read.id };
        let entry = desk.submit(Action::WithdrawProposal(withdraw)).await?;
        let own = read.key == desk.key.public_key();
        let what = format!("{} proposal {}", if own { "withdrew" } else { "rejected" }, read.id);
        return Ok(done(session, &entry, &what, &[]));
    }
    ensure!(
        read.key != desk.key.public_key(),
        "{} proposed this itself; another person approves it, with --sign-with",
        read.key
    );
    if !arg.yes {
        let devices = found.devices.unwrap_or(1);
        let what = read.action.word();
        let would = format!("{what} of {} would be approved", subject(&read.action));
        confirm(session, &would, &format!("Approve {what} of {devices}?"), devices)?;
    }
    let approve = Action::Approve(ledger::Approve { proposal: read.id });
    let entry = desk.submit(approve).await?;
    let history = desk.client.history(&read.id.to_string()).await?;
    let last = history.iter().rev().find(|change| change.entry == entry.index);
    let carried_out = last.and_then(|c| c.approved.as_ref()).is_some_and(|a| a.carried_out);
    let (fate, what) = match carried_out {
        true => ("carried out", "and carried it out"),
        false => ("open", "which waits for more approvals"),
    };
    let told = told(
        &entry,
        &format!("approved proposal {}, {what}", read.id),
        &[("proposal", read.id.to_string()), ("outcome", fate.to_owned())],
    );
    let watch = match carried_out {
        true => arg.watch,
        false => crate::cli::WatchArg { watch: false, ..arg.watch },
    };
    done_everywhere(session, &desk, &entry, told, watch).await
}

fn list(session: &Session, view: &ProposalsView) -> Result<ExitCode> {
    let mut words = match view.proposals.len() {
        0 => "Nothing waits for approval.".to_owned(),
        1 => "1 proposal waits for approval:".to_owned(),
        n => format!("{n} proposals wait for approval:"),
    };
    for proposal in &view.proposals {
        let read = Read::of(proposal)?;
        write!(words, "\n\n{}", read.words(proposal)?)?;
        let (have, need) = (proposal.approvals.len(), proposal.needed);
        let of = if proposal.matter.is_some() { " other organisations" } else { "" };
        write!(words, "\n  approvals {have} of {need}{of}: muster approve {}", proposal.proposal)?;
    }
    Ok(session.output.result(&json!(view), words))
}

fn find<'a>(view: &'a ProposalsView, named: &str) -> Result<&'a ProposalView> {
    ensure!(named.len() >= PREFIX, "name a proposal by {PREFIX} digits of its id or more");
    let mut found = view.proposals.iter().filter(|p| p.proposal.starts_with(named));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => bail!("no proposal {named} waits for approval: muster approve --list"),
        _ => bail!("several proposals begin with {named}: say more of the id"),
    }
}

/// A proposal as its own bytes say it.
struct Read {
    id: ProposalId,
    key: PublicKey,
    action: Action,
}

impl Read {
    fn of(view: &ProposalView) -> Result<Self> {
        let bytes = BASE64URL_NOPAD.decode(view.signed.as_bytes());
        let signed = SignedOperation(bytes.context("the node shows a proposal that is none")?);
        let id: ProposalId = view.proposal.parse().context("the node names a bad proposal")?;
        let verified = signed.verify().with_context(|| format!("proposal {id}"))?;
        ensure!(
            verified.proposal() == id,
            "the node shows other bytes than those of proposal {id}"
        );
        let Action::Propose(propose) = &verified.operation().action else {
            bail!("{id} is no proposal");
        };
        Ok(Self { id, key: *verified.key(), action: (*propose.action).clone() })
    }

    fn words(&self, view: &ProposalView) -> Result<String> {
        let mut words =
            format!("{}\n  {} of {}", self.id, self.action.word(), subject(&self.action));
        if let (Some(devices), Some(Target::Batch(_))) = (view.devices, self.action.target()) {
            write!(words, ": {devices} devices, says the node")?;
        }
        if let Some(reason) = &view.reason {
            write!(words, "\n  because   {reason}")?;
        }
        write!(words, "\n  proposed  {} by key {}", moment(view.proposed), self.key)?;
        write!(words, "\n  expires   {}", moment(view.expires))?;
        Ok(words)
    }
}

/// What an action is about, in words.
fn subject(action: &Action) -> String {
    match action {
        Action::RevokeKey(a) => format!("{} of device {}", a.key, a.device.did),
        Action::ChangeKeys(a) => {
            let add = a.add.iter().map(|(new, can)| {
                let can: Vec<_> = can.words().collect();
                format!("add {} for {}", new.key, can.join(","))
            });
            let remove = a.remove.iter().map(|key| format!("remove {key}"));
            add.chain(remove).collect::<Vec<_>>().join("; ")
        }
        Action::ChangeRules(a) => {
            let mut words = super::rules::in_words(&a.rules);
            for matter in Matter::ALL.into_iter().filter(|_| a.rules.table.is_some()) {
                let how = a.rules.table().get(matter);
                let _ = write!(words, "; {}: {how} of the organisations", matter.word());
            }
            words
        }
        Action::UpgradeProtocol(a) => a.next.map_or("what was announced: off".into(), |next| {
            format!("version {} from block {} on", next.version, next.height)
        }),
        Action::Admit(a) => format!("{} ({:?})", a.admission.did(), a.admission.label),
        Action::Expel(a) => format!("organisation {}", a.organisation),
        Action::Grant(a) => format!("{} devices of {}", a.count, a.organisation),
        Action::ChangeValidators(a) => {
            let keys: Vec<_> = a.validators.0.iter().map(PublicKey::to_multikey).collect();
            format!("{}: {}", keys.len(), keys.join(", "))
        }
        other => match other.target() {
            Some(Target::Device(device)) => format!("device {}", device.did),
            Some(Target::Batch(batch)) => format!("batch {batch}"),
            None => "the organisation".into(),
        },
    }
}

/// An action as a proposal of it.
pub(super) fn proposal(action: Action, arg: ProposeArg) -> Action {
    let expires = Machine.now().plus_ms(arg.expires * 3_600_000);
    Action::Propose(Propose { action: Box::new(action), expires, reason: String::new() })
}

/// Proposes an action and says what comes next.
pub(super) async fn propose(
    session: &Session,
    desk: &Desk,
    action: Action,
    what: &str,
    arg: ProposeArg,
) -> Result<ExitCode> {
    let entry: VerifiedEntry = desk.submit(proposal(action, arg)).await?;
    let id = entry.operation.proposal().to_string();
    let code = done(
        session,
        &entry,
        &format!("proposed: {what}"),
        &[("proposal", id.clone()), ("expires", format!("in {} hours", arg.expires))],
    );
    session.output.say(format!("Next, by another person: muster approve {id}"));
    Ok(code)
}

/// Does an action, or proposes it.
pub(super) async fn do_or_propose(
    session: &Session,
    desk: &Desk,
    action: Action,
    what: &str,
    told: &[(&str, String)],
    arg: ProposeArg,
) -> Result<ExitCode> {
    if arg.propose {
        return propose(session, desk, action, &format!("{what}, if approved"), arg).await;
    }
    let entry = desk.submit(action).await?;
    Ok(done(session, &entry, what, told))
}
