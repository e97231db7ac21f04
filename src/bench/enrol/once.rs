//! One enrolment at one node, while devices are revoked.

use crate::bench::during::{self, Staged};
use crate::bench::folder;
use crate::bench::manifest::{Manifest, Seed, serial};
use crate::bench::process::{self, Enrolled, Server};
use crate::demo::did_of;
use crate::home::Home;
use crate::signing::{Desk, device_ref};
use anyhow::{Context as _, Result};
use muster_api::Client;
use muster_ledger::DeviceRef;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// What is enrolled.
pub(super) struct Work {
    /// Devices that are there before, to be revoked.
    pub(super) before: Manifest,
    pub(super) manifest: Manifest,
    pub(super) seed: Arc<Seed>,
}

impl Work {
    /// The same files in another folder: an enrolment leaves its results beside the manifest.
    pub(super) fn again(&self, dir: &Path) -> Result<Self> {
        folder::make(dir)?;
        let linked = |manifest: &Manifest| -> Result<Manifest> {
            let file = dir.join(manifest.file.file_name().context("a manifest has a name")?);
            fs::hard_link(&manifest.file, &file)?;
            Ok(Manifest { file, ..manifest.clone() })
        };
        let (before, manifest) = (linked(&self.before)?, linked(&self.manifest)?);
        Ok(Self { before, manifest, seed: self.seed.clone() })
    }
}

/// What was measured of it.
pub(super) struct Once {
    pub(super) client: Enrolled,
    pub(super) node_peak: Option<f64>,
    pub(super) acknowledged: Vec<f64>,
    pub(super) staged: Staged,
}

impl Once {
    /// Starts the node of a folder, with these arguments besides, and stops it at the end.
    pub(super) async fn measure(home: &Home, more: &[&str], work: &Work) -> Result<Self> {
        let node = Server::node_with(home, more).await?;
        let key = Arc::new(home.key("keys/admin.pem")?);
        let desk = Desk::with(home, Client::new(&node.http.url)?, key)?;
        let revoked = work.before.devices;
        process::enrol(home, &node, &work.before.file, &[], revoked).await?;
        let targets = targets(&desk, &work.seed, revoked).await?;
        let (stop, stopped) = watch::channel(false);
        let revoking = tokio::spawn(during::revoke(desk, targets, stopped.clone()));
        let metrics = node.metrics.clone().context("the node serves no metrics")?;
        let counting = tokio::spawn(Staged::count(metrics, stopped));
        let client = enrol(home, &node, &work.manifest).await?;
        stop.send(true)?;
        let (acknowledged, staged) = (revoking.await??, counting.await??);
        let node_peak = node.peak();
        node.stop().await?;
        Ok(Self { client, node_peak, acknowledged, staged })
    }
}

async fn enrol(home: &Home, node: &Server, manifest: &Manifest) -> Result<Enrolled> {
    let mut more = Vec::new();
    if let Some(vendor) = &manifest.vendor {
        let dir = vendor.dir.to_str().context("the folder's name is not text")?;
        more.extend(["--signer", dir]);
    }
    process::enrol(home, node, &manifest.file, &more, manifest.devices).await
}

/// The devices to revoke, as an operation names them.
async fn targets(desk: &Desk, seed: &Seed, devices: u64) -> Result<Vec<DeviceRef>> {
    let mut targets = Vec::new();
    for number in 1..=devices {
        let did = did_of(&seed.key(&serial("RV", number))?);
        targets.push(device_ref(&desk.client, &did).await?.0);
    }
    Ok(targets)
}
