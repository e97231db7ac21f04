//! The nodes that are measured, each a process of its own: one that decides alone, or several
//! validators of one organisation, which is enough for what consensus costs.

use super::super::enrol::network;
use super::super::process::Server;
use crate::begun;
use crate::consortium::peer_key;
use crate::demo::Ports;
use crate::home::Home;
use crate::host::{Machine, new_key, random};
use crate::keys::Sealing;
use crate::signing::Desk;
use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use muster_api::{Client, ConsensusView, Host as _};
use muster_identity::{Algorithm, Inception, Signer as _};
use muster_ledger::{
    Capabilities, Capability, EvidencePolicy, FirstOrganisation, Genesis, GenesisGrant, OrgKey,
    Rules, ValidatorSet,
};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use zeroize::Zeroizing;

/// How often it is looked whether something has come to pass: far below what is measured by it.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// What must have come to pass by then, else the network does not work.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// How long the grant lasts: longer than any run.
const GRANT_MS: u64 = 24 * 60 * 60 * 1_000;

pub(super) struct Town {
    homes: Vec<Home>,
    /// Where each exchanges; none for one that decides alone.
    exchanges: Vec<String>,
    nodes: Vec<Option<Server>>,
}

impl Town {
    /// One node that decides alone.
    pub(super) async fn alone(dir: &Path, devices: u64) -> Result<Self> {
        let home = Home::at(dir);
        network(&home, devices)?;
        let node = Server::node(&home).await?;
        Ok(Self { homes: vec![home], exchanges: Vec::new(), nodes: vec![Some(node)] })
    }

    /// So many that decide together.
    pub(super) async fn together(dir: &Path, nodes: u64, devices: u64) -> Result<Self> {
        let homes: Vec<Home> = (1..=nodes).map(|n| Home::at(&dir.join(format!("{n}")))).collect();
        begin(&homes, devices)?;
        let ports = Ports::choose(0, u16::try_from(nodes)?)?;
        let exchanges = ports.iter().map(|port| format!("127.0.0.1:{}", port.exchange)).collect();
        let mut town = Self { homes, exchanges, nodes: Vec::new() };
        // None of them is ready before most of them are there.
        let all = (0..town.homes.len()).map(|i| town.server(i));
        town.nodes = try_join_all(all).await?.into_iter().map(Some).collect();
        for i in 0..town.nodes.len() {
            let there = |view: &ConsensusView| view.quorum.present == nodes;
            town.until(i, "it hears of all the others", there).await?;
        }
        Ok(town)
    }

    async fn server(&self, i: usize) -> Result<Server> {
        let mut args = vec!["--consortium-listen", &self.exchanges[i]];
        for other in self.exchanges.iter().filter(|other| **other != self.exchanges[i]) {
            args.extend(["--consortium-peer", other]);
        }
        Server::member(&self.homes[i], &args).await
    }

    pub(super) async fn start(&mut self, i: usize) -> Result<()> {
        self.nodes[i] = Some(self.server(i).await?);
        Ok(())
    }

    pub(super) async fn stop(&mut self, i: usize) -> Result<()> {
        self.nodes[i].take().context("the node does not run")?.stop().await
    }

    pub(super) async fn stop_all(mut self) -> Result<()> {
        try_join_all(self.nodes.iter_mut().filter_map(Option::take).map(Server::stop)).await?;
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.homes.len()
    }

    /// The folder with the organisation's keys.
    pub(super) fn home(&self) -> &Home {
        &self.homes[0]
    }

    pub(super) fn genesis(&self) -> Result<Genesis> {
        self.home().genesis()
    }

    pub(super) fn node(&self, i: usize) -> Result<&Server> {
        self.nodes[i].as_ref().context("the node does not run")
    }

    pub(super) fn client(&self, i: usize) -> Result<Client> {
        Ok(Client::new(&self.node(i)?.http.url)?)
    }

    /// Signs for the organisation, and asks a node.
    pub(super) fn desk(&self, i: usize) -> Result<Desk> {
        let key = Arc::new(self.home().key("keys/admin.pem")?);
        Desk::with(self.home(), self.client(i)?, key)
    }

    /// Seconds of processor that all its nodes used, where the system tells.
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        self.nodes.iter().flatten().map(Server::cpu_of_all).sum()
    }

    /// Waits until what a node says of the consensus is as it should be.
    pub(super) async fn until(
        &self,
        i: usize,
        what: &str,
        holds: impl Fn(&ConsensusView) -> bool,
    ) -> Result<ConsensusView> {
        let (client, start) = (self.client(i)?, Instant::now());
        loop {
            let view = client.consensus().await?;
            if holds(&view) {
                return Ok(view);
            }
            ensure!(start.elapsed() < PATIENCE, "node {}: {what} did not come to pass", i + 1);
            sleep(LOOK).await;
        }
    }
}

/// A network whose first validators are all these nodes.
fn begin(homes: &[Home], devices: u64) -> Result<()> {
    use Capability as C;
    let key = || new_key(Algorithm::Ed25519);
    let (root, admin) = (key(), key());
    let nodes: Vec<_> = homes.iter().map(|_| key()).collect();
    let of = |key: &muster_identity::SecretKey, can: &[C]| OrgKey {
        key: key.public_key(),
        capabilities: Capabilities::of(can),
    };
    let mut keys =
        vec![of(&root, &[C::Root, C::Approve]), of(&admin, &[C::Enrol, C::Operate, C::Gateway])];
    keys.extend(nodes.iter().map(|key| of(key, &[C::Validator])));
    let mut validators = ValidatorSet(nodes.iter().map(|key| key.public_key()).collect());
    validators.0.sort_unstable();
    let now = Machine.now();
    let genesis = Genesis {
        nonce: random(),
        time: now,
        organisation: FirstOrganisation {
            inception: Inception::from_key(root.public_key()),
            label: "Benchmark".into(),
            keys,
        },
        rules: Rules::DEFAULT,
        grant: GenesisGrant {
            models: Vec::new(),
            count: devices,
            expires: now.plus_ms(GRANT_MS),
            evidence: EvidencePolicy::Enroller,
        },
        validators,
    };
    for (home, node) in homes.iter().zip(&nodes) {
        home.create()?;
        home.write_key("node/node.pem", node, Sealing::None)?;
        peer_key(home)?;
        home.write_genesis(&genesis)?;
        begun::mark_new(home)?;
        home.seal()?;
    }
    homes[0].write_key("keys/admin.pem", &admin, Sealing::None)?;
    homes[0].write_directory_secret(&Zeroizing::new(random()))
}
