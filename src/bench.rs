//! `muster bench`: our figures beside the limit of this machine, measured in the same run by
//! code that uses none of our crates.

use crate::cli::{Bench, BenchArg};
use crate::commands::{Session, enrolment, watch};
use crate::demo::{Fleet, Lot, Parts, Visitor, did_of};
use crate::home::{Home, read_key};
use crate::signing::{Desk, device_ref};
use anyhow::{Context as _, Result};
use muster_api::Client;
use muster_ledger::{Action, Revoke, Target};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) async fn run(session: &Session, bench: Bench) -> Result<ExitCode> {
    let figures = match bench {
        Bench::Revoke(arg) => revoke(session, &arg).await?,
    };
    let lines: Vec<String> = figures
        .iter()
        .map(|f| {
            format!(
                "{:<34} ours {:>9.3} {u}   limit {:>9.3} {u}   ratio {:.2}",
                f["name"].as_str().unwrap_or_default(),
                f["ours"].as_f64().unwrap_or_default(),
                f["limit"].as_f64().unwrap_or_default(),
                f["ratio"].as_f64().unwrap_or_default(),
                u = f["unit"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    Ok(session.output.result(&Value::Array(figures), lines.join("\n")))
}

/// From the acknowledgement of a revocation to the first refusal at a following gateway, for
/// each device in turn. The limit is one durable write and one round trip over loopback, which
/// either leg needs at least. A ratio of 1 is the limit itself.
async fn revoke(session: &Session, arg: &BenchArg) -> Result<Vec<Value>> {
    let dir = std::env::temp_dir().join(format!("muster-bench-{}", std::process::id()));
    let home = Home::at(&dir);
    let result = revoke_in(session, &home, arg.devices).await;
    let _ = std::fs::remove_dir_all(&dir);
    result
}

async fn revoke_in(session: &Session, home: &Home, devices: u64) -> Result<Vec<Value>> {
    let parts = Parts::start(home, 0).await?;
    let fleet = Fleet::open(home)?;
    let lot =
        Lot { prefix: "SN".into(), model: "bench", devices, manifest: home.path("manifest.jsonl") };
    fleet.write(home, &parts.genesis, &lot)?;
    let desk = || -> Result<Desk> {
        Ok(Desk {
            client: Client::new(&parts.node)?,
            genesis: parts.genesis.clone(),
            key: read_key(&home.path("keys/admin.pem"))?,
        })
    };
    let enrolment = enrolment(home, desk()?)?;
    watch(session.output, enrolment, vec![lot.manifest.clone()], None).await?;

    let visitor = Visitor::new(&parts)?;
    let desk = desk()?;
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    for number in 1..=devices {
        let key = fleet.key(&lot.serial(number))?;
        let (device, _) = device_ref(&desk.client, &did_of(&key)).await?;
        let start = Instant::now();
        let revoke = Revoke { target: Target::Device(device), reason: String::new() };
        desk.submit(Action::Revoke(revoke)).await?;
        acknowledged.push(start.elapsed().as_secs_f64() * 1_000.0);
        refused.push(visitor.until_refused(&key, "revoked").await?);
    }
    parts.stop().await;
    let bare = bare(home, devices).await.context("the bare writes and round trips")?;
    Ok([("p50", 0.50), ("p99", 0.99)]
        .into_iter()
        .flat_map(|(name, q)| {
            let limit = quantile(&bare, q);
            [("sign to acknowledgement", &acknowledged), ("acknowledgement to refusal", &refused)]
                .map(|(what, samples)| {
                    let ours = quantile(samples, q);
                    json!({
                        "name": format!("revoke: {what}, {name}"),
                        "ours": ours, "limit": limit, "ratio": limit / ours, "unit": "ms",
                    })
                })
        })
        .collect())
}

/// Milliseconds of a bare durable write of 4 KiB, and a request and answer over one loopback TCP
/// connection.
async fn bare(home: &Home, n: u64) -> Result<Vec<f64>> {
    let mut file = std::fs::File::create(home.path("bare"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 512];
            while stream.read_exact(&mut buffer).await.is_ok() {
                if stream.write_all(&buffer).await.is_err() {
                    break;
                }
            }
        }
    });
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut samples = Vec::new();
    let mut buffer = [0; 512];
    for _ in 0..n {
        let start = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        stream.write_all(&buffer).await?;
        stream.read_exact(&mut buffer).await?;
        samples.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(samples)
}

/// The q-quantile of some samples.
fn quantile(samples: &[f64], q: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = ((sorted.len() as f64 - 1.0) * q).round();
    sorted.get(place as usize).copied().unwrap_or_default()
}
