//! `muster bench console`: what consoles ask, of a registry with many devices in this process,
//! beside a page of a like table that is read bare; then its pages, asked of a node over HTTP.

mod pages;
mod questions;

use super::cores;
use super::enrol::network;
use super::figure::{Figure, quantile};
use super::folder::{self, Folder};
use super::limit::pages as bare;
use super::manifest::{self, Seed, serial};
use super::process::{self, Server};
use crate::cli::BenchConsole;
use crate::commands::Session;
use crate::demo::did_of;
use crate::home::Home;
use crate::host::{Machine, random};
use anyhow::{Context as _, Result, ensure};
use data_encoding::HEXLOWER;
use muster_identity::{Did, SecretKey, Signer as _};
use muster_ledger::{
    Action, BatchId, DeviceRef, Hold, HoldId, Operation, Power, Revoke, Target, Time,
};
use muster_registry::{Config, Deciding, DeviceSearch, Registry, StoreUrl};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is asked of us: a page of any search in 20 ms at p99.
const ASKED_MS: f64 = 20.0;

/// Batches, of which one is held as a whole; models in turn.
const BATCHES: u64 = 10;
const MODELS: u64 = 4;

/// Devices of a lot: a small reel, so that a lot is a fraction of its batch.
const LOT: u64 = 1_000;

/// One device in so many is revoked by itself.
const REVOKED_OF: u64 = 1_000;

/// Rows of a page.
const PAGE: u64 = 100;

/// Written when the folder is complete: the seed of the devices' keys.
const DONE: &str = "filled.key";

struct Console {
    registry: Registry,
    seed: Seed,
    devices: u64,
    owner: Did,
    batches: Vec<BatchId>,
}

pub(super) async fn run(session: &Session, arg: &BenchConsole) -> Result<Vec<Figure>> {
    let folder = Folder::new(arg.dir.as_deref())?;
    let home = Home::at(&folder.path(&format!("console-{}", arg.devices)));
    let done = home.path(DONE);
    let fresh = !done.exists();
    if fresh {
        ensure!(!home.exists()?, "{} was left unfinished: remove it", home.dir().display());
        folder::make(home.dir())?;
        let seed = fill(session, &home, arg.devices).await?;
        fs::write(&done, HEXLOWER.encode(seed.bytes()))?;
    }
    let text = fs::read_to_string(&done)?;
    let seed = HEXLOWER.decode(text.trim().as_bytes())?.try_into().ok();
    let seed = Seed::from_bytes(seed.with_context(|| format!("{} is damaged", done.display()))?);

    let _ = fs::remove_file(home.path("node/index.db"));
    let start = Instant::now();
    let registry = open(&home).await?;
    let opened = start.elapsed();
    let indexed = settle(&registry, start).await?;
    let batches = registry.batches().await?.into_iter().map(|batch| batch.batch);
    let batches = batches.map(|id| parse(&id)).collect::<Result<Vec<_>>>()?;
    let console = Console {
        owner: registry.genesis().organisation_did(),
        devices: arg.devices,
        registry,
        seed,
        batches,
    };
    if fresh {
        session.output.say("revoking some, and holding a batch");
        console.change(&home).await?;
    }
    settle(&console.registry, start).await?;
    session.output.say("asking");
    let mut figures = vec![
        Figure::new("console: opening", opened.as_secs_f64(), "s"),
        Figure::new("console: the index made anew", indexed.as_secs_f64(), "s"),
    ];
    let mut asked = Vec::new();
    for kind in questions::KINDS {
        asked.push((*kind, console.ask(*kind, arg.questions).await?));
    }
    session.output.say("measuring the limit of this machine");
    let table = folder.path(&format!("limit-{}.db", HEXLOWER.encode(&random::<4>())));
    let devices = arg.devices;
    let questions: Vec<String> = (0..arg.questions).map(|_| serial("SN", any(devices))).collect();
    let file = table.clone();
    let limit = cores::aside(move || {
        bare::times(&file, (1..=devices).map(|n| serial("SN", n)), &questions, PAGE as usize)
    });
    let limit = limit.await?;
    for end in ["", "-wal", "-shm"] {
        let mut name = table.as_os_str().to_owned();
        name.push(end);
        let _ = fs::remove_file(name);
    }
    for (kind, (times, rows)) in asked {
        let beside = if kind.is_a_page() { &limit.page } else { &limit.point };
        let name = |what| format!("console: {}, {what}", kind.name());
        figures.extend([
            Figure::new(name("p50"), quantile(&times, 0.50), "ms").limit(quantile(beside, 0.50)),
            Figure::new(name("p99"), quantile(&times, 0.99), "ms").asked(ASKED_MS),
            Figure::new(name("rows"), rows, "a page"),
        ]);
    }
    for (name, times) in [("point", &limit.point), ("page", &limit.page)] {
        let name = format!("console: bare {name}, p99");
        figures.push(Figure::new(name, quantile(times, 0.99), "ms"));
    }
    console.registry.close().await;
    session.output.say("asking a node for its pages");
    figures.extend(pages::ask(&console, &home, arg.questions).await?);
    Ok(figures)
}

fn any(devices: u64) -> u64 {
    1 + u64::from_be_bytes(random()) % devices
}

fn lot(number: u64) -> String {
    format!("L-{:05}", number / LOT)
}

fn parse(id: &str) -> Result<BatchId> {
    let bytes = HEXLOWER.decode(id.as_bytes())?.try_into().ok();
    Ok(BatchId(bytes.context("a batch id")?))
}

/// Enrols the devices, batch by batch.
async fn fill(session: &Session, home: &Home, devices: u64) -> Result<Arc<Seed>> {
    network(home, devices)?;
    let seed = Arc::new(Seed::new());
    let node = Server::node(home).await?;
    let share = devices.div_ceil(BATCHES);
    for (turn, first) in (0..devices).step_by(share as usize).enumerate() {
        let rows = share.min(devices - first);
        session.output.say(format!("enrolling {rows} devices after {first} of {devices}"));
        let file = home.path("batch.jsonl");
        let (to, keys) = (file.clone(), seed.clone());
        cores::aside(move || {
            manifest::write(&to, rows, "", "\n", "\n", |row| {
                let number = first + row;
                let (serial, lot) = (serial("SN", number), lot(number));
                let key = keys.key(&serial)?.public_key().to_multikey();
                Ok(format!(r#"{{"serial":"{serial}","publicKey":"{key}","lot":"{lot}"}}"#))
            })
        })
        .await?;
        let model = model(turn as u64);
        process::enrol(home, &node, &file, &["--model", &model], rows).await?;
        fs::remove_file(&file)?;
        fs::remove_file(home.path("batch.jsonl.results.jsonl"))?;
    }
    node.stop().await?;
    Ok(seed)
}

fn model(turn: u64) -> String {
    format!("bench-{}", turn % MODELS)
}

async fn open(home: &Home) -> Result<Registry> {
    let config = Config {
        dir: home.path("node"),
        store: StoreUrl::Folder,
        genesis: home.genesis()?,
        deciding: Deciding::Solo { signer: Arc::new(home.key("node/node.pem")?), succession: None },
        host: Arc::new(Machine),
        restored: None,
        accept_lost_leaves: false,
    };
    Ok(Registry::open(config).await?)
}

/// Waits until the index has caught up.
async fn settle(registry: &Registry, since: Instant) -> Result<Duration> {
    let search = DeviceSearch { text: Some("z6Mk".into()), limit: 1, ..DeviceSearch::default() };
    while registry.find_devices(&search).await?.building {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(since.elapsed())
}

impl Console {
    fn key(&self, number: u64) -> Result<SecretKey> {
        self.seed.key(&serial("SN", number))
    }

    /// Revokes some devices one by one, and holds a batch.
    async fn change(&self, home: &Home) -> Result<()> {
        let admin = home.key("keys/admin.pem")?;
        let network = self.registry.genesis().network();
        let valid_until = Time(muster_api::Host::now(&Machine).0 + 3_600_000);
        let sign =
            |action| Operation { network, author: self.owner, valid_until, action }.sign(&admin);
        let mut waiting = tokio::task::JoinSet::new();
        for number in (1..=self.devices).step_by(REVOKED_OF as usize) {
            let did = did_of(&self.key(number)?);
            let part = self.registry.device_part(&did).await?.map(Box::new);
            let target = Target::Device(DeviceRef { did, part });
            let signed = sign(Action::Revoke(Revoke { target, reason: "bench".into() }))?;
            let registry = self.registry.clone();
            waiting.spawn(async move { registry.submit(signed, None).await });
        }
        while let Some(done) = waiting.join_next().await {
            done??;
        }
        let hold = Hold {
            target: Target::Batch(self.batches[self.batches.len() / 2]),
            id: HoldId(random()),
            power: Power::Owner,
            until: None,
            seen: 0,
            reason: String::new(),
        };
        self.registry.submit(sign(Action::Hold(hold))?, None).await?;
        Ok(())
    }
}
