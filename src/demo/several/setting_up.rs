//! From the network of one organisation to one of several, by the commands that anybody would use.

use super::member::Member;
use crate::output::Output;
use anyhow::{Context as _, Result, ensure};
use muster_api::ConsensusRole;
use serde_json::Value;

/// The folders: the first organisation begins the network, the others ask to be admitted.
pub(super) async fn folders(members: &[Member]) -> Result<()> {
    let genesis = text(&members[0].home.path("genesis.cbor"))?;
    for (i, member) in members.iter().enumerate() {
        if member.home.exists()? {
            continue;
        }
        match i {
            0 => member.run(&["init", "--unsealed", "--label", member.name]).await?,
            _ => {
                let args = ["init", "--unsealed", "--genesis", &genesis, "--org", member.name];
                member.run(&args).await?
            }
        };
    }
    Ok(())
}

/// Starts the nodes; each dials all others.
pub(super) async fn nodes(members: &mut [Member]) -> Result<()> {
    let places: Vec<String> = members.iter().map(Member::exchange).collect();
    for (i, member) in members.iter_mut().enumerate() {
        member.start_node(&others(&places, i)).await?;
    }
    // Where the network goes on from an earlier run, it takes several of them to sign a head, and
    // before that none can say who is a member.
    for member in &*members {
        member.until("it has a signed head", |view| view.checkpoint_time > 0).await?;
    }
    Ok(())
}

pub(super) fn others(places: &[String], own: usize) -> Vec<String> {
    let of = places.iter().enumerate().filter(|(i, _)| *i != own);
    of.map(|(_, place)| place.clone()).collect()
}

/// Every organisation that is no member yet is admitted by those that are.
pub(super) async fn admissions(out: Output, members: &[Member]) -> Result<()> {
    for i in 1..members.len() {
        let member = &members[i];
        let did = member.home.organisation()?.to_string();
        if is_member(&members[0], &did).await? {
            continue;
        }
        let request = text(&member.home.path("admission.cbor"))?;
        let args = ["org", "admit", "--yes", &request];
        let by = decide(&members[..i], &args).await?;
        // Its own node must know before anything is signed by its keys.
        for one in members {
            until_member(one, &did).await?;
        }
        out.say(format!("  {:<10} admitted by {by}", member.name));
    }
    Ok(())
}

/// Their keys become the validators' set.
pub(super) async fn promotion(out: Output, members: &[Member]) -> Result<()> {
    let present = members[0].client()?.consensus().await?.validators;
    let mut args = vec!["org".to_owned(), "validators".to_owned()];
    for member in members {
        let key = member.client()?.consensus().await?.key;
        if !present.iter().any(|one| one.key == key) {
            args.extend(["--add".to_owned(), key]);
        }
    }
    if args.len() > 2 {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let by = decide(members, &args).await?;
        out.say(format!("  {} validators, by {by}", members.len()));
    }
    let n = members.len() as u64;
    for member in members {
        let holds = |view: &muster_api::ConsensusView| {
            view.role == ConsensusRole::Validator && view.quorum.of == n && view.quorum.present == n
        };
        member.until("all validators hear of each other", holds).await?;
        // From now on its commands know who signs.
        member.run(&["ledger", "status"]).await?;
    }
    Ok(())
}

/// Has the first of the members do something, or propose it and the others approve, until it is
/// done. Gives who agreed.
async fn decide(members: &[Member], args: &[&str]) -> Result<String> {
    let (first, others) = members.split_first().context("there is a member")?;
    if others.is_empty() {
        first.run(args).await?;
        return Ok(first.name.into());
    }
    let proposed = first.run(&[args, &["--propose"]].concat()).await?;
    let id = word(&proposed, "proposal")?;
    let mut agreed = vec![first.name];
    for other in others {
        other.until_proposed(id).await?;
        let approved = other.run(&["approve", id, "--yes"]).await?;
        agreed.push(other.name);
        if word(&approved, "outcome")? == "carried out" {
            return Ok(agreed.join(", "));
        }
    }
    anyhow::bail!("all approved proposal {id}, and it is not carried out")
}

fn word<'a>(object: &'a Value, name: &str) -> Result<&'a str> {
    object[name].as_str().with_context(|| format!("no {name:?} in {object}"))
}

async fn is_member(member: &Member, did: &str) -> Result<bool> {
    let network = member.client()?.network().await?;
    Ok(network.organisations.iter().any(|one| one.did == did && !one.keys.is_empty()))
}

async fn until_member(member: &Member, did: &str) -> Result<()> {
    let start = std::time::Instant::now();
    loop {
        // A node that has no signed head yet says that it starts.
        if is_member(member, did).await.unwrap_or_default() {
            return Ok(());
        }
        ensure!(
            start.elapsed() < super::member::PATIENCE,
            "the node of {} does not hear that {did} was admitted",
            member.name
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

pub(super) fn text(path: &std::path::Path) -> Result<String> {
    Ok(path.to_str().context("the folder's name is not text")?.to_owned())
}
