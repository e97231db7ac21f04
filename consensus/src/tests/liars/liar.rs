//! A validator that says what a test wants. It follows the ledger, so that it can lie well.

use super::network::{LIAR, Network, address, free_place, node_key, validator};
use crate::engine::{self, EngineConfig, Evidence, Peer, Timeouts};
use crate::exchange::{
    Exchange, ExchangeConfig, Message, PeerId, Request, Response, Service, Status,
};
use crate::proposal::Proposal;
use muster_api::BoxFuture;
use muster_identity::cbor::Decode as _;
use muster_ledger::{Chain, ValidatorSet, View as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What it proposes, given the ledger that it knows.
pub(super) type Proposes = dyn Fn(&Chain) -> Option<Vec<u8>> + Send + Sync;
/// What it answers.
pub(super) type Answers = dyn Fn(&Request) -> Response + Send + Sync;

/// How it lies.
pub(super) struct Lies {
    pub(super) proposes: Box<Proposes>,
    /// Whether it votes for what others propose.
    pub(super) votes: bool,
    pub(super) answers: Box<Answers>,
    /// By how much the height that it claims differs from the one it has.
    pub(super) boasts: u64,
}

impl Lies {
    /// None: it proposes nothing, votes for everything, and has nothing.
    pub(super) fn none() -> Self {
        Self {
            proposes: Box::new(|_| None),
            votes: true,
            answers: Box::new(|_| Response::None),
            boasts: 0,
        }
    }
}

pub(super) struct Part {
    pub(super) chain: Mutex<Chain>,
    lies: Lies,
    exchange: OnceLock<Exchange>,
    /// How often it proposed something.
    pub(super) proposed: AtomicU64,
}

impl Part {
    fn new(network: &Network, lies: Lies) -> Arc<Self> {
        Arc::new(Self {
            chain: Mutex::new(Chain::new(&network.genesis)),
            lies,
            exchange: OnceLock::new(),
            proposed: AtomicU64::new(0),
        })
    }

    async fn talk(
        self: &Arc<Self>,
        network: &Network,
        name: &str,
        listen: SocketAddr,
        closed: watch::Receiver<bool>,
    ) -> Exchange {
        let config = ExchangeConfig {
            listen,
            node_key: node_key(name),
            peers: network.honest_places().iter().map(address).collect(),
            network: network.genesis.network(),
        };
        let exchange = Exchange::start(config, self.clone(), closed).await.unwrap();
        let _ = self.exchange.set(exchange.clone());
        exchange
    }
}

/// Somebody who reaches the exchange and is no validator, until it is dropped.
pub(super) struct Stranger {
    pub(super) exchange: Exchange,
    _closing: watch::Sender<bool>,
}

impl Stranger {
    pub(super) async fn start(network: &Network, name: &str) -> Self {
        let (closing, closed) = watch::channel(false);
        let part = Part::new(network, Lies::none());
        let exchange = part.talk(network, name, free_place(), closed).await;
        Self { exchange, _closing: closing }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl engine::Host for Part {
    fn height(&self) -> u64 {
        locked(&self.chain).height()
    }

    fn validators(&self) -> ValidatorSet {
        locked(&self.chain).state().validators().unwrap()
    }

    fn propose(&self, _: u64, _: Duration) -> futures_util::future::BoxFuture<'_, Option<Vec<u8>>> {
        let proposal = (self.lies.proposes)(&locked(&self.chain));
        if proposal.is_some() {
            self.proposed.fetch_add(1, Ordering::Relaxed);
        }
        Box::pin(async move { proposal })
    }

    fn check<'a>(
        &'a self,
        _: u64,
        _: &'a [u8],
        live: bool,
    ) -> futures_util::future::BoxFuture<'a, bool> {
        Box::pin(async move { self.lies.votes || !live })
    }

    fn decided(
        &self,
        _: u64,
        proposal: Vec<u8>,
    ) -> futures_util::future::BoxFuture<'_, Result<(), String>> {
        let proposal = Proposal::from_cbor(&proposal).unwrap();
        let mut chain = locked(&self.chain);
        let next = chain.extend(&proposal.block).unwrap().0;
        *chain = next;
        Box::pin(async { Ok(()) })
    }

    fn begin(&self, height: u64) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let peers = self.exchange.get().map(Exchange::peers).unwrap_or_default();
                let waits = |status: Status| status.pending || status.height >= height;
                if peers.iter().filter_map(|peer| peer.status).any(waits) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        })
    }

    fn evidence(&self, _: Evidence) {}
}

impl Service for Part {
    fn told(&self, _: PeerId, _: Vec<Message>) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn asked(&self, _: PeerId, request: Request) -> BoxFuture<'_, Response> {
        let answer = (self.lies.answers)(&request);
        Box::pin(async move { answer })
    }

    fn status(&self) -> Status {
        let chain = locked(&self.chain);
        let height = chain.height() + self.lies.boasts;
        Status { height, size: chain.size() + self.lies.boasts, pending: false, engine_port: 1 }
    }
}

/// A liar that runs, until it is dropped.
pub(super) struct Liar {
    pub(super) part: Arc<Part>,
    pub(super) exchange: Exchange,
    _closing: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Liar {
    /// Starts it, at one of the places that the honest nodes dial.
    pub(super) async fn start(network: &Network, place: usize, lies: Lies) -> Self {
        let listen = network.places[place];
        let name = format!("liar {place}");
        let (closing, closed) = watch::channel(false);
        let part = Part::new(network, lies);
        let exchange = part.talk(network, &name, listen, closed.clone()).await;
        let engine =
            |place: &SocketAddr| Peer { host: place.ip().to_string(), port: place.port() + 1 };
        let dir = network.dir.path().join(&name);
        std::fs::create_dir_all(&dir).unwrap();
        let config = EngineConfig {
            listen: SocketAddr::new(listen.ip(), listen.port() + 1),
            peers: network.honest_places().iter().map(engine).collect(),
            node_key: node_key(&name),
            signer: Some(Arc::new(validator(LIAR))),
            votes_from: 0,
            dir,
            network: network.genesis.network(),
            timeouts: Timeouts::default(),
        };
        let mut tasks = JoinSet::new();
        let host = part.clone();
        tasks.spawn(async move {
            let view = watch::Sender::new(engine::EngineView::default());
            let _ = engine::run(config, host, view, closed).await;
        });
        Self { part, exchange, _closing: closing, _tasks: tasks }
    }

    /// How often it proposed.
    pub(super) fn proposed(&self) -> u64 {
        self.part.proposed.load(Ordering::Relaxed)
    }
}
