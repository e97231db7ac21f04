mod invite;
mod members;
mod recover;

#[cfg(feature = "node")]
pub(crate) use invite::Offer;

use super::approve::do_or_propose;
use super::change::new_key;
use super::rules;
use super::{Session, moment};
use crate::cli::{
    NodeArg, Org, OrgGrant, OrgKey, OrgKeyAdd, OrgKeyRemove, OrgKeyRotate, OrgValidator,
    OrgWithdraw,
};
use crate::host;
use crate::signing::{Desk, sign};
use anyhow::{Context as _, Result, anyhow, ensure};
use muster_api::{Client, Host as _, OrganisationView};
use muster_identity::{Algorithm, Did, PublicKey, Signer};
use muster_ledger::{
    self as ledger, Action, Capabilities, ChangeKeys, ChangeValidators, ValidatorSet,
};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

/// How long a change of the validator may be carried from the safe to the node (ms).
const CARRIED_MS: u64 = 12 * 60 * 60 * 1_000;

const ROOT: &str = "keys/root.pem";

pub(super) async fn run(session: &Session, command: Org) -> Result<ExitCode> {
    match command {
        Org::Show(node) => show(session, &node).await,
        Org::Key(OrgKey::Add(arg)) => key_add(session, &arg).await,
        Org::Key(OrgKey::Remove(arg)) => key_remove(session, &arg).await,
        Org::Key(OrgKey::List(node)) => key_list(session, &node).await,
        Org::Key(OrgKey::Rotate(arg)) => key_rotate(session, &arg).await,
        Org::Invite(arg) => invite::run(session, arg).await,
        Org::Admit(arg) => members::admit(session, &arg).await,
        Org::Expel(arg) => members::expel(session, &arg).await,
        Org::Validators(arg) => members::validators(session, &arg).await,
        Org::Recover(arg) => recover::run(session, *arg).await,
        Org::Validator(arg) => validator(session, &arg).await,
        Org::Grant(arg) => grant(session, arg).await,
        Org::Withdraw(arg) => withdraw(session, &arg).await,
        Org::Rules(arg) => rules::run(session, &arg).await,
        Org::Protocol(arg) => rules::protocol(session, &arg).await,
    }
}

async fn show(session: &Session, node: &NodeArg) -> Result<ExitCode> {
    let view = node.client()?.network().await?;
    let mut words = format!("network {}\n", view.network);
    for organisation in &view.organisations {
        writeln!(words, "\n{}  {}", organisation.did, organisation.label)?;
        for key in &organisation.keys {
            writeln!(words, "  key   {}  {}", key.key, key.capabilities.join(","))?;
        }
        for grant in view.grants.iter().filter(|g| g.organisation == organisation.did) {
            let models =
                if grant.models.is_empty() { "every model".into() } else { grant.models.join(",") };
            let end = if grant.withdrawn {
                "withdrawn".to_owned()
            } else {
                format!("until {}", moment(grant.expires))
            };
            writeln!(
                words,
                "  grant {}\n        {} of {} devices used, {models}, evidence {}, {end}",
                grant.grant, grant.used, grant.count, grant.evidence
            )?;
        }
    }
    let object = json!({ "organisations": view.organisations, "grants": view.grants });
    Ok(session.output.result(&object, words.trim_end()))
}

/// This organisation as the node sees it.
pub(super) async fn ours(desk: &Desk) -> Result<OrganisationView> {
    organisation(&desk.client, &desk.organisation()).await
}

async fn organisation(client: &Client, did: &Did) -> Result<OrganisationView> {
    let did = did.to_string();
    let network = client.network().await?;
    network
        .organisations
        .into_iter()
        .find(|o| o.did == did)
        .ok_or_else(|| anyhow!("the node does not know {did}: is it a node of this network?"))
}

fn change_keys(
    desk: &Desk,
    seq: u64,
    add: &[(&dyn Signer, Capabilities)],
    remove: Vec<PublicKey>,
) -> Result<Action> {
    let network = desk.genesis.network();
    let add = add
        .iter()
        .map(|(key, can)| Ok((new_key(&network, &desk.organisation(), seq, *key)?, *can)))
        .collect::<Result<_>>()?;
    Ok(Action::ChangeKeys(ChangeKeys { seq, add, remove }))
}

async fn key_list(session: &Session, node: &NodeArg) -> Result<ExitCode> {
    let did = session.home.organisation()?;
    let us = organisation(&node.client()?, &did).await?;
    let mut words = format!("{}  {}", us.did, us.label);
    for key in &us.keys {
        write!(words, "\n  {}  {}", key.key, key.capabilities.join(","))?;
    }
    Ok(session.output.result(&json!({ "organisation": us.did, "keys": us.keys }), words))
}

async fn key_add(session: &Session, arg: &OrgKeyAdd) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let can = capabilities(arg.can.iter().map(String::as_str))?;
    let key = session.home.keys().open_or_make(&arg.key)?;
    let seq = ours(&desk).await?.seq;
    let action = change_keys(&desk, seq, &[(&*key, can)], Vec::new())?;
    let public = key.public_key();
    let told = [("key", public.to_string())];
    do_or_propose(session, &desk, action, &format!("added {public}"), &told, arg.propose).await
}

async fn key_remove(session: &Session, arg: &OrgKeyRemove) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let key = PublicKey::from_multikey(&arg.key).context("the key")?;
    let seq = ours(&desk).await?.seq;
    let action = change_keys(&desk, seq, &[], vec![key])?;
    do_or_propose(session, &desk, action, &format!("removed {key}"), &[], arg.propose).await
}

async fn key_rotate(session: &Session, arg: &OrgKeyRotate) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let old = PublicKey::from_multikey(&arg.old).context("the old key")?;
    let us = ours(&desk).await?;
    let present = us
        .keys
        .iter()
        .find(|k| k.key == arg.old)
        .ok_or_else(|| anyhow!("{} is not a present key of {}", arg.old, us.did))?;
    let can = capabilities(present.capabilities.iter().map(String::as_str))?;
    let key = session.home.keys().open_or_make(&arg.new)?;
    let action = change_keys(&desk, us.seq, &[(&*key, can)], vec![old])?;
    let new = key.public_key();
    let told = [("key", new.to_string())];
    let what = format!("replaced {old} by {new}");
    do_or_propose(session, &desk, action, &what, &told, arg.propose).await
}

fn capabilities<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Capabilities> {
    Capabilities::from_words(words).map_err(|word| {
        anyhow!(
            "{word:?} is no capability; there are root, enrol, operate, approve, gateway, validator"
        )
    })
}

/// Nothing is submitted: the validator that would sign the head may be gone. The file is carried
/// to the node.
async fn validator(session: &Session, arg: &OrgValidator) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let key = PublicKey::from_multikey(&arg.key).context("the key")?;
    ensure!(key.algorithm() == Algorithm::Ed25519, "a validator's key is of Ed25519");
    let seq = match arg.seq {
        Some(seq) => seq,
        None => {
            ours(&desk).await.context("say --seq, as the node that does not start says it")?.seq
        }
    };
    let change = ChangeValidators { seq, validators: ValidatorSet(vec![key]) };
    let action = Action::ChangeValidators(change);
    let signed = sign(&desk.genesis, desk.organisation(), &*desk.key, action, CARRIED_MS)?;
    fs::write(&arg.out, &signed.0)
        .with_context(|| format!("cannot write {}", arg.out.display()))?;
    let file = arg.out.display();
    Ok(session.output.result(
        &json!({ "file": file.to_string(), "validator": key.to_multikey(), "seq": seq }),
        format!(
            "{file} says for 12 hours that {key} takes the validator's place\n\
             Next, on the node, with that key in node/node.pem: muster serve --succeed {file}"
        ),
    ))
}

async fn grant(session: &Session, arg: OrgGrant) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let organisation = match &arg.to {
        Some(did) => did.parse().context("--to")?,
        None => desk.organisation(),
    };
    for model in &arg.model {
        super::init::check_model(model)?;
    }
    let seq = ours(&desk).await?.seq;
    let grant = ledger::Grant {
        seq,
        organisation,
        models: arg.model,
        count: arg.devices,
        expires: host::Machine.now().plus_ms(arg.days.saturating_mul(86_400_000)),
        evidence: arg.evidence.into(),
    };
    let id = ledger::Grant::id(&desk.genesis.network(), &desk.organisation(), seq);
    let told = [("grant", id.to_string())];
    do_or_propose(session, &desk, Action::Grant(grant), "granted", &told, arg.propose).await
}

async fn withdraw(session: &Session, arg: &OrgWithdraw) -> Result<ExitCode> {
    let desk = Desk::open(&session.home, &arg.sign, ROOT)?;
    let grant = arg.grant.parse().context("the grant")?;
    let action = Action::WithdrawGrant(ledger::WithdrawGrant { grant });
    let what = format!("withdrew grant {grant}");
    do_or_propose(session, &desk, action, &what, &[], arg.propose).await
}
