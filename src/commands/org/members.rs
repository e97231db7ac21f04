//! Organisations of one network: who is let in, who has to go, and whose keys decide.

use super::super::approve::do_or_propose;
use super::super::confirm::agree;
use super::super::{Session, replay};
use super::{ROOT, ours};
use crate::cli::{OrgAdmit, OrgExpel, OrgValidators};
use crate::signing::Desk;
use anyhow::{Context as _, Result, bail, ensure};
use muster_identity::PublicKey;
use muster_identity::cbor::Decode as _;
use muster_ledger::{
    Action, Admission, Admit, Capability, ChangeValidators, Expel, ValidatorSet, View as _, limits,
};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

pub(super) async fn admit(session: &Session, arg: &OrgAdmit) -> Result<ExitCode> {
    let file = arg.request.display();
    let bytes = fs::read(&arg.request).with_context(|| format!("cannot read {file}"))?;
    let admission = Admission::from_cbor(&bytes)
        .with_context(|| format!("{file} is no request to be admitted (muster init --org)"))?;
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let network = desk.genesis.network();
    admission.verify(&network).with_context(|| {
        format!("{file} asks for another network, or was altered: it is not signed for {network}")
    })?;
    let (did, label) = (admission.did(), admission.label.clone());
    let mut words = format!("{did}  {label}");
    for (new, can) in &admission.keys {
        let can: Vec<_> = can.words().collect();
        write!(words, "\n  {}  {}", new.key, can.join(","))?;
    }
    session.output.say(words);
    if !arg.yes {
        agree(&format!("Admit {label:?} to network {network}?"))?;
    }
    let validators = admission.keys.iter().filter(|(_, can)| can.has(Capability::Validator));
    let validators: Vec<String> = validators.map(|(new, _)| new.key.to_multikey()).collect();
    let told = [("organisation", did.to_string()), ("validator", validators.join(","))];
    let seq = ours(&desk).await?.seq;
    let action = Action::Admit(Admit { seq, admission });
    let what = format!("admitted {label:?}");
    do_or_propose(session, &desk, action, &what, &told, arg.propose).await
}

pub(super) async fn expel(session: &Session, arg: &OrgExpel) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let organisation = arg.organisation.parse().context("the organisation")?;
    let known = super::organisation(&desk.client, &organisation).await?;
    let label = &known.label;
    if !arg.yes {
        agree(&format!(
            "Expel {label:?}? Its {} keys and its grants end, its devices stay as they are.",
            known.keys.len()
        ))?;
    }
    let seq = ours(&desk).await?.seq;
    let action = Action::Expel(Expel { seq, organisation });
    let told = [("organisation", organisation.to_string())];
    do_or_propose(session, &desk, action, &format!("expelled {label:?}"), &told, arg.propose).await
}

pub(super) async fn validators(session: &Session, arg: &OrgValidators) -> Result<ExitCode> {
    if arg.add.is_empty() && arg.remove.is_empty() {
        return list(session, arg).await;
    }
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    // Those of the signed head, checked here: what the node says of itself may be a moment older,
    // and is signed by nobody.
    let (chain, _) = replay(&session.home, &desk.client, |_, _| Ok(())).await?;
    let mut set = chain.state().validators()?.0;
    let key = |text: &String| PublicKey::from_multikey(text).with_context(|| text.clone());
    for text in &arg.remove {
        let gone = key(text).context("--remove")?;
        ensure!(set.contains(&gone), "--remove: {text} is no validator");
        set.retain(|one| *one != gone);
    }
    for text in &arg.add {
        let new = key(text).context("--add")?;
        ensure!(!set.contains(&new), "--add: {text} is a validator already");
        set.push(new);
    }
    // A set has one encoding.
    set.sort_unstable();
    if set.is_empty() || set.len() > limits::VALIDATORS {
        bail!("a network has 1 to {} validators, these would be {}", limits::VALIDATORS, set.len());
    }
    let seq = ours(&desk).await?.seq;
    let n = set.len();
    let may_fail = n - ValidatorSet(set.clone()).quorum();
    let what = format!("{n} validators decide, of which {may_fail} may fail");
    let action = Action::ChangeValidators(ChangeValidators { seq, validators: ValidatorSet(set) });
    do_or_propose(session, &desk, action, &what, &[("validators", n.to_string())], arg.propose)
        .await
}

async fn list(session: &Session, arg: &OrgValidators) -> Result<ExitCode> {
    let view = arg.sign.node.client()?.consensus().await?;
    let mut words = format!("{} validators, {} must sign", view.quorum.of, view.quorum.needed);
    for one in &view.validators {
        write!(words, "\n  {}  {}  {}", one.key, one.label, one.organisation)?;
    }
    Ok(session
        .output
        .result(&json!({ "validators": view.validators, "quorum": view.quorum }), words))
}
