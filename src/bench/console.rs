//! `muster bench console`: what consoles ask, of a registry with many devices in this process,
//! beside a page of a like table that is read bare.

use super::cores;
use super::enrol::network;
use super::figure::{Figure, quantile};
use super::folder::{self, Folder};
use super::limit::pages;
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
    Action, BatchId, DeviceRef, Hold, HoldId, Operation, Power, Revoke, Status, Target, Time,
};
use muster_registry::{Config, DeviceSearch, LogFilter, Registry, StoreUrl, Subject};
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

/// Questions before the clock starts.
const WARM_UP: u64 = 50;

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
    for kind in KINDS {
        asked.push((*kind, console.ask(*kind, arg.questions).await?));
    }
    session.output.say("measuring the limit of this machine");
    let bare = folder.path(&format!("limit-{}.db", HEXLOWER.encode(&random::<4>())));
    let devices = arg.devices;
    let questions: Vec<String> = (0..arg.questions).map(|_| serial("SN", any(devices))).collect();
    let file = bare.clone();
    let limit = cores::aside(move || {
        pages::times(&file, (1..=devices).map(|n| serial("SN", n)), &questions, PAGE as usize)
    });
    let limit = limit.await?;
    for end in ["", "-wal", "-shm"] {
        let mut name = bare.as_os_str().to_owned();
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
        signer: Arc::new(home.key("node/node.pem")?),
        host: Arc::new(Machine),
        restored: None,
        succession: None,
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

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Serial,
    Serials,
    Did,
    Key,
    WholeKey,
    LotText,
    Lot,
    All,
    Deep,
    Model,
    Revoked,
    Held,
    ActiveOfModel,
    SerialsOfLot,
    SerialsRevoked,
    KeysOfModelRevoked,
    Counts,
    Log,
    Effect,
}

const KINDS: &[Kind] = &[
    Kind::Serial,
    Kind::Serials,
    Kind::Did,
    Kind::Key,
    Kind::WholeKey,
    Kind::LotText,
    Kind::Lot,
    Kind::All,
    Kind::Deep,
    Kind::Model,
    Kind::Revoked,
    Kind::Held,
    Kind::ActiveOfModel,
    Kind::SerialsOfLot,
    Kind::SerialsRevoked,
    Kind::KeysOfModelRevoked,
    Kind::Counts,
    Kind::Log,
    Kind::Effect,
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Serial => "a whole serial number",
            Self::Serials => "a part of a serial number",
            Self::Did => "a part of a DID",
            Self::Key => "a part of a key",
            Self::WholeKey => "a whole key",
            Self::LotText => "a lot as text",
            Self::Lot => "a lot",
            Self::All => "no condition, first page",
            Self::Deep => "no condition, a page in the middle",
            Self::Model => "a model",
            Self::Revoked => "revoked ones",
            Self::Held => "held ones of a model",
            Self::ActiveOfModel => "active ones of a model",
            Self::SerialsOfLot => "a part of a serial number in a lot",
            Self::SerialsRevoked => "a part of a serial number, revoked",
            Self::KeysOfModelRevoked => "a part of a key, revoked, of a model",
            Self::Counts => "counts",
            Self::Log => "a page of the log",
            Self::Effect => "the effect on 100 devices",
        }
    }

    fn is_a_page(self) -> bool {
        !matches!(self, Self::Serial | Self::WholeKey | Self::Counts)
    }
}

impl Console {
    fn key(&self, number: u64) -> Result<SecretKey> {
        self.seed.key(&serial("SN", number))
    }

    /// Asks so many questions of a kind: milliseconds of each answer, and rows of a page on average.
    async fn ask(&self, kind: Kind, questions: u64) -> Result<(Vec<f64>, f64)> {
        let (mut times, mut rows) = (Vec::new(), 0);
        for question in 0..WARM_UP + questions {
            let number = any(self.devices);
            let (took, found) = self.answer(kind, number).await?;
            if question >= WARM_UP {
                times.push(took.as_secs_f64() * 1_000.0);
                rows += found;
            }
        }
        Ok((times, rows as f64 / questions as f64))
    }

    async fn answer(&self, kind: Kind, number: u64) -> Result<(Duration, usize)> {
        let registry = &self.registry;
        let start = Instant::now();
        match kind {
            Kind::Counts => {
                let counts = registry.overview_counts().await?;
                ensure!(counts.devices.all() == self.devices, "not all devices were counted");
                Ok((start.elapsed(), 1))
            }
            Kind::Log => {
                let page = registry.log_page(None, &LogFilter::default(), PAGE).await?;
                Ok((start.elapsed(), page.rows.len()))
            }
            Kind::Effect => {
                let did = |n: u64| {
                    let number = 1 + (number + n * 7_919) % self.devices;
                    Ok(Subject::Device(did_of(&self.key(number)?)))
                };
                let targets = (0..PAGE).map(did).collect::<Result<Vec<_>>>()?;
                let start = Instant::now();
                let effect = registry.effect(&targets).await?;
                Ok((start.elapsed(), effect.devices as usize))
            }
            _ => {
                let search = self.search(kind, number)?;
                let start = Instant::now();
                let page = registry.find_devices(&search).await?;
                Ok((start.elapsed(), page.rows.len()))
            }
        }
    }

    fn search(&self, kind: Kind, number: u64) -> Result<DeviceSearch> {
        let cut = |text: String, at: usize| Some(text.chars().take(at).collect::<String>());
        let whole = serial("SN", number);
        let all =
            DeviceSearch { organisation: Some(self.owner), limit: PAGE, ..DeviceSearch::default() };
        let did = || Ok::<_, anyhow::Error>(did_of(&self.key(number)?).to_string());
        let key = || Ok::<_, anyhow::Error>(self.key(number)?.public_key().to_multikey());
        let a_model = Some(model(number));
        Ok(match kind {
            Kind::Serial => DeviceSearch { text: Some(whole), ..all },
            Kind::Serials => DeviceSearch { text: cut(whole, 3 + (number % 6) as usize), ..all },
            Kind::Did => {
                let at = "did:muster:zQm".len() + 1 + (number % 5) as usize;
                DeviceSearch { text: cut(did()?, at), ..all }
            }
            Kind::Key => DeviceSearch { text: cut(key()?, 5 + (number % 5) as usize), ..all },
            Kind::WholeKey => DeviceSearch { text: Some(key()?), ..all },
            Kind::LotText => DeviceSearch { text: Some(lot(number)), ..all },
            Kind::Lot => DeviceSearch { lot: Some(lot(number)), ..all },
            Kind::All => all,
            Kind::Deep => {
                // As a page of an earlier search would have ended: behind this device.
                let batch = self.batches[number as usize % self.batches.len()];
                let digest = *did_of(&self.key(number)?).digest();
                let name = HEXLOWER.encode(&digest[..16]);
                let view = self.registry.chain();
                use muster_ledger::View as _;
                let entry = view.state().batch(&batch)?.context("a batch")?.entry;
                DeviceSearch { after: Some(format!("b.{entry}.{name}")), ..all }
            }
            Kind::Model => DeviceSearch { model: a_model, ..all },
            Kind::Revoked => DeviceSearch { state: Some(Status::Revoked), ..all },
            Kind::Held => DeviceSearch { state: Some(Status::Held), model: a_model, ..all },
            Kind::ActiveOfModel => {
                DeviceSearch { state: Some(Status::Active), model: a_model, ..all }
            }
            Kind::SerialsOfLot => {
                DeviceSearch { text: cut(whole, 5), lot: Some(lot(number)), ..all }
            }
            Kind::SerialsRevoked => {
                DeviceSearch { text: cut(whole, 5), state: Some(Status::Revoked), ..all }
            }
            Kind::KeysOfModelRevoked => {
                let (text, state) = (cut(key()?, 5), Some(Status::Revoked));
                DeviceSearch { text, state, model: a_model, ..all }
            }
            // Asked without a search.
            Kind::Counts | Kind::Log | Kind::Effect => all,
        })
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
