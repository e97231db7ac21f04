//! A consensus in one process: it asks all nodes in turn, so that what they are asked for is all
//! that decides. Scenarios know it by [`Cluster`] alone.

use super::cluster::{Cluster, validator};
use crate::network::{Network, TestHost, TestSigner, store_of};
use futures_util::FutureExt as _;
use muster_api::{BoxFuture, Host as _};
use muster_identity::cbor::Decode as _;
use muster_ledger::{BatchId, Block, Bundle, Checkpoint, Entry, Genesis, Time};
use muster_registry::{Application, Config, Consensus, Deciding, Refused, Registry, StoreUrl};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// How long a vote for a batch binds.
pub(crate) const BINDS_MS: u64 = 20_000;

type Applications = Arc<Mutex<Vec<Option<Arc<dyn Application>>>>>;

/// Hands its application to whoever drives all of them.
struct Handed {
    place: usize,
    all: Applications,
}

impl Consensus for Handed {
    fn run(
        self: Box<Self>,
        application: Arc<dyn Application>,
        mut closing: watch::Receiver<bool>,
    ) -> BoxFuture<'static, ()> {
        self.all.lock().unwrap()[self.place] = Some(application);
        Box::pin(async move {
            let _ = closing.wait_for(|closing| *closing).await;
            self.all.lock().unwrap()[self.place] = None;
        })
    }
}

/// What stands in a node's way.
#[derive(Default)]
struct Faults {
    /// Nodes that get no bundles.
    starved: BTreeSet<usize>,
    /// Votes for batches are cast, and nothing is proposed.
    paused: bool,
    /// A node that neither hears nor is heard.
    cut: Option<usize>,
}

pub(crate) struct Lockstep {
    nodes: Vec<Network>,
    all: Applications,
    faults: Arc<Mutex<Faults>>,
    /// Held for each round, and while a node ends.
    turn: Arc<tokio::sync::Mutex<()>>,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Lockstep {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn open(
    dir: &std::path::Path,
    genesis: &Genesis,
    host: &Arc<TestHost>,
    all: &Applications,
    place: usize,
) -> Registry {
    // Asked for PostgreSQL, every other node is on it: the two kinds agree.
    let store = if place % 2 == 1 { store_of(dir).await } else { StoreUrl::Folder };
    let config = Config {
        dir: dir.into(),
        store,
        genesis: genesis.clone(),
        deciding: Deciding::Together(Box::new(Handed { place, all: all.clone() })),
        host: host.clone(),
        restored: None,
        accept_lost_leaves: false,
    };
    Registry::open(config).await.expect("a node")
}

impl Lockstep {
    /// Opens so many nodes, of which the network's validators are the first.
    pub(crate) async fn new(genesis: &Genesis, nodes: usize) -> Self {
        let host = Arc::new(TestHost::new());
        let all: Applications = Arc::new(Mutex::new(vec![None; nodes]));
        let mut opened = Vec::new();
        for place in 0..nodes {
            let dir = tempfile::tempdir().unwrap();
            let registry = open(dir.path(), genesis, &host, &all, place).await;
            let signer = Arc::new(TestSigner::new(validator(place)));
            let (genesis, host) = (genesis.clone(), host.clone());
            opened.push(Network { dir, genesis, host, signer, registry });
        }
        let faults = Arc::<Mutex<Faults>>::default();
        let driver = Driver {
            all: all.clone(),
            genesis: genesis.clone(),
            host,
            faults: faults.clone(),
            turn: Arc::default(),
            round: 0,
        };
        let turn = driver.turn.clone();
        let driver = tokio::spawn(driver.run());
        Self { nodes: opened, all, faults, turn, driver }
    }

    /// Votes go on, blocks do not.
    pub(crate) fn pause(&self, paused: bool) {
        self.faults.lock().unwrap().paused = paused;
    }

    /// A node neither hears the others nor is heard.
    pub(crate) async fn cut(&self, node: Option<usize>) {
        let _turn = self.turn.lock().await;
        self.faults.lock().unwrap().cut = node;
    }

    /// Starts a node that was stopped, by another clock.
    pub(crate) async fn start_with_clock(&mut self, node: usize, host: Arc<TestHost>) {
        self.nodes[node].host = host;
        self.start(node).await;
    }

    /// What a node's consensus sees.
    pub(crate) fn application(&self, node: usize) -> Arc<dyn Application> {
        self.all.lock().unwrap()[node].clone().expect("a node that runs")
    }
}

impl Cluster for Lockstep {
    fn node(&self, node: usize) -> &Network {
        &self.nodes[node]
    }

    fn nodes(&self) -> usize {
        self.nodes.len()
    }

    async fn stop(&mut self, node: usize) {
        let _turn = self.turn.lock().await;
        self.nodes[node].registry.close().await;
    }

    async fn start(&mut self, node: usize) {
        let stopped = &self.nodes[node];
        let (dir, genesis) = (stopped.dir.path(), &stopped.genesis);
        let registry = open(dir, genesis, &stopped.host, &self.all, node).await;
        self.nodes[node].registry = registry;
    }

    fn starve(&self, node: usize, starved: bool) {
        let starve = &mut self.faults.lock().unwrap().starved;
        if starved {
            starve.insert(node)
        } else {
            starve.remove(&node)
        };
    }
}

struct Driver {
    all: Applications,
    genesis: Genesis,
    host: Arc<TestHost>,
    faults: Arc<Mutex<Faults>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    round: usize,
}

type Running = Vec<(usize, Arc<dyn Application>)>;

impl Driver {
    async fn run(mut self) {
        loop {
            let turn = self.turn.clone().lock_owned().await;
            let running: Running = {
                let (all, cut) = (self.all.lock().unwrap(), self.faults.lock().unwrap().cut);
                let running = all.iter().enumerate().filter(|(n, _)| cut != Some(*n));
                running.filter_map(|(n, app)| Some((n, app.clone()?))).collect()
            };
            self.tell(&running).await;
            self.fetch(&running).await;
            self.catch_up(&running).await;
            let ready = self.votes(&running).await;
            self.decide(&running, &ready).await;
            self.sign(&running);
            self.round += 1;
            drop((turn, running));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn quorum(&self) -> usize {
        self.genesis.validators.quorum()
    }

    fn validators<'a>(
        &self,
        running: &'a Running,
    ) -> impl Iterator<Item = &'a (usize, Arc<dyn Application>)> {
        let count = self.genesis.validators.0.len();
        running.iter().filter(move |(n, _)| *n < count)
    }

    async fn tell(&self, running: &Running) {
        for (from, application) in running {
            let mut told = application.submitted().now_or_never().unwrap_or_default();
            told.extend(application.pending());
            for (_, to) in running.iter().filter(|(to, _)| to != from) {
                for operation in &told {
                    let _ = to.told(vec![operation.clone()]).await;
                }
            }
        }
    }

    async fn fetch(&self, running: &Running) {
        for (node, application) in running {
            if self.faults.lock().unwrap().starved.contains(node) {
                continue;
            }
            for wanted in application.wanted() {
                let id = wanted.batch;
                for _ in 0..Bundle::count(wanted.count) {
                    let index = application.next_bundle(&id).await.unwrap();
                    let Some(bundle) = Self::ask(running, *node, &id, index).await else { break };
                    match application.take_bundles(&id, index, vec![bundle]).await {
                        Ok(false) => {}
                        Ok(true) | Err(Refused::Later(_) | Refused::Batch(_)) => break,
                        Err(other) => panic!("node {node}, batch {id}: {other}"),
                    }
                }
            }
        }
    }

    async fn ask(running: &Running, but: usize, id: &BatchId, index: u64) -> Option<Bundle> {
        for (_, peer) in running.iter().filter(|(node, _)| *node != but) {
            if let Some(bundle) = peer.bundle(id, index).await.unwrap() {
                return Some(bundle);
            }
        }
        None
    }

    /// Nodes that are behind take what the others have.
    async fn catch_up(&self, running: &Running) {
        let Some((_, ahead)) = running.iter().max_by_key(|(_, a)| a.chain().height()) else {
            return;
        };
        let Some(checkpoint) = ahead.published() else { return };
        for (_, behind) in running {
            let from = behind.chain().size();
            if from >= checkpoint.head().size {
                continue;
            }
            let entries = ahead.entries(from, u64::MAX >> 1).await.unwrap();
            let entries = entries.iter().map(|bytes| Entry::from_cbor(bytes).unwrap());
            let blocks = Block::from_entries(entries).unwrap();
            let note = Checkpoint::parse(&checkpoint.to_note()).unwrap();
            behind.catch_up(blocks, &note).await.unwrap();
        }
    }

    /// The batches that more than two thirds of the validators have.
    async fn votes(&self, running: &Running) -> BTreeSet<BatchId> {
        let mut votes: BTreeMap<BatchId, usize> = BTreeMap::new();
        for (_, application) in self.validators(running) {
            if application.lacks_leaves() {
                continue;
            }
            for id in application.ready_here() {
                let time = application.chain().time();
                let time = application.published().map_or(time, |p| time.max(p.head().time));
                if application.promise(&id, time.plus_ms(BINDS_MS)).await.is_ok() {
                    *votes.entry(id).or_default() += 1;
                }
            }
        }
        let ready = votes.into_iter().filter(|(_, votes)| *votes >= self.quorum());
        ready.map(|(id, _)| id).collect()
    }

    async fn decide(&self, running: &Running, ready: &BTreeSet<BatchId>) {
        let voters: Vec<_> = self.validators(running).collect();
        if voters.len() < self.quorum() || self.faults.lock().unwrap().paused {
            return;
        }
        let heights: BTreeSet<u64> = running.iter().map(|(_, a)| a.chain().height()).collect();
        if heights.len() != 1 {
            return;
        }
        let proposer = &voters[self.round % voters.len()].1;
        let (now, may_enrol) = (self.host.now(), |id: &BatchId| ready.contains(id));
        if proposer.waiting(&may_enrol).now_or_never().is_none() {
            // It looks at its store: give it the time.
            let wait = proposer.waiting(&may_enrol);
            if tokio::time::timeout(Duration::from_millis(50), wait).await.is_err() {
                return;
            }
        }
        let Some(block) = proposer.propose(now, &may_enrol).await else { return };
        let mut votes = 0;
        for (_, voter) in &voters {
            votes += usize::from(voter.validate(&block, now).await.is_ok());
        }
        if votes >= self.quorum() {
            for (node, application) in running {
                let decided = application.decide(block.clone()).await;
                decided.unwrap_or_else(|error| panic!("node {node}: {error}"));
            }
        }
    }

    /// Every validator that lacks no leaves signs; all publish.
    fn sign(&self, running: &Running) {
        let time = |application: &Arc<dyn Application>| {
            let signed = application.signed().map(|head| head.time);
            self.host.now().max(application.chain().time()).max(signed.unwrap_or(Time(0)))
        };
        let Some(time) = running.iter().map(|(_, a)| time(a)).max() else { return };
        let mut note: Option<Checkpoint> = None;
        for (node, application) in self.validators(running) {
            if application.lacks_leaves() {
                continue;
            }
            let Ok(line) = application.sign(&application.head(time).unwrap(), &validator(*node))
            else {
                continue;
            };
            match &mut note {
                Some(note) => note.join(&line),
                None => note = Some(line),
            }
        }
        let Some(note) = note else { return };
        if note.verify(&self.genesis.network(), &self.genesis.validators).is_ok() {
            for (_, application) in running {
                // Whoever is behind catches up first.
                let _ = application.publish(&note);
            }
        }
    }
}
