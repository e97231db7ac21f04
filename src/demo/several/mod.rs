//! `muster demo --nodes 4`: organisations that do not trust each other run one roll. Each has a
//! folder, a node and a gateway; every one of them is a process of this program, so that one can be
//! killed. The first begins the network alone, and the others join it by governance, as in earnest.

mod member;
mod ports;
mod setting_up;

use super::{Fleet, Lot, MODEL, Visitor, did_of};
use crate::cli;
use crate::commands::{Session, stop_signal};
use crate::consortium;
use crate::home::Home;
use crate::output::Output;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use member::{Member, PATIENCE};
use muster_identity::SecretKey;
pub(crate) use ports::Ports;
use serde_json::json;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What the members are called.
const NAMES: [&str; 7] = ["North", "East", "South", "West", "Upper", "Lower", "Middle"];

pub(super) async fn run(session: &Session, arg: &cli::Demo) -> Result<ExitCode> {
    consortium::built()?;
    let out = session.output;
    ensure!(
        (4..=NAMES.len() as u64).contains(&arg.nodes),
        "--nodes is 1, or 4 to {}: with fewer than 4 validators none may fail",
        NAMES.len()
    );
    let home = &session.home;
    ensure!(
        !home.exists()?,
        "{} is the folder of one organisation: name another with --home",
        home.dir().display()
    );
    let count = u16::try_from(arg.nodes)?;
    let ports = Ports::choose(arg.port, count)?;
    let folder = |name: &str| home.path(&name.to_lowercase());
    let mut members: Vec<Member> = NAMES
        .into_iter()
        .zip(ports)
        .map(|(name, ports)| Member::new(name, Home::at(&folder(name)), ports))
        .collect();
    members.iter().try_for_each(Member::check_free)?;
    make_folder(home)?;
    // Whoever stops it in the middle leaves no node behind.
    let told = tokio::select! {
        told = tell(out, arg, &mut members) => told,
        () = stop_signal() => Err(anyhow!("stopped; the same command goes on from here")),
    };
    let story = match told {
        Ok(story) => story,
        Err(error) => {
            for member in &mut members {
                let _ = member.stop().await;
            }
            return Err(error.context(format!("logs are in {}", home.dir().display())));
        }
    };
    let object = json!({
        "nodes": arg.nodes,
        "enrolled": story.enrolled,
        "revoke_ms": story.refused_ms,
        "log_root": story.log_root,
        "state_root": story.state_root,
    });
    if arg.exit {
        stop(&mut members).await?;
        return Ok(out.result(&object, "\nThe story ended as it should."));
    }
    out.result(&object, "\nThe nodes go on. Stop with Ctrl-C.");
    stop_signal().await;
    stop(&mut members).await?;
    Ok(ExitCode::SUCCESS)
}

fn make_folder(home: &Home) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let dir = home.dir();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))
}

async fn stop(members: &mut [Member]) -> Result<()> {
    for member in members {
        member.stop().await?;
    }
    Ok(())
}

struct Story {
    enrolled: u64,
    refused_ms: f64,
    log_root: String,
    state_root: String,
}

async fn tell(out: Output, arg: &cli::Demo, members: &mut [Member]) -> Result<Story> {
    out.say(format!("Muster demo: {} organisations, one roll, on this machine.", members.len()));
    setting_up::folders(members).await?;
    setting_up::nodes(members).await?;
    for member in &*members {
        out.say(format!(
            "  {:<10} node {}, gateway {}, exchange {}",
            member.name,
            member.url(),
            member.gateway_url(),
            member.exchange()
        ));
    }
    out.say("\nJoin");
    setting_up::admissions(out, members).await?;
    setting_up::promotion(out, members).await?;
    gateways(members).await?;

    out.say("\nEnrol, through the node of North");
    let (fleet, lot) = enrol(out, arg, members).await?;

    out.say("\nAuthenticate, at the gateway of South");
    let visitors: Vec<Visitor> = members
        .iter()
        .map(|member| Visitor::at(&member.gateway_url(), &member.gateway_url()))
        .collect::<Result<_>>()?;
    let (victim, other) = (fleet.key(&lot.serial(1))?, fleet.key(&lot.serial(2))?);
    for (member, visitor) in members.iter().zip(&visitors) {
        until_passes(member, visitor, &victim).await?;
    }
    out.say(format!("  {} passes at the gateway of South, and at every other", lot.serial(1)));

    out.say("\nKill the node of East with SIGKILL, and revoke through that of West");
    members[1].kill_node();
    let did = did_of(&victim).to_string();
    let west = members[3].url();
    members[0].run_at(&west, &["revoke", &did, "--reason", "demo: reported stolen"]).await?;
    let start = Instant::now();
    for (member, visitor) in members.iter().zip(&visitors) {
        visitor.until_refused(&victim, "revoked").await.context(member.name)?;
        out.say(format!("  refused at the gateway of {}", member.name));
    }
    let refused_ms = start.elapsed().as_secs_f64() * 1_000.0;
    for (member, visitor) in members.iter().zip(&visitors) {
        let answer = visitor.show(&visitor.token(&other, None)?).await?;
        ensure!(answer.status == 200, "another device should pass at {}: {answer}", member.name);
    }

    out.say("\nStart the node of East again");
    let places: Vec<String> = members.iter().map(Member::exchange).collect();
    members[1].start_node(&setting_up::others(&places, 1)).await?;
    let (log_root, state_root) = equal_roots(out, members).await?;
    Ok(Story { enrolled: lot.devices, refused_ms, log_root, state_root })
}

async fn gateways(members: &mut [Member]) -> Result<()> {
    let urls: Vec<String> = members.iter().map(Member::url).collect();
    for (i, member) in members.iter_mut().enumerate() {
        let other = &urls[(i + 1) % urls.len()];
        member.start_gateway(other).await?;
    }
    Ok(())
}

/// Enrols a lot that no earlier run enrolled.
async fn enrol(out: Output, arg: &cli::Demo, members: &[Member]) -> Result<(Fleet, Lot)> {
    let north = &members[0];
    let file = |run: u64| north.home.path(&format!("manifest-{run}.jsonl"));
    let run = (1..).find(|run| !file(*run).exists()).context("there is a next run")?;
    let lot =
        Lot { prefix: format!("SN{run}"), model: MODEL, devices: arg.devices, manifest: file(run) };
    let fleet = Fleet::open(&north.home)?;
    fleet.write(&north.home, &north.home.genesis()?, &lot)?;
    let start = Instant::now();
    let told = north.run(&["enrol", &setting_up::text(&lot.manifest)?]).await?;
    let enrolled = told["enrolled"].as_u64().unwrap_or_default();
    ensure!(enrolled == lot.devices, "not every device was enrolled: {told}");
    let seconds = start.elapsed().as_secs_f64();
    out.say(format!("  {enrolled} devices enrolled in {seconds:.2} s, one entry of the log"));
    for member in members {
        let had = member.until("it has every leaf", |view| view.missing_leaves.is_empty()).await?;
        ensure!(had.size > 0, "the node of {} has no entries", member.name);
    }
    Ok((fleet, lot))
}

/// Waits until a gateway has heard of the batch, and lets a device of it pass.
async fn until_passes(member: &Member, visitor: &Visitor, key: &SecretKey) -> Result<()> {
    let start = Instant::now();
    loop {
        let answer = visitor.show(&visitor.token(key, None)?).await?;
        match (answer.status, answer.reason.as_str()) {
            (200, _) => return Ok(()),
            // It follows its node, which follows the others; and it has just started.
            (401, "unknown-device" | "replayed") | (503, _) if start.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            _ => bail!("the gateway of {} answered {answer} instead of 200", member.name),
        }
    }
}

/// Has every member recompute the ledger of its own node, until all have the same.
async fn equal_roots(out: Output, members: &[Member]) -> Result<(String, String)> {
    let start = Instant::now();
    loop {
        let found = heads(members).await;
        match found {
            Ok(heads) if heads.windows(2).all(|pair| pair[0] == pair[1]) => {
                for (member, head) in members.iter().zip(&heads) {
                    let Head { size, log, state } = head;
                    let name = member.name;
                    out.say(format!("  {name:<10} {size} entries, log {log}, state {state}"));
                }
                let Some(head) = heads.into_iter().next() else { bail!("nobody is there") };
                return Ok((head.log, head.state));
            }
            Ok(heads) if start.elapsed() > PATIENCE => bail!("the roots differ: {heads:?}"),
            Err(error) if start.elapsed() > PATIENCE => return Err(error),
            // A node that has just started is not asked in vain for long.
            _ => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    size: u64,
    log: String,
    state: String,
}

async fn heads(members: &[Member]) -> Result<Vec<Head>> {
    let mut heads = Vec::new();
    for member in members {
        let told = member.run(&["ledger", "status"]).await?;
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let size = told["size"].as_u64().unwrap_or_default();
        heads.push(Head { size, log: text("log_root"), state: text("state_root") });
    }
    Ok(heads)
}
