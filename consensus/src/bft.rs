//! A node among several: the engine orders, the exchange carries what surrounds it, the registry
//! judges. Here they meet.

use crate::engine::{self, Ended, EngineConfig, EngineView, Peer, Timeouts};
use crate::evidence::Evidences;
use crate::exchange::{Exchange, ExchangeConfig, PeerAddress};
use crate::gather::{Beats, Gather};
use crate::handover::Handover;
use crate::ready::ReadyVotes;
use crate::votes_from::VotesFrom;
use crate::{Error, limits};
use muster_api::{BoxFuture, ConsensusView, Host};
use muster_identity::{PublicKey, Signer};
use muster_ledger::{BatchId, Network, Time, ValidatorSet, View as _};
use muster_registry::{Application, Consensus};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How a node takes part.
pub struct Settings {
    /// Where the exchange listens; the engine listens at the next port.
    pub listen: SocketAddr,
    /// The exchanges of other nodes.
    pub peers: Vec<PeerAddress>,
    /// By which other nodes know this one; not the validator's key.
    pub node_key: Zeroizing<[u8; 32]>,
    /// The validator's key.
    pub signer: Arc<dyn Signer>,
    /// Folder of the engine's files: votes and decisions are in no backup.
    pub dir: PathBuf,
    /// Wall clock.
    pub host: Arc<dyn Host>,
}

/// Consensus among several nodes.
pub struct Bft {
    settings: Settings,
    view: watch::Sender<ConsensusView>,
}

impl Bft {
    /// Takes part by these settings, once it is run.
    pub fn new(settings: Settings) -> Self {
        Self { settings, view: watch::Sender::default() }
    }

    /// What the node sees of the others, as it changes.
    pub fn view(&self) -> watch::Receiver<ConsensusView> {
        self.view.subscribe()
    }
}

/// What the parts of a running node share.
pub(crate) struct Shared {
    pub(crate) application: Arc<dyn Application>,
    pub(crate) network: Network,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) key: PublicKey,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) engine_port: u16,
    exchange: OnceLock<Exchange>,
    pub(crate) votes: Mutex<ReadyVotes>,
    pub(crate) gather: Mutex<Gather>,
    pub(crate) beats: Mutex<Beats>,
    /// The set before the last change, until its head is published: both sign it.
    pub(crate) handover: Handover,
    /// Announced batches whose leaves are not taken while a promise for another one holds.
    pub(crate) kept_waiting: Mutex<BTreeSet<BatchId>>,
    pub(crate) evidences: Evidences,
    /// The highest block whose head each validator signed.
    pub(crate) signed_heights: Mutex<BTreeMap<PublicKey, u64>>,
    /// When a signature of each validator came last, by this node's clock.
    pub(crate) heard_of: Mutex<BTreeMap<PublicKey, Time>>,
    pub(crate) engine_view: watch::Receiver<EngineView>,
    /// Something was heard of that may be worth a block, or that a peer is ahead.
    pub(crate) news: Notify,
    /// Why this node takes no further part: its ledger is not the others'.
    stopped: watch::Sender<Option<String>>,
    /// From which height on it votes, once that is known.
    pub(crate) votes_from: OnceLock<VotesFrom>,
    /// The height it fetches blocks up to.
    pub(crate) catching_up: Mutex<Option<u64>>,
    view: watch::Sender<ConsensusView>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Set before anything else runs.
    pub(crate) fn exchange(&self) -> Option<&Exchange> {
        self.exchange.get()
    }

    /// Who decides the next block.
    pub(crate) fn validators(&self) -> ValidatorSet {
        self.application.chain().state().validators().unwrap_or(ValidatorSet(Vec::new()))
    }

    /// Whether this node is one of them.
    pub(crate) fn votes(&self) -> bool {
        self.validators().0.contains(&self.key)
    }

    /// The highest block that is decided for sure: of the validators that signed its head or that of
    /// a later one, one more than may lie.
    pub(crate) fn confirmed(&self) -> u64 {
        let validators = self.validators();
        let signed = locked(&self.signed_heights);
        let mut heights: Vec<_> = validators.0.iter().filter_map(|key| signed.get(key)).collect();
        heights.sort_unstable();
        let may_lie = validators.0.len() - validators.quorum();
        heights.iter().rev().nth(may_lie).map_or(0, |height| **height)
    }

    /// The highest that any peer says it has. Anybody may say anything: it is good for asking that
    /// peer, and for nothing that would keep this node from its work.
    pub(crate) fn highest(&self) -> u64 {
        let peers = self.exchange().map(Exchange::peers).unwrap_or_default();
        peers.iter().filter_map(|peer| peer.status).map(|s| s.height).max().unwrap_or_default()
    }

    /// Ends this node's part for good: to go on would spread a fork or a damaged state.
    pub(crate) fn stop(&self, why: String) {
        tracing::error!("this node takes no further part in the network: {why}");
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            stopped.get_or_insert(why);
            first
        });
        self.news.notify_waiters();
    }

    pub(crate) fn stopped(&self) -> Option<String> {
        self.stopped.borrow().clone()
    }

    pub(crate) fn show(&self, view: ConsensusView) {
        self.view.send_if_modified(|shown| {
            let changed = *shown != view;
            *shown = view;
            changed
        });
    }
}

impl Consensus for Bft {
    fn run(
        self: Box<Self>,
        application: Arc<dyn Application>,
        closing: watch::Receiver<bool>,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Err(error) = self.take_part(application.clone(), closing.clone()).await {
                tracing::error!("the consortium cannot be joined: {error}");
                let error = muster_registry::Error::Us(error.to_string());
                application.halted(&error).await;
            }
        })
    }
}

impl Bft {
    async fn take_part(
        self: Box<Self>,
        application: Arc<dyn Application>,
        mut closing: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let Settings { listen, peers, node_key, signer, dir, host } = self.settings;
        let network = application.chain().network();
        let (engine_view, watch_engine) = watch::channel(EngineView::default());
        let engine_port = listen.port().wrapping_add(1);
        let shared = Arc::new(Shared {
            network,
            key: signer.public_key(),
            signer: signer.clone(),
            host,
            engine_port,
            exchange: OnceLock::new(),
            votes: Mutex::default(),
            gather: Mutex::default(),
            beats: Mutex::default(),
            handover: Handover::read(&dir, application.chain().height())?,
            kept_waiting: Mutex::default(),
            evidences: Evidences::open(dir.join("evidence"))?,
            signed_heights: Mutex::default(),
            heard_of: Mutex::default(),
            engine_view: watch_engine,
            news: Notify::new(),
            stopped: watch::Sender::new(None),
            votes_from: OnceLock::new(),
            catching_up: Mutex::default(),
            view: self.view,
            application,
        });
        let engines = peers.iter().map(engine_of).collect::<Result<Vec<_>, _>>()?;
        let config = ExchangeConfig { listen, node_key: node_key.clone(), peers, network };
        let exchange = Exchange::start(config, shared.clone(), closing.clone()).await?;
        shared.exchange.set(exchange).map_err(|_| Error::Us("the exchange began twice".into()))?;
        let engine = |votes_from| EngineConfig {
            listen: SocketAddr::new(listen.ip(), engine_port),
            peers: engines.clone(),
            node_key: node_key.clone(),
            signer: Some(signer.clone()),
            votes_from,
            dir: dir.clone(),
            network,
            timeouts: Timeouts::default(),
        };
        let starting = shared.find_votes_from(&dir);
        tokio::select! {
            () = shared.relay() => {}
            () = shared.greet() => {}
            () = shared.fetch_leaves() => {}
            () = shared.vote_ready() => {}
            () = shared.beat() => {}
            () = shared.look_around() => {}
            result = shared.decide_or_follow(starting, engine, engine_view) => return result,
            _ = closing.wait_for(|closing| *closing) => {}
        }
        Ok(())
    }
}

impl Shared {
    /// Decides with the others while this node is a validator, follows them otherwise.
    async fn decide_or_follow(
        self: &Arc<Self>,
        votes_from: impl Future<Output = Result<VotesFrom, Error>>,
        engine: impl Fn(u64) -> EngineConfig,
        view: watch::Sender<EngineView>,
    ) -> Result<(), Error> {
        let votes_from = votes_from.await?;
        let votes_from = self.votes_from.get_or_init(|| votes_from).height;
        self.sign_again();
        loop {
            if self.stopped().is_some() {
                std::future::pending::<()>().await;
            }
            self.catch_up().await;
            if self.unsigned() {
                self.sign_again();
            }
            if !self.votes() {
                // Nothing is proposed here; what the state refuses is answered by the attempt.
                self.application.propose(self.host.now(), &|_| false).await;
                self.heard(limits::LOOK).await;
                continue;
            }
            let (end, ending) = watch::channel(false);
            let host = Arc::new(self.clone());
            let run = engine::run(engine(votes_from), host, view.clone(), ending);
            tokio::pin!(run);
            let ended = tokio::select! {
                ended = &mut run => ended,
                () = self.left_behind() => {
                    end.send_replace(true);
                    run.await
                }
            };
            let why = match ended {
                Ok(Ended::Told) => continue,
                Ok(Ended::Failed(why)) => why,
                Err(error @ Error::Caller(_)) => return Err(error),
                // Such as a full disk: nobody has to start the node again once there is room.
                Err(error) => error.to_string(),
            };
            tracing::error!("the engine begins again: {why}");
            tokio::time::sleep(limits::LOOK).await;
        }
    }

    /// Resolves when the engine must stop: this node is no validator any more, has stopped, or is
    /// so far behind that it fetches pages instead.
    async fn left_behind(&self) {
        let mut decided = (self.application.chain().height(), Instant::now());
        loop {
            let height = self.application.chain().height();
            if height > decided.0 {
                decided = (height, Instant::now());
            }
            let far = |than: u64| than.saturating_sub(height) > limits::BEHIND;
            // Of validators that are all others by now this node knows no signature.
            let forgotten = far(self.highest()) && decided.1.elapsed() > limits::FORGOTTEN;
            let behind = far(self.confirmed()) || forgotten;
            if behind || !self.votes() || self.stopped().is_some() {
                return;
            }
            tokio::time::sleep(limits::LOOK).await;
        }
    }

    /// Waits for news, for so long at most.
    pub(crate) async fn heard(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.news.notified()).await;
    }

    /// Tells the others what clients brought here.
    async fn relay(&self) {
        loop {
            for operation in self.application.submitted().await {
                if let Some(exchange) = self.exchange() {
                    exchange.tell_all(&crate::exchange::Message::Operation(operation.0));
                }
            }
            self.news.notify_waiters();
        }
    }
}

/// A node's engine listens at the port behind that of its exchange.
fn engine_of(peer: &PeerAddress) -> Result<Peer, Error> {
    let port = peer.port.checked_add(1);
    let port = port.ok_or_else(|| Error::Caller(format!("{peer}: no port follows 65535")))?;
    Ok(Peer { host: peer.host.clone(), port })
}
