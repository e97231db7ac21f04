//! `muster bench gateway`: a gateway as a process of its own on one core, asked over connections
//! that stay open, in turn with a bare server in the same manner.

use super::cores;
use super::enrol::network;
use super::figure::{Figure, quantile};
use super::flood::{Flood, Victims, request};
use super::folder::Folder;
use super::limit::http;
use super::load::{self, Requests};
use super::manifest::{Manifest, Seed, serial};
use super::pinned;
use super::process::{self, Server};
use crate::cli::{BenchBare, BenchFormat, BenchGateway};
use crate::commands::{Session, stop_signal, window};
use crate::demo::did_of;
use crate::home::Home;
use crate::host::random;
use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Audience, Did, SecretKey, Signer as _, present};
use serde_json::json;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The two servers are asked in so many turns.
const TURNS: usize = 5;

/// What is asked of us: p99 at half the rate that the gateway sustains.
const ASKED_MS: f64 = 5.0;

/// The part of a flood after which every bounded store is full.
const FILLED: u64 = 10;

/// The devices, and the name they dial.
struct Fleet {
    devices: Vec<(Did, SecretKey)>,
    audience: Audience,
}

impl Fleet {
    fn new(seed: &Seed, devices: u64) -> Result<Self> {
        let numbers: Vec<u64> = (1..=devices).collect();
        let devices = cores::map(&numbers, |number| {
            let key = seed.key(&serial("SN", *number))?;
            Ok((did_of(&key), key))
        })?;
        Ok(Self { devices, audience: "gateway.example".parse()? })
    }

    /// Fresh requests of the devices in turn, with what the bare server needs too or without.
    fn requests(&self, number: usize, bare: bool) -> Result<Requests> {
        let devices: Vec<_> = self.devices.iter().cycle().take(number).collect();
        let made = cores::map(&devices, |(did, key)| {
            let token = present(did, &self.audience, &window(60), &random(), key)?;
            let public = bare.then(|| BASE64URL_NOPAD.encode(key.public_key().raw()));
            Ok(request(&token, public.as_deref()))
        });
        Ok(Arc::new(made?))
    }

    fn victims(&self) -> Arc<Victims> {
        let devices = self.devices.iter().map(|(did, key)| (*did, key.public_key())).collect();
        Arc::new(Victims { devices, audience: self.audience.clone() })
    }
}

/// One of the two servers, and what it did in each turn.
struct Asked {
    server: Server,
    address: SocketAddr,
    /// Requests a second by the clock, and by the seconds that its threads ran.
    rates: Vec<f64>,
    cpu_rates: Vec<f64>,
}

impl Asked {
    fn new(server: Server) -> Result<Self> {
        let address = server.http.url.strip_prefix("http://").context("it speaks plain HTTP")?;
        Ok(Self { address: address.parse()?, server, rates: Vec::new(), cpu_rates: Vec::new() })
    }

    async fn turn(&mut self, requests: &Requests) -> Result<()> {
        let before = self.server.cpu_seconds();
        let took = load::all(self.address, requests).await?;
        let number = requests.len() as f64;
        self.rates.push(number / took.as_secs_f64());
        if let (Some(before), Some(after)) = (before, self.server.cpu_seconds()) {
            self.cpu_rates.push(number / (after - before));
        }
        Ok(())
    }

    fn rate(&self) -> f64 {
        quantile(&self.rates, 0.5)
    }

    fn cpu_rate(&self) -> f64 {
        quantile(&self.cpu_rates, 0.5)
    }
}

/// The process that stands for the limit.
pub(super) async fn bare(session: &Session, arg: &BenchBare) -> Result<ExitCode> {
    let listener = tokio::net::TcpListener::bind(arg.listen).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let stop = stop_signal();
    session.output.result(&json!({ "listening": address }), &address);
    http::serve(listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn run(session: &Session, arg: &BenchGateway) -> Result<Vec<Figure>> {
    let folder = Folder::empty(None)?;
    let home = Home::at(&folder.path("home"));
    let (devices, say) = (arg.devices, |words: &str| session.output.say(words));
    let turn = usize::try_from(arg.requests)?.div_ceil(TURNS);
    if !pinned::step_aside()? {
        say("no core is kept for the server: there is one core only, or no taskset");
    }
    let genesis = network(&home, devices)?;
    let seed = Arc::new(Seed::new());
    say("enrolling the devices");
    let (to, keys) = (folder.path(""), seed.clone());
    let (manifest, fleet) = cores::aside(move || {
        let manifest = Manifest::write(&to, "SN", BenchFormat::Jsonl, devices, &genesis, &keys)?;
        Ok((manifest, Fleet::new(&keys, devices)?))
    })
    .await?;
    let node = Server::node(&home).await?;
    process::enrol(&home, &node, &manifest.file, &[], devices).await?;
    let gateway = Server::gateway(&home, &node, fleet.audience.as_str()).await?;
    let (mut ours, mut bare) = (Asked::new(gateway)?, Asked::new(Server::bare(&home).await?)?);

    say("meeting every device once, then asking in turn with the bare server");
    load::all(ours.address, &fleet.requests(fleet.devices.len(), false)?).await?;
    load::all(bare.address, &fleet.requests(turn.min(1_000), true)?).await?;
    for _ in 0..TURNS {
        bare.turn(&fleet.requests(turn, true)?).await?;
        ours.turn(&fleet.requests(turn, false)?).await?;
    }
    let half = ours.rate() / 2.0;
    say("asking at half that rate");
    let answers = load::paced(ours.address, &fleet.requests(turn, false)?, half).await?;
    let rates = |name: &str, ours: f64, limit: f64| {
        Figure::new(format!("gateway: {name}"), ours, "requests/s").limit(limit).more_is_better()
    };
    let mut figures = vec![rates("rate", ours.rate(), bare.rate())];
    if !ours.cpu_rates.is_empty() {
        let name = "requests for each second its threads ran";
        figures.push(rates(name, ours.cpu_rate(), bare.cpu_rate()));
    }
    figures.push(Figure::new("gateway: at half that rate, p50", quantile(&answers, 0.5), "ms"));
    let p99 = Figure::new("gateway: at half that rate, p99", quantile(&answers, 0.99), "ms");
    figures.push(p99.asked(ASKED_MS));
    if arg.flood > 0 {
        say("flooding it");
        figures.extend(flood(&ours, &fleet, arg.flood, turn, half).await?);
    }
    let peak = ours.server.peak().map(|peak| Figure::new("gateway: peak memory", peak, "MiB"));
    figures.extend(peak);
    for server in [ours.server, bare.server, node] {
        server.stop().await?;
    }
    Ok(figures)
}

/// Honest devices that come at a pace, beside a flood; then the memory of the gateway while the
/// flood goes on.
async fn flood(
    ours: &Asked,
    fleet: &Fleet,
    number: u64,
    turn: usize,
    pace: f64,
) -> Result<Vec<Figure>> {
    let requests = fleet.requests(turn, false)?;
    let mut flood = Flood::start(ours.address, &fleet.victims(), number);
    let start = Instant::now();
    load::paced(ours.address, &requests, pace).await?;
    let beside = turn as f64 / start.elapsed().as_secs_f64();
    let sent = flood.sent();
    ensure!(sent < number, "the flood was over before the honest devices were: name a longer one");
    while flood.sent() < (sent + number / FILLED).min(number) {
        flood.check()?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = ours.server.memory();
    flood.end().await?;
    let mut figures = vec![
        Figure::new(
            "gateway: honest devices, at half its rate, beside a flood",
            beside,
            "requests/s",
        )
        .limit(pace)
        .more_is_better(),
    ];
    if let (Some(before), Some(after)) = (before, ours.server.memory()) {
        let name = "gateway: memory at the end of a flood, and after a tenth";
        figures.push(Figure::new(name, after, "MiB").limit(before));
    }
    Ok(figures)
}
