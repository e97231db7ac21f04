//! Nodes with many devices, for the benchmark of reading. A node of an earlier run is used again.

use super::cores;
use super::enrol::network;
use super::folder;
use super::manifest::{self, Seed, serial};
use super::process::{self, Server};
use crate::demo::did_of;
use crate::home::Home;
use crate::host::random;
use crate::output::Output;
use anyhow::{Context as _, Result, ensure};
use data_encoding::HEXLOWER;
use muster_identity::{Did, Signer as _};
use muster_ledger::limits::BATCH_DEVICES;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Written when all devices are enrolled: the seed of their keys.
const DONE: &str = "enrolled.key";

/// A node that serves, and the devices on its ledger.
pub(super) struct Roll {
    pub(super) devices: u64,
    pub(super) node: Server,
    seed: Seed,
}

impl Roll {
    /// Starts the node of a folder, after enrolling so many devices if that was not done.
    pub(super) async fn open(output: Output, dir: &Path, devices: u64) -> Result<Self> {
        let home = Home::at(dir);
        let done = home.path(DONE);
        if !done.exists() {
            let left = format!("{} was left unfinished: remove it", dir.display());
            ensure!(!home.exists()?, left);
            folder::make(dir)?;
            let seed = fill(output, &home, devices).await?;
            fs::write(&done, HEXLOWER.encode(seed.bytes()))?;
        }
        let text = fs::read_to_string(&done)?;
        let seed = HEXLOWER.decode(text.trim().as_bytes())?.try_into().ok();
        let seed =
            Seed::from_bytes(seed.with_context(|| format!("{} is damaged", done.display()))?);
        Ok(Self { devices, node: Server::node(&home).await?, seed })
    }

    /// From the node's start until it said that it is ready.
    pub(super) fn start_up(&self) -> Duration {
        self.node.start_up
    }

    /// One of its devices, each with the same chance (but for one part in 2^37).
    pub(super) fn any(&self) -> Result<Did> {
        let number = 1 + u64::from_be_bytes(random()) % self.devices;
        Ok(did_of(&self.seed.key(&serial("SN", number))?))
    }
}

/// Enrols the devices, batch by batch, vouched for: nobody reads their evidence here.
async fn fill(output: Output, home: &Home, devices: u64) -> Result<Arc<Seed>> {
    network(home, devices)?;
    let seed = Arc::new(Seed::new());
    let node = Server::node(home).await?;
    for first in (0..devices).step_by(BATCH_DEVICES as usize) {
        let rows = BATCH_DEVICES.min(devices - first);
        output.say(format!("enrolling {rows} devices after {first} of {devices}"));
        let file = home.path("batch.jsonl");
        let (to, keys) = (file.clone(), seed.clone());
        cores::aside(move || {
            manifest::write(&to, rows, "", "\n", "\n", |row| {
                let serial = serial("SN", first + row);
                let key = keys.key(&serial)?.public_key().to_multikey();
                Ok(format!(r#"{{"serial":"{serial}","publicKey":"{key}"}}"#))
            })
        })
        .await?;
        process::enrol(home, &node, &file, &["--model", "bench-9"], rows).await?;
        fs::remove_file(&file)?;
        fs::remove_file(home.path("batch.jsonl.results.jsonl"))?;
    }
    node.stop().await?;
    Ok(seed)
}
