//! The engines and their hosts.

use super::wire::Wire;
use crate::engine::{Ended, EngineConfig, EngineView, Evidence, Host, Peer, Timeouts, run};
use futures_util::future::{BoxFuture, FutureExt as _};
use muster_identity::{Algorithm, SecretKey, Signer};
use muster_ledger::{Network, ValidatorSet};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// What waits to be decided. All hosts see it, as if everybody told everybody at once.
#[derive(Default)]
pub(crate) struct Pool(watch::Sender<Vec<Vec<u8>>>);

impl Pool {
    pub(crate) fn add(&self, items: impl IntoIterator<Item = Vec<u8>>) {
        self.0.send_modify(|all| all.extend(items));
    }
}

/// A ledger in memory. A proposal is its height, who made it, and an item; an item is decided once.
pub(crate) struct Memory {
    name: u8,
    pool: Arc<Pool>,
    chain: watch::Sender<Vec<Vec<u8>>>,
    validators: Arc<dyn Fn(u64) -> ValidatorSet + Send + Sync>,
    /// Proposes what nobody accepts.
    pub(crate) lies: AtomicBool,
    /// Accepts nothing.
    pub(crate) refuses: AtomicBool,
    pub(crate) evidence: Mutex<Vec<Evidence>>,
    /// Cannot commit.
    pub(crate) broken: AtomicBool,
    /// Sees nothing worth deciding.
    pub(crate) blind: AtomicBool,
}

const LIE: &[u8] = b"a lie";

impl Memory {
    pub(crate) fn chain(&self) -> Vec<Vec<u8>> {
        self.chain.borrow().clone()
    }

    fn next(&self) -> Option<Vec<u8>> {
        let chain = self.chain.borrow();
        let all = self.pool.0.borrow();
        all.iter().find(|item| !chain.contains(item)).cloned()
    }
}

impl Host for Memory {
    fn height(&self) -> u64 {
        self.chain.borrow().len() as u64
    }

    fn validators(&self) -> ValidatorSet {
        (self.validators)(self.height() + 1)
    }

    fn propose(&self, height: u64, _: Duration) -> BoxFuture<'_, Option<Vec<u8>>> {
        let item = match self.lies.load(Ordering::Relaxed) {
            true => Some(LIE.to_vec()),
            false => self.next(),
        };
        std::future::ready(
            item.map(|item| [&height.to_be_bytes()[..], &[self.name], &item].concat()),
        )
        .boxed()
    }

    fn check<'a>(&'a self, height: u64, proposal: &'a [u8], live: bool) -> BoxFuture<'a, bool> {
        let good = proposal.split_first_chunk::<8>().is_some_and(|(at, named)| {
            let item = named.get(1..).unwrap_or_default();
            let new = !self.chain.borrow().iter().any(|decided| decided == item);
            u64::from_be_bytes(*at) == height && height == self.height() + 1 && item != LIE && new
        });
        let refuses = live && self.refuses.load(Ordering::Relaxed);
        std::future::ready(good && !refuses).boxed()
    }

    fn decided(&self, height: u64, proposal: Vec<u8>) -> BoxFuture<'_, Result<(), String>> {
        if self.broken.load(Ordering::Relaxed) {
            return std::future::ready(Err("no room".to_string())).boxed();
        }
        assert_eq!(height, self.height() + 1, "heights come in order");
        self.chain.send_modify(|chain| chain.push(proposal[9..].to_vec()));
        std::future::ready(Ok(())).boxed()
    }

    fn begin(&self, _: u64) -> BoxFuture<'_, ()> {
        let mut pool = self.pool.0.subscribe();
        async move {
            while self.blind.load(Ordering::Relaxed) || self.next().is_none() {
                pool.changed().await.expect("the pool stays");
            }
        }
        .boxed()
    }

    fn evidence(&self, what: Evidence) {
        self.evidence.lock().expect("unpoisoned").push(what);
    }
}

pub(crate) fn key(n: u8) -> Arc<dyn Signer> {
    let secret = Zeroizing::new([n + 1; 32]);
    Arc::new(SecretKey::from_bytes(Algorithm::Ed25519, &secret).expect("a key"))
}

/// The set of the first `n` keys, in the order of the ledger.
pub(crate) fn set(n: u8) -> ValidatorSet {
    let mut keys: Vec<_> = (0..n).map(|i| key(i).public_key()).collect();
    keys.sort();
    ValidatorSet(keys)
}

/// A node: its disk, its ledger, and its engine while it runs.
pub(crate) struct Node {
    pub(crate) host: Arc<Memory>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) signer: Option<Arc<dyn Signer>>,
    pub(crate) votes_from: u64,
    port: u16,
    running: Option<Running>,
}

struct Running {
    runtime: Runtime,
    closing: watch::Sender<bool>,
    view: watch::Receiver<EngineView>,
    engine: tokio::task::JoinHandle<Result<Ended, crate::Error>>,
}

/// Some nodes that know each other.
pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    pub(crate) pool: Arc<Pool>,
    /// From each node to each, if they can be cut.
    wires: Vec<Vec<Wire>>,
    _alone: MutexGuard<'static, ()>,
}

/// One network at a time: the machine is small and the engine has time limits.
static ALONE: Mutex<()> = Mutex::new(());

impl Net {
    /// `n` nodes that do not run; node `i` has key `i`.
    pub(crate) fn new(
        n: u8,
        validators: impl Fn(u64) -> ValidatorSet + Send + Sync + 'static,
    ) -> Self {
        let alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
        let pool = Arc::new(Pool::default());
        let validators: Arc<dyn Fn(u64) -> ValidatorSet + Send + Sync> = Arc::new(validators);
        // All at once, so that no two get one port.
        let free = |_| TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let ports: Vec<TcpListener> = (0..n).map(free).collect();
        let nodes = ports.iter().enumerate().map(|(i, port)| Node {
            host: Arc::new(Memory {
                name: i as u8,
                pool: pool.clone(),
                chain: watch::Sender::default(),
                validators: validators.clone(),
                lies: AtomicBool::new(false),
                refuses: AtomicBool::new(false),
                evidence: Mutex::default(),
                broken: AtomicBool::new(false),
                blind: AtomicBool::new(false),
            }),
            dir: tempfile::tempdir().expect("a folder"),
            signer: Some(key(i as u8)),
            votes_from: 0,
            port: port.local_addr().expect("bound").port(),
            running: None,
        });
        Self { nodes: nodes.collect(), pool: pool.clone(), wires: Vec::new(), _alone: alone }
    }

    /// `n` validators that run, with wires that can be cut.
    pub(crate) fn wired(n: u8) -> Self {
        let mut net = Self::wired_off(n);
        (0..net.nodes.len()).for_each(|i| net.start(i));
        net
    }

    /// The same, not running yet.
    pub(crate) fn wired_off(n: u8) -> Self {
        let mut net = Self::new(n, move |_| set(n));
        let ports: Vec<u16> = net.nodes.iter().map(|node| node.port).collect();
        let all = || ports.iter().map(|port| Wire::to(*port)).collect();
        net.wires = ports.iter().map(|_| all()).collect();
        net
    }

    /// Cuts or mends every wire between these nodes and the others.
    pub(crate) fn apart(&mut self, some: &[usize], apart: bool) {
        for (i, wires) in self.wires.iter().enumerate() {
            for (j, wire) in wires.iter().enumerate() {
                if some.contains(&i) != some.contains(&j) {
                    wire.cut(apart);
                }
            }
        }
    }

    /// `n` validators that run.
    pub(crate) fn of(n: u8) -> Self {
        let mut net = Self::new(n, move |_| set(n));
        (0..net.nodes.len()).for_each(|i| net.start(i));
        net
    }

    pub(crate) fn start(&mut self, i: usize) {
        let others = self.nodes.iter().enumerate().filter(|(j, _)| *j != i);
        let port = |j: usize, n: &Node| self.wires.get(i).map_or(n.port, |wires| wires[j].port);
        let peer = |(j, n)| Peer { host: "127.0.0.1".into(), port: port(j, n) };
        let peers = others.map(peer).collect();
        let node = &mut self.nodes[i];
        assert!(node.running.is_none());
        let config = EngineConfig {
            listen: ([127, 0, 0, 1], node.port).into(),
            peers,
            node_key: Zeroizing::new([100 + i as u8; 32]),
            signer: node.signer.clone(),
            votes_from: node.votes_from,
            dir: node.dir.path().join("engine"),
            network: Network([7; 32]),
            timeouts: Timeouts::default(),
        };
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let (closing, closed) = watch::channel(false);
        let (shown, view) = watch::channel(EngineView::default());
        let engine = runtime.spawn(run(config, node.host.clone(), shown, closed));
        node.running = Some(Running { runtime, closing, view, engine });
    }

    /// Stops a node as it should be stopped.
    pub(crate) fn stop(&mut self, i: usize) -> Result<Ended, crate::Error> {
        let running = self.nodes[i].running.take().expect("it runs");
        running.closing.send(true).expect("it listens");
        let ended = running.runtime.block_on(running.engine).expect("no panic");
        running.runtime.shutdown_timeout(Duration::from_secs(5));
        ended
    }

    /// Kills a node: whatever it was doing is dropped where it is.
    pub(crate) fn kill(&mut self, i: usize) {
        let running = self.nodes[i].running.take().expect("it runs");
        running.runtime.shutdown_timeout(Duration::from_secs(5));
        // The threads of the log and the port end with a delay.
        until(&format!("node {i} is gone"), || {
            let log = std::fs::File::open(self.nodes[i].dir.path().join("engine/consensus.log"));
            let free = log.is_ok_and(|log| log.try_lock().is_ok());
            free && TcpListener::bind(("127.0.0.1", self.nodes[i].port)).is_ok()
        });
    }

    /// Waits for an engine to end by itself.
    pub(crate) fn ended(&mut self, i: usize) -> Result<Ended, crate::Error> {
        let running = self.nodes[i].running.take().expect("it runs");
        let ended = running.runtime.block_on(running.engine).expect("no panic");
        running.runtime.shutdown_timeout(Duration::from_secs(5));
        ended
    }

    pub(crate) fn view(&self, i: usize) -> EngineView {
        self.nodes[i].running.as_ref().expect("it runs").view.borrow().clone()
    }

    pub(crate) fn height(&self, i: usize) -> u64 {
        self.nodes[i].host.height()
    }

    /// Waits until these nodes have decided a height.
    #[track_caller]
    pub(crate) fn reach(&self, nodes: &[usize], height: u64) {
        let what = format!("height {height} at {nodes:?}");
        until(&what, || nodes.iter().all(|i| self.height(*i) >= height));
    }

    /// All chains are beginnings of the longest.
    #[track_caller]
    pub(crate) fn agree(&self) {
        let chains: Vec<_> = self.nodes.iter().map(|n| n.host.chain()).collect();
        let longest = chains.iter().max_by_key(|c| c.len()).expect("nodes");
        for (i, chain) in chains.iter().enumerate() {
            assert!(longest.starts_with(chain), "node {i} decided something else");
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(running) = node.running.take() {
                let _ = running.closing.send(true);
                running.runtime.shutdown_timeout(Duration::from_secs(2));
            }
        }
    }
}

/// `n` small items, each different.
pub(crate) fn items(name: &str, n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| format!("{name} {i}").into_bytes()).collect()
}

/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(240);

#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
