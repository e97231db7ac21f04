//! How long four engines on this machine take from a proposal to its decision, and what they cost
//! when there is nothing to decide: `cargo run --release -p muster-consensus --example engine`.

use futures_util::future::{BoxFuture, FutureExt as _};
use muster_consensus::engine::{EngineConfig, EngineView, Evidence, Host, Peer, Timeouts, run};
use muster_identity::{Algorithm, SecretKey, Signer};
use muster_ledger::{Network, ValidatorSet};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Decides numbers: at every height the next one, with a load of zeros.
struct Counter {
    set: ValidatorSet,
    decided: watch::Sender<u64>,
    wanted: watch::Receiver<(u64, usize)>,
}

impl Host for Counter {
    fn height(&self) -> u64 {
        *self.decided.borrow()
    }

    fn validators(&self) -> ValidatorSet {
        self.set.clone()
    }

    fn propose(&self, height: u64, _: Duration) -> BoxFuture<'_, Option<Vec<u8>>> {
        let (wanted, bytes) = *self.wanted.borrow();
        let mut proposal = vec![0; bytes.max(8)];
        proposal[..8].copy_from_slice(&height.to_be_bytes());
        std::future::ready((height <= wanted).then_some(proposal)).boxed()
    }

    fn check<'a>(&'a self, height: u64, proposal: &'a [u8], _: bool) -> BoxFuture<'a, bool> {
        std::future::ready(proposal.starts_with(&height.to_be_bytes())).boxed()
    }

    fn decided(&self, height: u64, _: Vec<u8>) -> BoxFuture<'_, Result<(), String>> {
        self.decided.send_replace(height);
        std::future::ready(Ok(())).boxed()
    }

    fn begin(&self, height: u64) -> BoxFuture<'_, ()> {
        let mut wanted = self.wanted.clone();
        async move {
            if wanted.wait_for(|(wanted, _)| *wanted >= height).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    fn evidence(&self, what: Evidence) {
        panic!("nobody lies here: {what:?}");
    }
}

/// Clock ticks of the processor that this process used (proc(5), fields 14 and 15), at 100 a second.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().expect("a name").split_whitespace();
    fields.skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum()
}

#[tokio::main]
async fn main() {
    let secret = |n: u8| Zeroizing::new([n + 1; 32]);
    let key = |n| SecretKey::from_bytes(Algorithm::Ed25519, &secret(n)).expect("a key");
    let mut set: Vec<_> = (0..4).map(|n| key(n).public_key()).collect();
    set.sort();
    let ports: Vec<_> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let ports: Vec<u16> = ports.iter().map(|p| p.local_addr().expect("bound").port()).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let (want, wanted) = watch::channel((0, 0));
    let (close, closing) = watch::channel(false);
    let mut engines = Vec::new();
    let mut views = Vec::new();
    for n in 0..4 {
        let host = Counter {
            set: ValidatorSet(set.clone()),
            decided: watch::Sender::new(0),
            wanted: wanted.clone(),
        };
        let others = ports.iter().filter(|port| **port != ports[n]);
        let config = EngineConfig {
            listen: ([127, 0, 0, 1], ports[n]).into(),
            peers: others.map(|p| Peer { host: "127.0.0.1".into(), port: *p }).collect(),
            node_key: Zeroizing::new([100 + n as u8; 32]),
            signer: Some(Arc::new(key(n as u8))),
            votes_from: 0,
            dir: folder.path().join(n.to_string()),
            network: Network([7; 32]),
            timeouts: Timeouts::default(),
        };
        let (view, shown) = watch::channel(EngineView::default());
        views.push(shown);
        engines.push(tokio::spawn(run(config, Arc::new(host), view, closing.clone())));
    }
    for view in &mut views {
        view.wait_for(|view| view.peers == 3).await.expect("it runs");
    }
    let mut height = 0;
    for (bytes, heights) in [(1 << 10, 300), (16 << 10, 300), (256 << 10, 60), (1 << 20, 40)] {
        let mut took = Vec::new();
        for _ in 0..heights {
            height += 1;
            let since = Instant::now();
            want.send((height, bytes)).expect("hosts");
            for view in &mut views {
                view.wait_for(|view| view.decided >= height).await.expect("it runs");
            }
            took.push(since.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        took.sort();
        let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!(
            "{bytes:>8} bytes: {heights} heights one by one, decided by all four: p50 {p50:.1?}, p99 {p99:.1?}"
        );
    }
    let begun = Instant::now();
    let first = height;
    height += 300;
    want.send((height, 16 << 10)).expect("hosts");
    for view in &mut views {
        view.wait_for(|view| view.decided >= height).await.expect("it runs");
    }
    let rate = (height - first) as f64 / begun.elapsed().as_secs_f64();
    println!("   16384 bytes: {rate:.1} heights a second without a pause");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = ticks();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let each = (ticks() - before) as f64 / 30.0 / 4.0;
    println!("idle: {each:.2} % of a core for each of four engines");
    close.send(true).expect("engines");
    for engine in engines {
        println!("{:?}", engine.await.expect("no panic").expect("no error"));
    }
}
