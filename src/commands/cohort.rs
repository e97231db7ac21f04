//! `muster cohort`: all that one key enrolled, held or revoked at once. Which batches they are is
//! read from the ledger's own entries, every one of them fetched and replayed here; a node cannot
//! leave one out.

use super::approve::proposal;
use super::confirm::confirm;
use super::ledger::replay;
use super::{Session, moment};
use crate::cli::Cohort;
use crate::host::random;
use crate::signing::Desk;
use anyhow::{Context as _, Error, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use muster_identity::{Did, PublicKey};
use muster_ledger::{
    Action, BatchId, BatchRecord, Capability, Hold, HoldId, Power, Revoke, Target, View as _,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

const ADMIN: &str = "keys/admin.pem";

/// Operations on their way at once. A node puts what waits into one block; more would only wait.
const AT_ONCE: usize = 16;

/// Batches that are shown one by one.
const SHOWN: usize = 20;

/// A batch that the key enrolled.
struct Found {
    id: BatchId,
    author: Did,
    height: u64,
    time: u64,
    record: BatchRecord,
}

pub(super) async fn run(session: &Session, arg: Cohort) -> Result<ExitCode> {
    let key = PublicKey::from_multikey(&arg.signed_by).context("--signed-by")?;
    let desk = Desk::open(&session.home, &arg.sign, ADMIN)?;
    let network = desk.genesis.network();
    let mut signed = Vec::new();
    let (chain, _) = replay(&session.home, &desk.client, |entry, _| {
        let operation = entry.operation.verify()?;
        if *operation.key() == key
            && entry.height >= arg.since
            && let Action::Enrol(enrol) = &operation.operation().action
        {
            let author = operation.operation().author;
            signed.push((enrol.batch(&network), author, entry.height, entry.time.0));
        }
        Ok(())
    })
    .await?;
    let state = chain.state();
    let mut all = Vec::with_capacity(signed.len());
    for (id, author, height, time) in signed {
        let record = state.batch(&id)?.context("a batch of the ledger is not in its state")?;
        all.push(Found { id, author, height, time, record });
    }
    let us = desk.organisation();
    let foreign = all.iter().filter(|found| found.author != us).count();
    let (todo, over): (Vec<_>, Vec<_>) =
        all.iter().filter(|f| f.author == us).partition(|found| found.is_open(&us, arg.revoke));
    let still = state.organisation(&us)?.is_some_and(|o| o.may(&key, Capability::Enrol));
    let devices: u64 = todo.iter().map(|found| found.record.count).sum();

    let (verb, done) = if arg.revoke { ("revoke", "revoked") } else { ("hold", "held") };
    ensure!(arg.revoke || !arg.propose.propose, "a hold needs no approval: leave out --propose");
    let done = if arg.propose.propose { "proposed to revoke" } else { done };
    preview(session, &todo, &arg);
    if still {
        session.output.warn(format!(
            "{key} may still enrol: remove it first, or it enrols more: muster org key remove {key}"
        ));
    }
    if foreign > 0 {
        session.output.warn(format!("{foreign} batches are of other organisations: theirs to end"));
    }
    let mut object = json!({
        "key": key.to_multikey(), "since": arg.since, "size": chain.size(),
        "batches": todo.len(), "devices": devices, "already": over.len(), "foreign": foreign,
        "key_may_enrol": still, "action": verb, "done": 0,
    });
    if arg.dry_run || todo.is_empty() {
        let words = format!(
            "{} batches with {devices} devices to {verb}, {} are over already; nothing was done",
            todo.len(),
            over.len()
        );
        return Ok(session.output.result(&object, words));
    }
    if !arg.yes {
        let would = format!("{devices} devices of {} batches would be {done}", todo.len());
        let finally = if arg.revoke { " for good" } else { "" };
        confirm(session, &would, &format!("{verb} {devices} devices{finally}?"), devices)?;
    }
    let (desk, seen) = (&desk, chain.size());
    let submit = |found: &&Found| {
        let target = Target::Batch(found.id);
        let reason = arg.reason.clone();
        let action = if arg.revoke {
            Action::Revoke(Revoke { target, reason })
        } else {
            let (id, power) = (HoldId(random()), Power::Owner);
            Action::Hold(Hold { target, id, power, until: None, seen, reason })
        };
        let action = if arg.propose.propose { proposal(action, arg.propose) } else { action };
        let id = found.id;
        async move { desk.submit(action).await.with_context(|| format!("batch {id}")) }
    };
    // All futures are made beforehand: what they are made of does not live as long as they do.
    let operations: Vec<_> = todo.iter().map(submit).collect();
    let total = operations.len();
    let entries: Result<Vec<u64>> = stream::iter(operations)
        .buffer_unordered(AT_ONCE)
        .map_ok(|entry| entry.index)
        .try_collect()
        .await;
    let entries = entries.map_err(|e: Error| {
        e.context(format!("not all of {total} batches were {done}; run it again for the rest"))
    })?;
    object["done"] = json!(entries.len());
    object["entries"] = json!({ "first": entries.iter().min(), "last": entries.iter().max() });
    let last = entries.iter().max().copied().unwrap_or_default();
    Ok(session.output.result(
        &object,
        format!(
            "{done} {devices} devices by {total} operations, all acknowledged and proved\n{}",
            match arg.propose.propose {
                true => "Next, by another person: muster approve --list".to_owned(),
                false => format!("Who refuses them already: muster coverage {last}"),
            }
        ),
    ))
}

impl Found {
    /// Whether there is something left to do.
    fn is_open(&self, us: &Did, revoke: bool) -> bool {
        let standing = &self.record.standing;
        let ended = standing.revoked || standing.deactivated;
        let held = standing
            .holds
            .iter()
            .any(|hold| hold.by == *us && hold.power == Power::Owner && hold.until.is_none());
        !ended && (revoke || !held)
    }
}

fn preview(session: &Session, todo: &[&Found], arg: &Cohort) {
    let mut models: BTreeMap<&str, u64> = BTreeMap::new();
    for found in todo {
        *models.entry(&found.record.model).or_default() += found.record.count;
    }
    session.output.say(format!("Enrolled by {} from block {} on:", arg.signed_by, arg.since));
    for found in todo.iter().take(SHOWN) {
        session.output.say(format!(
            "  batch {}  block {}, {}, {} devices, {}",
            found.id,
            found.height,
            moment(found.time),
            found.record.count,
            found.record.model
        ));
    }
    if todo.len() > SHOWN {
        session.output.say(format!("  ... and {} more batches", todo.len() - SHOWN));
    }
    for (model, count) in models {
        session.output.say(format!("  {count} devices of model {model}"));
    }
}
