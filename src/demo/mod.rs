//! `muster demo`: the whole story on one machine, with the real parts. Every step is checked;
//! a step that does not end as it should makes the command fail.

mod fleet;
mod living;
mod parts;
mod several;
mod visitor;

pub(crate) use fleet::{Fleet, Lot, did_of};
pub(crate) use parts::{AUDIENCE, Parts};
pub(crate) use several::Ports;
pub(crate) use visitor::Visitor;

use crate::cli;
use crate::commands::{Offer, Session, enrolment, stop_signal, watch, write};
use crate::home::Home;
use crate::host::new_key;
use crate::output::Output;
use crate::signing::{Desk, device_ref};
use anyhow::{Result, bail, ensure};
use muster_api::Client;
use muster_identity::{Algorithm, Role};
use muster_ledger::{Action, BatchId, Revoke, Target};
use muster_provisioning::Finished;
use serde_json::json;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Model of the fleet, and of the lot that is recalled.
const MODEL: &str = "thermo-2";
const RECALLED_MODEL: &str = "thermo-1";

pub(crate) async fn run(session: &Session, arg: &cli::Demo) -> Result<ExitCode> {
    if arg.nodes != 1 {
        return several::run(session, arg).await;
    }
    let home = &session.home;
    let out = session.output;
    let reused = home.exists()?;
    let parts = Parts::start(home, arg.port).await?;
    let dir = home.dir().display();
    out.say(format!(
        "Muster demo: a node, a gateway and a service behind it, on this machine.\n\n\
         folder    {dir}/{}\n\
         network   {}\n\
         node      {}\n\
         gateway   {}/v1/authenticate\n\
         service   {}/telemetry",
        if reused { " (from an earlier run)" } else { "" },
        parts.genesis.network(),
        parts.node,
        parts.gateway,
        parts.upstream,
    ));
    let told = tell(session, arg, &parts).await;
    let story = match told {
        Ok(story) => story,
        Err(e) => {
            parts.stop().await;
            return Err(e);
        }
    };
    let object = json!({
        "enrolled": story.fleet.summary().counts.enrolled,
        "already": story.fleet.summary().counts.already,
        "enrol_seconds": story.seconds,
        "revoke_ms": story.device_ms,
        "revoke_batch_ms": story.batch_ms,
    });
    if arg.exit {
        parts.stop().await;
        return Ok(out.result(&object, "\nThe story ended as it should."));
    }
    let link = welcome(session, &parts).await?;
    let lot = Lot { devices: story.fleet.summary().counts.rows, ..lot(home, arg) };
    let life = living::go_on(Fleet::open(home)?, lot, Visitor::new(&parts)?);
    let life = tokio::spawn(life);
    out.result(&object, next(session, &parts, &link));
    stop_signal().await;
    life.abort();
    parts.stop().await;
    Ok(ExitCode::SUCCESS)
}

struct Story {
    fleet: Finished,
    seconds: f64,
    device_ms: f64,
    batch_ms: f64,
}

async fn tell(session: &Session, arg: &cli::Demo, parts: &Parts) -> Result<Story> {
    let (home, out) = (&session.home, session.output);
    let fleet = Fleet::open(home)?;

    out.say("\nEnrol");
    living::register_gateway(session, parts).await?;
    let lot = lot(home, arg);
    if !fleet.write(home, &parts.genesis, &lot)? {
        out.say(format!("  {} is there from an earlier run", lot.manifest.display()));
    }
    let start = Instant::now();
    let finished = enrol(session, parts, &lot).await?;
    let seconds = start.elapsed().as_secs_f64();
    report(out, &lot, &finished, seconds);
    let counts = finished.summary().counts;
    ensure!(counts.enrolled + counts.already == counts.rows, "not every device was enrolled");
    let lot = Lot { devices: counts.rows, ..lot };

    out.say("\nAuthenticate");
    let client = Client::new(&parts.node)?;
    let visitor = Visitor::new(parts)?;
    let victim = first_active(&client, &fleet, &lot).await?;
    pass(out, &fleet, &lot, &visitor, victim).await?;

    out.say("\nRevoke");
    let device_ms = revoke_device(session, parts, &fleet, &lot, victim, &visitor).await?;
    let batch_ms = recall(session, parts, &fleet, &visitor).await?;
    Ok(Story { fleet: finished, seconds, device_ms, batch_ms })
}

fn lot(home: &Home, arg: &cli::Demo) -> Lot {
    Lot {
        prefix: "SN".into(),
        model: MODEL,
        devices: arg.devices,
        manifest: home.path("manifest.jsonl"),
    }
}

async fn enrol(session: &Session, parts: &Parts, lot: &Lot) -> Result<Finished> {
    let enrolment = enrolment(&session.home, desk(session, parts)?)?;
    let finished = watch(session.output, enrolment, vec![lot.manifest.clone()], None).await?;
    let beside = |name| lot.manifest.with_extension(name);
    write(&beside("results.jsonl"), |out| finished.write_results(out, 0).map(drop))?;
    write(&beside("receipts.jsonl"), |out| finished.write_receipts(out))?;
    Ok(finished)
}

fn desk(session: &Session, parts: &Parts) -> Result<Desk> {
    let key = Arc::new(session.home.key("keys/admin.pem")?);
    Desk::with(&session.home, Client::new(&parts.node)?, key)
}

fn report(out: Output, lot: &Lot, finished: &Finished, seconds: f64) {
    let (file, counts) = (lot.manifest.display(), finished.summary().counts);
    out.say(format!(
        "  {file}: {} rows, {} enrolled, {} already, in {seconds:.2} s",
        counts.rows, counts.enrolled, counts.already
    ));
    for batch in finished.batches() {
        let (id, count) = (batch.batch, batch.enrol.count);
        out.say(format!("  one log entry: batch {id} of {count} devices"));
    }
}

/// The first device of the lot that no earlier run revoked.
async fn first_active(client: &Client, fleet: &Fleet, lot: &Lot) -> Result<u64> {
    for number in 1..=lot.devices {
        let did = did_of(&fleet.key(&lot.serial(number))?);
        if client.device(&did).await?.standing == "active" {
            return Ok(number);
        }
    }
    bail!("earlier runs revoked every device: remove the folder, or name another with --home")
}

async fn pass(out: Output, fleet: &Fleet, lot: &Lot, visitor: &Visitor, first: u64) -> Result<()> {
    let last = lot.devices.min(first + 20);
    visitor.until_open(&fleet.key(&lot.serial(first))?).await?;
    let start = Instant::now();
    for number in first..=last {
        let serial = lot.serial(number);
        let answer = visitor.greet(&fleet.key(&serial)?).await?;
        ensure!(answer.status == 200, "{serial} should pass, it got {answer}");
        if number == first {
            out.say(format!("  {serial:<24} 200  {}", answer.body.trim()));
        }
    }
    let n = last - first + 1;
    let ms = start.elapsed().as_secs_f64() * 1_000.0 / n as f64;
    out.say(format!("  {n} devices passed, {ms:.1} ms each, connection and all"));

    let honest = fleet.key(&lot.serial(first))?;
    let (stranger, thief) = (new_key(Algorithm::Ed25519), new_key(Algorithm::Ed25519));
    let token = visitor.token(&honest, None)?;
    ensure!(visitor.show(&token).await?.status == 200, "a fresh presentation should pass");
    let trials = [
        ("another key for its DID", visitor.token(&thief, Some(did_of(&honest)))?, "wrong-key"),
        ("the same presentation again", token, "replayed"),
        ("a device nobody enrolled", visitor.token(&stranger, None)?, "unknown-device"),
    ];
    for (what, token, expected) in trials {
        let answer = visitor.show(&token).await?;
        let as_told = answer.status == 401 && answer.reason == expected;
        ensure!(as_told, "{what} should be refused with {expected}, it got {answer}");
        out.say(format!("  {what:<28} 401  {expected}"));
    }
    Ok(())
}

async fn revoke_device(
    session: &Session,
    parts: &Parts,
    fleet: &Fleet,
    lot: &Lot,
    number: u64,
    visitor: &Visitor,
) -> Result<f64> {
    let desk = desk(session, parts)?;
    let serial = lot.serial(number);
    let key = fleet.key(&serial)?;
    let (device, _) = device_ref(&desk.client, &did_of(&key)).await?;
    let target = Target::Device(device);
    desk.submit(Action::Revoke(Revoke { target, reason: "demo: reported stolen".into() })).await?;
    let ms = visitor.until_refused(&key, "revoked").await?;
    session.output.say(format!("  {serial} revoked; refused {ms:.1} ms after the acknowledgement"));
    Ok(ms)
}

/// Enrols a small lot, lets one of its devices pass, and revokes the whole batch by one entry.
async fn recall(session: &Session, parts: &Parts, fleet: &Fleet, visitor: &Visitor) -> Result<f64> {
    let home = &session.home;
    let run =
        (1..).find(|run| !home.path(&format!("recall-{run}.jsonl")).exists()).unwrap_or(u64::MAX);
    let lot = Lot {
        prefix: format!("RC-{run}"),
        model: RECALLED_MODEL,
        devices: 100,
        manifest: home.path(&format!("recall-{run}.jsonl")),
    };
    fleet.write(home, &parts.genesis, &lot)?;
    let finished = enrol(session, parts, &lot).await?;
    let batch: BatchId = match finished.batches().next() {
        Some(batch) if batch.enrol.count == lot.devices => batch.batch,
        _ => bail!("the lot was not enrolled"),
    };
    let key = fleet.key(&lot.serial(1))?;
    let answer = visitor.greet(&key).await?;
    ensure!(answer.status == 200, "a device of the new lot should pass, it got {answer}");
    let revoke = Revoke { target: Target::Batch(batch), reason: "demo: recall".into() };
    desk(session, parts)?.submit(Action::Revoke(revoke)).await?;
    let ms = visitor.until_refused(&key, "revoked").await?;
    let last = fleet.key(&lot.serial(lot.devices))?;
    let answer = visitor.show(&visitor.token(&last, None)?).await?;
    ensure!(answer.status == 403, "the whole batch should be refused, its last got {answer}");
    session.output.say(format!(
        "  batch of {} devices revoked by one entry; refused {ms:.1} ms after the acknowledgement",
        lot.devices
    ));
    Ok(ms)
}

/// A link to the console, and somebody who admits its first visitor: who sits at this machine has
/// the demonstration's root key anyway.
async fn welcome(session: &Session, parts: &Parts) -> Result<String> {
    let key = Arc::new(session.home.key("keys/root.pem")?);
    let root = Desk::with(&session.home, Client::new(&parts.node)?, key)?;
    let offer = Offer::make(&root, "Demo admin", Role::Admin, 24, &parts.node).await?;
    let link = offer.link.clone();
    tokio::spawn(async move {
        let admitted = async {
            match offer.used(&root).await? {
                Some(claim) => offer.admit(&root, claim).await.map(drop),
                None => Ok(()),
            }
        };
        if let Err(error) = admitted.await {
            tracing::warn!("nobody was admitted to the console: {error:#}");
        }
    });
    Ok(link)
}

fn next(session: &Session, parts: &Parts, link: &str) -> String {
    let home = session.home.dir().display();
    let muster = if home.to_string() == "muster-data" {
        "muster".to_owned()
    } else {
        format!("muster --home {home}")
    };
    let kept = fs::read_dir(session.home.path("devices"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "pem"))
        .max();
    let key = kept.map_or("DEVICE.pem".into(), |path| path.display().to_string());
    let node = if parts.node == "http://127.0.0.1:7700" {
        String::new()
    } else {
        format!(" --node {}", parts.node)
    };
    format!(
        "\nThe console; the link admits the first browser that opens it:\n\
         \x20 {link}\n\
         \nIt stays up; try in another terminal (`muster` is target/release/muster):\n\
         \x20 DID=$({muster} device did {key})\n\
         \x20 curl -i -H \"Authorization: Muster $({muster} device present {key} --audience {AUDIENCE})\" {}/telemetry\n\
         \x20 {muster} show $DID{node}\n\
         \x20 {muster} hold $DID --reason \"lost\"{node}\n\
         \x20 {muster} release $DID{node}\n\
         \x20 {muster} revoke $DID{node}\n\
         \x20 {muster} ledger audit\n\
         Stop with Ctrl-C.",
        parts.upstream
    )
}
