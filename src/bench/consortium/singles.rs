//! Operations on single devices: one after the other, and as many as there may be.

use super::super::cores;
use super::super::manifest::{Manifest, Seed, serial};
use super::super::process;
use super::town::Town;
use crate::cli::BenchFormat;
use crate::demo::did_of;
use crate::signing::{Desk, PATIENCE_MS, check, sign};
use anyhow::{Context as _, Result, ensure};
use muster_ledger::{Action, DeviceRef, EntryProof, Revoke, SignedOperation, Target};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Questions under way while device parts are asked for, before any clock runs.
const ASKED_AT_ONCE: usize = 32;

/// Of those under way at one node: it takes few more connections.
const AT_ONE_NODE: usize = 400;

/// Devices that were enrolled beforehand, each to be revoked once.
pub(super) struct Pool(Vec<DeviceRef>);

impl Pool {
    /// Enrols so many, and asks for what an operation on each must carry.
    pub(super) async fn enrol(
        town: &Town,
        dir: &Path,
        seed: &Arc<Seed>,
        devices: u64,
    ) -> Result<Self> {
        let (to, genesis, made) = (dir.to_owned(), town.genesis()?, seed.clone());
        let make = move || Manifest::write(&to, "RV", BenchFormat::Jsonl, devices, &genesis, &made);
        let manifest = cores::aside(make).await?;
        process::enrol(town.home(), town.node(0)?, &manifest.file, &[], devices).await?;
        let seed = seed.clone();
        let numbers: Vec<u64> = (1..=devices).collect();
        let dids = cores::aside(move || {
            cores::map(&numbers, |number| Ok(did_of(&seed.key(&serial("RV", *number))?)))
        });
        let (dids, next) = (Arc::new(dids.await?), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..ASKED_AT_ONCE {
            let (client, dids, next) = (town.client(0)?, dids.clone(), next.clone());
            tasks.spawn(async move {
                let mut found = Vec::new();
                while let Some(did) = dids.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let part = Some(Box::new(client.device_part(did).await?));
                    found.push(DeviceRef { did: *did, part });
                }
                Ok::<_, anyhow::Error>(found)
            });
        }
        let mut found = Vec::new();
        while let Some(part) = tasks.join_next().await {
            found.extend(part??);
        }
        Ok(Self(found))
    }

    pub(super) fn take(&mut self, devices: u64) -> Result<Vec<DeviceRef>> {
        let rest = self.0.len().checked_sub(usize::try_from(devices)?);
        Ok(self.0.split_off(rest.context("too few devices were enrolled beforehand")?))
    }
}

fn revoke(device: DeviceRef) -> Action {
    Action::Revoke(Revoke { target: Target::Device(device), reason: String::new() })
}

/// Revokes them one after the other; milliseconds from before the signature until the proof was
/// checked, for each.
pub(super) async fn one_by_one(desk: &Desk, devices: Vec<DeviceRef>) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    for device in devices {
        let start = Instant::now();
        desk.submit(revoke(device)).await?;
        samples.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(samples)
}

/// What came of many at once.
pub(super) struct Sustained {
    /// Acknowledged operations a second.
    pub(super) rate: f64,
    /// Operations in a block, on average.
    pub(super) in_a_block: f64,
    /// Milliseconds of each.
    pub(super) samples: Vec<f64>,
    /// Seconds of processor of all nodes, for each second.
    pub(super) cores: Option<f64>,
}

/// Revokes devices through all nodes, so many at once, until the time is over or no device is
/// left. What they are signed with is made before, and the proofs are checked after: who measures
/// shares the cores with who is measured.
pub(super) async fn sustained(
    town: &Town,
    devices: Vec<DeviceRef>,
    in_flight: u64,
    seconds: u64,
) -> Result<Sustained> {
    let (desk, genesis) = (town.desk(0)?, town.genesis()?);
    let (key, author, network) = (desk.key.clone(), desk.organisation(), genesis.clone());
    let signed = cores::aside(move || {
        cores::map(&devices, |device| {
            sign(&network, author, &*key, revoke(device.clone()), PATIENCE_MS)
        })
    });
    let (signed, next) = (Arc::new(signed.await?), Arc::new(AtomicUsize::new(0)));
    let before = desk.client.consensus().await?.height;
    let used = town.cpu_seconds();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..usize::try_from(in_flight)?.min(AT_ONE_NODE * town.len()) {
        let (signed, next) = (signed.clone(), next.clone());
        let client = town.client(n % town.len())?;
        tasks.spawn(async move {
            let mut done = Vec::new();
            while start.elapsed() < Duration::from_secs(seconds) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(operation) = signed.get(number) else { break };
                let asked = Instant::now();
                let proof = client.submit_operation(operation).await?;
                done.push((number, proof, asked.elapsed().as_secs_f64() * 1_000.0));
            }
            Ok::<_, anyhow::Error>(done)
        });
    }
    let mut done = Vec::new();
    while let Some(part) = tasks.join_next().await {
        done.extend(part??);
    }
    let took = start.elapsed().as_secs_f64();
    let used = used.zip(town.cpu_seconds()).map(|(before, after)| (after - before) / took);
    let blocks = desk.client.consensus().await?.height - before;
    let samples: Vec<f64> = done.iter().map(|(_, _, ms)| *ms).collect();
    ensure!(!samples.is_empty() && blocks > 0, "nothing was acknowledged");
    check_all(desk, signed, done).await?;
    let count = samples.len() as f64;
    Ok(Sustained { rate: count / took, in_a_block: count / blocks as f64, samples, cores: used })
}

async fn check_all(
    desk: Desk,
    signed: Arc<Vec<SignedOperation>>,
    done: Vec<(usize, EntryProof, f64)>,
) -> Result<()> {
    let checked = cores::aside(move || {
        cores::map(&done, |(number, proof, _)| {
            check(&desk.genesis, &desk.validators, &signed[*number], proof)
        })
    });
    checked.await.map(drop)
}
