//! `muster bench enrol`: a manifest is enrolled by a node and a client that are processes of
//! their own, while devices are revoked; then the limit of the same manifest is measured.

mod in_server;
mod once;

use super::cores;
use super::disk::{self, Disk};
use super::figure::{Figure, quantile};
use super::folder::{self, Folder};
use super::manifest::{Manifest, Seed};
use super::read_back::{self, Limit, Owner};
use crate::cli::{BenchEnrol, BenchFormat};
use crate::commands::{Beginning, Seals, Session, begin};
use crate::home::Home;
use anyhow::Result;
use in_server::InServer;
use muster_ledger::{EvidencePolicy, Genesis};
use once::{Once, Work};
use std::sync::Arc;

/// Devices enrolled beforehand, to be revoked: one in so many of the manifest's, at one each
/// 100 ms enough for an enrolment of 2,500 devices a second, but no more than for ten minutes.
const REVOKED_OF: u64 = 250;
const REVOKED_LEAST: u64 = 100;
const REVOKED_MOST: u64 = 6_000;

/// What is asked of us: memory of client and node 512 MiB each, 480 bytes of a device on the
/// node's disk, a revocation acknowledged within a second at p99.
const ASKED_MIB: f64 = 512.0;
const ASKED_BYTES: f64 = 480.0;
const ASKED_MS: f64 = 1_000.0;

/// Bytes a device from which a table is shown by itself.
const SHOWN: f64 = 1.0;

/// What was measured.
struct Run {
    devices: u64,
    files: Once,
    in_server: Option<Once>,
    disk: Disk,
    /// All devices on the node's disk.
    on_disk: u64,
    limit: Limit,
}

pub(super) async fn run(session: &Session, arg: &BenchEnrol) -> Result<Vec<Figure>> {
    let in_server = arg.store.as_deref().map(InServer::at).transpose()?;
    let folder = Folder::empty(arg.dir.as_deref())?;
    let home = Home::at(&folder.path("home"));
    let revoked = (arg.devices / REVOKED_OF).clamp(REVOKED_LEAST, REVOKED_MOST);
    let on_disk = arg.devices + revoked;
    let genesis = network(&home, on_disk)?;
    let second = match &in_server {
        Some(_) => Some(in_server::same_network(&home, &folder.path("home-in-server"))?),
        None => None,
    };
    let seed = Arc::new(Seed::new());
    let say = |words: &str| session.output.say(words);

    say("making the manifest");
    let make = |prefix, format, devices| {
        let (dir, genesis, seed) = (folder.path(""), genesis.clone(), seed.clone());
        cores::aside(move || Manifest::write(&dir, prefix, format, devices, &genesis, &seed))
    };
    let before = make("RV", BenchFormat::Jsonl, revoked).await?;
    let manifest = make("SN", arg.format, arg.devices).await?;

    say("enrolling it, and revoking other devices meanwhile");
    let work = Work { before, manifest, seed };
    let files = Once::measure(&home, &[], &work).await?;
    let on_node = home.path("node");
    let disk = cores::aside(move || disk::weigh(&on_node)).await?;
    let in_server = match (in_server, second) {
        (Some(place), Some(home)) => {
            say("the same at a node whose ledger is in the PostgreSQL server");
            let work = work.again(&folder.path("again"))?;
            Some(Once::measure(&home, &place.args(), &work).await?)
        }
        _ => None,
    };

    say("measuring the limit of this machine");
    let bare = folder.path("limit");
    folder::make(&bare)?;
    let owner = Owner { genesis, directory_secret: home.directory_secret()? };
    let manifest = work.manifest;
    let limit = cores::aside(move || read_back::measure(&manifest, &owner, &bare)).await?;
    let devices = arg.devices;
    Ok(Run { devices, files, in_server, disk, on_disk, limit }.figures())
}

/// A network of its own, by the code of `muster init`.
pub(super) fn network(home: &Home, devices: u64) -> Result<Genesis> {
    begin(
        home,
        Beginning {
            label: "Benchmark".into(),
            devices,
            models: Vec::new(),
            days: 3_650,
            evidence: EvidencePolicy::Enroller,
        },
        Seals::NONE,
    )
}

impl Run {
    fn figures(&self) -> Vec<Figure> {
        let files = &self.files;
        let (ours, limit) = (files.client.took.as_secs_f64(), self.limit.seconds());
        let (signatures, inserts) = (self.limit.signatures, self.limit.inserts);
        let rows = self.devices as f64;
        let (first, last) = files.staged.tenths();
        let mut figures = vec![
            Figure::new("enrol: total", ours, "s").limit(limit),
            Figure::new("enrol: rate", rows / ours, "rows/s").limit(rows / limit).more_is_better(),
            Figure::new("enrol: total, against signatures alone", ours, "s")
                .limit(signatures.as_secs_f64()),
            Figure::new("enrol: total, against inserts alone", ours, "s")
                .limit(inserts.as_secs_f64()),
            Figure::new("enrol: last tenth against first tenth", last, "rows/s")
                .limit(first)
                .more_is_better(),
        ];
        let memory = [("client", files.client.peak), ("node", files.node_peak)];
        figures.extend(memory.into_iter().filter_map(|(who, peak)| {
            Some(Figure::new(format!("enrol: {who}, peak memory"), peak?, "MiB").asked(ASKED_MIB))
        }));
        let acknowledged = |q| quantile(&files.acknowledged, q);
        let name = |what| format!("enrol: revocation meanwhile, {what}");
        figures.extend([
            Figure::new(name("p50"), acknowledged(0.50), "ms"),
            Figure::new(name("p99"), acknowledged(0.99), "ms").asked(ASKED_MS),
            Figure::new(name("max"), acknowledged(1.0), "ms"),
            Figure::new(name("number"), files.acknowledged.len() as f64, "revocations"),
        ]);
        figures.extend(self.disk());
        if let Some(server) = &self.in_server {
            figures.extend(in_server::figures(server, files, rows));
        }
        figures
    }

    /// Bytes a device, all and by table.
    fn disk(&self) -> Vec<Figure> {
        let each = |bytes: u64| bytes as f64 / self.on_disk as f64;
        let total = each(self.disk.total);
        let mut figures =
            vec![Figure::new("enrol: node, disk for a device", total, "bytes").asked(ASKED_BYTES)];
        let mut rest = total;
        for (name, bytes) in &self.disk.parts {
            if each(*bytes) >= SHOWN {
                rest -= each(*bytes);
                figures.push(Figure::new(format!("enrol: of it {name}"), each(*bytes), "bytes"));
            }
        }
        figures.push(Figure::new("enrol: of it everything else", rest, "bytes"));
        figures
    }
}
