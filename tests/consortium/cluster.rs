//! Four nodes as processes, and every way between two of them in the test's own hand.

use crate::link::{Flow, Link, Shape};
use crate::network::{NODES, Network};
use crate::node::Node;
use crate::watch::Watch;
use crate::wire::Wire;
use muster_api::{Client, ClientError, ConsensusView, NetworkView};
use serde_json::Value;
use std::future::Future;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that must come about. A machine that is busy with other things is
/// slow, and a test that waits on is no weaker.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

/// How long an answer of a node may take before somebody asks another.
pub(crate) const ANSWER: Duration = Duration::from_secs(20);

/// A way between two nodes: the exchange, and the engine at the port behind it.
const WAYS: u16 = 2;

pub(crate) struct Cluster {
    pub(crate) network: Arc<Network>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) watch: Watch,
    /// By the node that dials, then by the one that is dialled.
    links: Vec<Vec<Option<Link>>>,
    dir: tempfile::TempDir,
    _turn: SemaphorePermit<'static>,
}

/// Clusters at once: much of the time they wait, and more of them would only wait for each other.
static TURNS: Semaphore = Semaphore::const_new(2);

impl Cluster {
    /// Makes folders and ways; nothing runs yet.
    pub(crate) async fn new() -> Self {
        Self::over(None).await
    }

    /// The same; all that passes between nodes is recorded, if there is a wire.
    pub(crate) async fn over(wire: Option<&Wire>) -> Self {
        let turn = TURNS.acquire().await.expect("it is never closed");
        let dir = tempfile::tempdir().expect("a folder for the test");
        let network = Arc::new(Network::new());
        let mut nodes: Vec<_> =
            (0..NODES).map(|n| Node::new(dir.path().join(format!("node-{}", n + 1)))).collect();
        let mut links = Vec::new();
        for from in 0..NODES {
            network.write(&nodes[from].home, from);
            let mut of_this = Vec::new();
            for to in 0..NODES {
                let link = match from == to {
                    true => None,
                    false => Some(Link::with(nodes[to].exchange(), WAYS, wire).await),
                };
                nodes[from].peers.extend(link.as_ref().map(|link| link.port));
                of_this.push(link);
            }
            links.push(of_this);
        }
        let urls = nodes.iter().map(Node::url).collect();
        let watch = Watch::start(&network.genesis, urls);
        Self { network, nodes, watch, links, dir, _turn: turn }
    }

    /// A cluster that has signed its first head, on every node.
    pub(crate) async fn running() -> Self {
        let mut cluster = Self::new().await;
        for node in &mut cluster.nodes {
            node.start();
        }
        for node in 0..NODES {
            cluster.serves(node).await;
        }
        cluster
    }

    pub(crate) fn client(&self, node: usize) -> Client {
        Client::new(&self.nodes[node].url()).expect("an address on this machine")
    }

    /// What a node says of the ledger.
    pub(crate) async fn ledger(&self, node: usize) -> Result<NetworkView, String> {
        answered(self.client(node).network()).await
    }

    /// What a node says of how it decides.
    pub(crate) async fn consensus(&self, node: usize) -> Result<ConsensusView, String> {
        answered(self.client(node).consensus()).await
    }

    /// Waits until a node answers with a signed head.
    pub(crate) async fn serves(&self, node: usize) {
        let what = format!("node {} has a signed head", node + 1);
        self.until(&what, || async { self.ledger(node).await.map(drop) }).await;
    }

    /// Waits until something is so. Whatever it is says what it lacks.
    pub(crate) async fn until<F>(&self, what: &str, look: impl Fn() -> F)
    where
        F: Future<Output = Result<(), String>>,
    {
        let begun = Instant::now();
        loop {
            let lacks = match look().await {
                Ok(()) => return,
                Err(lacks) => lacks,
            };
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: not within {} s: {lacks}",
                PATIENCE.as_secs()
            );
            self.watch.check();
            sleep(LOOK).await;
        }
    }

    /// How much the log of a node has under a signed head.
    pub(crate) async fn size(&self, node: usize) -> u64 {
        let size = self.ledger(node).await.map(|view| view.size);
        size.unwrap_or_else(|why| panic!("node {} does not answer: {why}", node + 1))
    }

    /// Waits until these nodes say the same of the ledger.
    pub(crate) async fn agree(&self, nodes: &[usize]) {
        self.until("the same ledger everywhere", || async {
            let mut heads = Vec::new();
            for node in nodes {
                let view = self.ledger(*node).await?;
                heads.push((view.size, view.log_root, view.state_root));
            }
            match heads.windows(2).all(|pair| pair[0] == pair[1]) {
                true => Ok(()),
                false => Err(format!("{heads:?}")),
            }
        })
        .await;
    }

    /// Whether anything passes between two nodes, in both directions and over both connections.
    pub(crate) fn between(&self, one: usize, other: usize, shape: Shape) {
        for link in [&self.links[one][other], &self.links[other][one]] {
            link.as_ref().expect("two nodes").set(shape);
        }
    }

    /// Nothing passes between these nodes and the others.
    pub(crate) fn part(&self, nodes: &[usize], flow: Flow) {
        for one in 0..NODES {
            for other in one + 1..NODES {
                if nodes.contains(&one) != nodes.contains(&other) {
                    self.between(one, other, Shape { flow, ..Shape::OPEN });
                }
            }
        }
    }

    /// Everything between a node and the others is so.
    pub(crate) fn around(&self, node: usize, shape: Shape) {
        (0..NODES).filter(|other| *other != node).for_each(|o| self.between(node, o, shape));
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.links.iter().flatten().flatten().for_each(|link| link.set(Shape::OPEN));
    }

    /// A path in the test's own folder.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a command in the folder of a node, to its end.
    pub(crate) async fn run(&self, node: usize, args: &[&str]) -> Output {
        let mut command = self.nodes[node].command(args);
        let run = tokio::task::spawn_blocking(move || command.output().expect("the binary runs"));
        run.await.expect("it ends")
    }

    /// The same for one that must succeed; its JSON.
    pub(crate) async fn json(&self, node: usize, args: &[&str]) -> Value {
        let output = self.run(node, &[args, &["--json"]].concat()).await;
        let (out, words) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "muster {args:?}: {}\n{out}{words}", output.status);
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// Enrols new devices through a node, as a factory would; gives their serials.
    pub(crate) async fn enrol(&self, node: usize, prefix: &str, count: usize) -> Vec<String> {
        let serials: Vec<_> = (0..count).map(|n| format!("{prefix}-{n:04}")).collect();
        let file = self.path(&format!("{prefix}.jsonl"));
        self.network.manifest(&file, &serials);
        let file = file.to_str().expect("text").to_owned();
        let url = self.nodes[node].url();
        let told = self.json(node, &["enrol", &file, "--node", &url]).await;
        assert_eq!(told["enrolled"], count, "{told}");
        serials
    }

    /// Panics if a node ended that nobody ended.
    pub(crate) fn all_live(&mut self) {
        for (n, node) in self.nodes.iter_mut().enumerate() {
            if let Some(status) = node.ended() {
                panic!("node {} ended by itself: {status}", n + 1);
            }
        }
    }
}

/// An answer in time, or why there is none.
pub(crate) async fn answered<T>(
    asked: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, String> {
    match timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err("no answer in time".into()),
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (n, node) in self.nodes.iter().enumerate() {
                eprintln!("---- node {} ({}):\n{}", n + 1, node.url(), node.last_words());
            }
        }
    }
}
