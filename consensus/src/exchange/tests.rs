//! Real nodes over loopback, and peers that are not nodes.

mod hostile;
mod messages;
mod nodes;
mod raw;

use super::{
    BoxFuture, Change, Exchange, ExchangeConfig, Message, PeerAddress, PeerId, Request, Response,
    Service, Status,
};
use muster_ledger::Network;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

pub(super) const NETWORK: Network = Network([7; 32]);

/// What a node of a test hears, and what it answers.
#[derive(Default)]
pub(super) struct Desk {
    heard: Mutex<Vec<(PeerId, Message)>>,
    answers: Mutex<BTreeMap<Vec<u8>, Response>>,
    height: AtomicUsize,
    /// Questions that are worked at, and the most there were.
    asked: AtomicUsize,
    most_asked: AtomicUsize,
    /// How long a question takes.
    takes: Mutex<Duration>,
    /// Whom it takes long to listen to.
    slow: Mutex<Option<PeerId>>,
}

fn key(request: &Request) -> Vec<u8> {
    muster_identity::cbor::Encode::to_cbor(request)
}

impl Desk {
    fn answers(&self, request: &Request, response: Response) {
        self.answers.lock().unwrap().insert(key(request), response);
    }

    /// Everything heard but statuses.
    fn messages(&self) -> Vec<Message> {
        let heard = self.heard.lock().unwrap();
        let said = heard.iter().filter(|(_, message)| !matches!(message, Message::Status(_)));
        said.map(|(_, message)| message.clone()).collect()
    }
}

impl Service for Desk {
    fn told(&self, peer: PeerId, messages: Vec<Message>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let messages = messages.into_iter().map(|message| (peer, message));
            self.heard.lock().unwrap().extend(messages);
            let slow = *self.slow.lock().unwrap() == Some(peer);
            if slow {
                sleep(Duration::from_secs(6)).await;
            }
        })
    }

    fn asked(&self, _: PeerId, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let now = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_asked.fetch_max(now, Ordering::SeqCst);
            let takes = *self.takes.lock().unwrap();
            sleep(takes).await;
            self.asked.fetch_sub(1, Ordering::SeqCst);
            self.answers.lock().unwrap().get(&key(&request)).cloned().unwrap_or(Response::None)
        })
    }

    fn status(&self) -> Status {
        let height = self.height.load(Ordering::SeqCst) as u64;
        Status { height, size: 2 * height, pending: false, engine_port: 4 }
    }
}

pub(super) struct Node {
    exchange: Exchange,
    desk: Arc<Desk>,
    close: watch::Sender<bool>,
}

fn secret(n: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([n; 32])
}

fn id(n: u8) -> PeerId {
    super::peer_id(&secret(n)).unwrap().parse().unwrap()
}

pub(super) async fn start(n: u8, port: u16, network: Network, peers: &[String]) -> Node {
    let desk = Arc::new(Desk::default());
    desk.height.store(n.into(), Ordering::SeqCst);
    let (close, closing) = watch::channel(false);
    let config = ExchangeConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        node_key: secret(n),
        peers: peers.iter().map(|peer| peer.parse::<PeerAddress>().unwrap()).collect(),
        network,
    };
    let service: Arc<dyn Service> = desk.clone();
    let exchange = Exchange::start(config, service, closing).await.unwrap();
    Node { exchange, desk, close }
}

impl Node {
    pub(super) async fn new(n: u8, peers: &[&Node]) -> Self {
        let peers: Vec<_> = peers.iter().map(|peer| peer.exchange.listens().to_string()).collect();
        start(n, 0, NETWORK, &peers).await
    }

    fn ids(&self) -> Vec<PeerId> {
        self.exchange.peers().into_iter().map(|peer| peer.id).collect()
    }

    async fn sees(&self, peers: &[u8]) {
        let mut ids: Vec<_> = peers.iter().map(|n| id(*n)).collect();
        ids.sort();
        until("the peers are connected", || self.ids() == ids).await;
    }

    fn failing(&self, at: usize) -> String {
        self.exchange.configured()[at].failing.clone().unwrap_or_default()
    }

    /// Whether this node and an honest one still understand each other.
    async fn serves(&self, honest: &Self) {
        let text = format!("still here {}", self.desk.messages().len());
        let note = Message::Cosignature(text);
        honest.exchange.tell(self.exchange.id(), &note);
        until("an honest peer is heard", || self.desk.messages().contains(&note)).await;
        let answer = honest.exchange.ask(self.exchange.id(), Request::Pending).await;
        assert_eq!(answer, Ok(Response::None));
    }
}

/// Waits for something that must come true soon.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(Duration::from_secs(20), wait).await.is_ok(), "never: {what}");
}

/// Waits for a future that must end soon.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

fn operation(n: u32) -> Message {
    let mut bytes = vec![0xaa; 300];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    Message::Operation(bytes)
}

/// Waits for a change; others may come first.
async fn comes(changes: &mut tokio::sync::broadcast::Receiver<Change>, change: Change) {
    let what = format!("{change:?}");
    soon(&what, async { while changes.recv().await != Ok(change) {} }).await;
}
