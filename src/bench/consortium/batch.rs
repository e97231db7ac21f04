//! A batch, from the first row until every node has it checked, while devices are revoked.

use super::super::figure::{Figure, quantile};
use super::super::manifest::{Manifest, Seed, serial};
use super::super::{cores, during, process};
use super::ASKED_MEANWHILE_MS;
use super::town::{LOOK, PATIENCE, Town};
use crate::cli::BenchFormat;
use crate::demo::did_of;
use anyhow::{Context as _, Result};
use muster_identity::Did;
use muster_ledger::DeviceRef;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// How many times the work of every node, spread over the cores, it may take.
const ASKED_TIMES: f64 = 1.6;

/// Devices to revoke meanwhile, at one each 100 ms: enough for 2,500 devices a second.
pub(super) fn revoked(devices: u64) -> u64 {
    (devices / 250).clamp(100, 6_000)
}

pub(super) struct Batch {
    /// Seconds until every node served a device of it.
    seconds: f64,
    /// Of them, until the client was done.
    client: f64,
    /// Seconds of processor of all nodes, where the system tells.
    cpu: Option<f64>,
    /// Milliseconds of each operation meanwhile.
    meanwhile: Vec<f64>,
}

/// Waits until a node serves a device: it has the block then, and the leaves.
async fn served(town: &Town, node: usize, did: &Did) -> Result<()> {
    let client = town.client(node)?;
    let until = Instant::now() + PATIENCE;
    while let Err(error) = client.device_part(did).await {
        if Instant::now() > until {
            return Err(error)
                .with_context(|| format!("node {} serves no device of the batch", node + 1));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

impl Batch {
    pub(super) async fn measure(
        town: &Town,
        dir: &Path,
        seed: &Arc<Seed>,
        devices: u64,
        others: Vec<DeviceRef>,
    ) -> Result<Self> {
        let (to, genesis, made) = (dir.to_owned(), town.genesis()?, seed.clone());
        let make = move || Manifest::write(&to, "SN", BenchFormat::Jsonl, devices, &genesis, &made);
        let manifest = cores::aside(make).await?;
        let did = did_of(&seed.key(&serial("SN", devices))?);
        let (stop, stopped) = watch::channel(false);
        // At another node than the one that takes the rows, where there is another.
        let revoking = tokio::spawn(during::revoke(town.desk(town.len() - 1)?, others, stopped));
        let before = town.cpu_seconds();
        let start = Instant::now();
        let enrolled =
            process::enrol(town.home(), town.node(0)?, &manifest.file, &[], devices).await?;
        for i in 0..town.len() {
            served(town, i, &did).await?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let cpu = before.zip(town.cpu_seconds()).map(|(before, after)| after - before);
        stop.send(true)?;
        let meanwhile = revoking.await??;
        Ok(Self { seconds, client: enrolled.took.as_secs_f64(), cpu, meanwhile })
    }

    pub(super) fn figures(&self, alone: &Self, nodes: u64) -> Vec<Figure> {
        let name = |what: &str| format!("consortium: batch{what}");
        let mut figures = vec![
            Figure::new(name(", against alone"), self.seconds, "s").limit(alone.seconds),
            Figure::new(name(", until the client was done"), self.client, "s").limit(alone.client),
        ];
        if let (Some(ours), Some(one)) = (self.cpu, alone.cpu) {
            let all = one * nodes as f64;
            let spread = all / cores::count() as f64;
            figures.extend([
                Figure::new(name(" at all nodes"), self.seconds, "s").asked(ASKED_TIMES * spread),
                Figure::new(name(", processors of all nodes"), ours, "s").limit(all),
            ]);
        }
        let meanwhile = |q| quantile(&self.meanwhile, q);
        let beside = |q| quantile(&alone.meanwhile, q);
        figures.extend([
            Figure::new(name(", revocation meanwhile, p50"), meanwhile(0.50), "ms")
                .limit(beside(0.50)),
            Figure::new(name(", revocation meanwhile, p99"), meanwhile(0.99), "ms")
                .asked(ASKED_MEANWHILE_MS),
            Figure::new(
                name(", revocation meanwhile, number"),
                self.meanwhile.len() as f64,
                "revocations",
            ),
        ]);
        figures
    }
}
