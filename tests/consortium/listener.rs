//! A node that takes part in the exchange and keeps all that others tell it and answer, as it is
//! after decryption: whoever has a key of its own may do the same.

use crate::network::Network;
use muster_consensus::exchange::{
    BoxFuture, Exchange, ExchangeConfig, Message, PeerId, Request, Response, Service, Status,
};
use muster_identity::cbor::Encode;
use muster_ledger::BatchId;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Entries of a page, and leaves of a bundle.
const PAGE: u64 = 4_096;
const BUNDLE: u64 = 256;

/// What was heard.
#[derive(Default)]
struct Ears(Mutex<Vec<Vec<u8>>>);

impl Ears {
    fn heard(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Ears {
    fn told(&self, _: PeerId, messages: Vec<Message>) -> BoxFuture<'_, ()> {
        self.heard().extend(messages.iter().map(Encode::to_cbor));
        Box::pin(async {})
    }

    fn asked(&self, _: PeerId, _: Request) -> BoxFuture<'_, Response> {
        Box::pin(async { Response::None })
    }

    fn status(&self) -> Status {
        Status::default()
    }
}

pub(crate) struct Listener {
    exchange: Exchange,
    ears: Arc<Ears>,
    _close: watch::Sender<bool>,
}

impl Listener {
    /// Dials the exchanges of these nodes.
    pub(crate) async fn start(network: &Network, nodes: &[SocketAddr]) -> Self {
        let (close, closing) = watch::channel(false);
        let mut node_key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut node_key[..]).expect("the system gives random bytes");
        let peers = nodes.iter().map(|node| node.to_string().parse().expect("an address"));
        let config = ExchangeConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            node_key,
            peers: peers.collect(),
            network: network.genesis.network(),
        };
        let ears = Arc::new(Ears::default());
        let exchange = Exchange::start(config, ears.clone(), closing).await;
        Self { exchange: exchange.expect("it listens"), ears, _close: close }
    }

    /// How many nodes it is connected to.
    pub(crate) fn peers(&self) -> usize {
        self.exchange.peers().len()
    }

    /// Asks everybody; keeps the answers and gives them.
    async fn ask(&self, request: &Request) -> Vec<Response> {
        let mut answers = Vec::new();
        for peer in self.exchange.peers() {
            if let Ok(answer) = self.exchange.ask(peer.id, request.clone()).await {
                self.ears.heard().push(answer.to_cbor());
                answers.push(answer);
            }
        }
        answers
    }

    /// Asks everybody for what waits for a block.
    pub(crate) async fn ask_what_waits(&self) {
        self.ask(&Request::Pending).await;
    }

    /// Asks everybody for the whole log; how many have it up to this size.
    pub(crate) async fn ask_for_the_log(&self, size: u64) -> usize {
        let answers = self.ask(&Request::Feed { from: 0, count: PAGE }).await;
        let whole = |answer: &&Response| matches!(answer, Response::Feed { entries, .. } if entries.len() as u64 >= size);
        answers.iter().filter(whole).count()
    }

    /// Asks everybody for all leaves of a batch; how many leaves came, from all together.
    pub(crate) async fn ask_for_leaves(&self, batch: BatchId, devices: u64) -> usize {
        let mut leaves = 0;
        for index in 0..devices.div_ceil(BUNDLE) {
            for answer in self.ask(&Request::Bundle { batch, index }).await {
                if let Response::Bundle { leaves: some, .. } = answer {
                    leaves += some.len();
                }
            }
        }
        leaves
    }

    /// All that was heard, message by message.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.ears.heard().clone()
    }
}
