//! How nodes of a network talk beside the engine: operations before they are in a block, signatures
//! of heads, leaves of batches, pages of the log. A swarm of its own over TCP, Noise and Yamux.
//!
//! Nobody is trusted here. Whoever has a key may connect; each peer has a budget, and what it says
//! is bytes of a stranger until the ledger's own rules have checked it.

mod address;
mod book;
mod budget;
mod codec;
mod dial;
mod gate;
mod lane;
mod swarm;
mod talk;
#[cfg(test)]
mod tests;
mod yamux;

pub use crate::message::{Frame, Message, Request, Response, Status};
pub use address::PeerAddress;
pub use libp2p::PeerId;

use crate::{Error, limits};
use book::{Book, Question};
use lane::Said;
use libp2p::identity::Keypair;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::Network;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

/// A future that a trait object can give.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a node takes part in the exchange. No `Debug`: it holds the node's key.
pub struct ExchangeConfig {
    /// Where it listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// Ed25519 secret by which peers know this node. Not a validator's key.
    pub node_key: Zeroizing<[u8; 32]>,
    /// Whom it dials, for ever.
    pub peers: Vec<PeerAddress>,
    /// The network: nodes of another one speak no protocol with this one.
    pub network: Network,
}

/// What a node does with what its peers say. Called from many tasks at once.
pub trait Service: Send + Sync + 'static {
    /// A peer told something. Until this resolves the peer tells nothing more of its kind: that is
    /// the back-pressure. In the order in which the peer said it; operations in an order of their
    /// own. After eight seconds it is dropped, and the peer tells it again.
    fn told(&self, peer: PeerId, messages: Vec<Message>) -> BoxFuture<'_, ()>;
    /// A peer asks something. After eight seconds it is dropped, and the peer hears `Busy`.
    fn asked(&self, peer: PeerId, request: Request) -> BoxFuture<'_, Response>;
    /// Where this node stands, told to every peer on connecting and every second. Must be cheap.
    fn status(&self) -> Status;
}

/// A connected peer.
#[derive(Debug, Clone)]
pub struct PeerState {
    /// Its id: a hash of its node key.
    pub id: PeerId,
    /// Where it is connected from or to.
    pub address: String,
    /// Since when.
    pub since: Instant,
    /// How long its last answer to something told took; `None` before the first.
    pub round_trip: Option<Duration>,
    /// What it last said of itself.
    pub status: Option<Status>,
}

/// A peer came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Connected: it speaks the protocol of this network.
    Joined(PeerId),
    /// No connection is left.
    Left(PeerId),
}

/// A configured peer, as whoever runs the node wants to see it.
#[derive(Debug, Clone)]
pub struct ConfiguredPeer {
    /// As it was configured.
    pub address: PeerAddress,
    /// Who answers there, if it is connected.
    pub connected: Option<PeerId>,
    /// Why not, in a few words, if it is not.
    pub failing: Option<String>,
}

/// A handle to the exchange; clones are cheap and mean the same swarm.
#[derive(Clone)]
pub struct Exchange {
    shared: Arc<Shared>,
}

struct Shared {
    id: PeerId,
    listens: SocketAddr,
    book: Mutex<Book>,
    /// There is something to send, or somebody to disconnect.
    wake: Notify,
    questions: mpsc::Sender<Question>,
    changes: broadcast::Sender<Change>,
    /// Who is asked first next time.
    turn: AtomicUsize,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing that holds the lock can leave the book half written.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The swarm is gone.
    fn close(&self) {
        let peers = std::mem::take(&mut self.book().peers);
        for (id, _) in peers.into_iter().filter(|(_, peer)| peer.announced) {
            let _ = self.changes.send(Change::Left(id));
        }
        for peer in &mut self.book().configured {
            peer.connected = None;
        }
    }
}

impl Exchange {
    /// Starts to listen and to dial. It ends when `closing` says so or its sender is gone.
    pub async fn start(
        config: ExchangeConfig,
        service: Arc<dyn Service>,
        closing: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let ExchangeConfig { listen, node_key, peers, network } = config;
        if peers.len() > limits::CONFIGURED_PEERS {
            return Err(Error::operator(
                format!("{} peers are configured", peers.len()),
                format!("name at most {}", limits::CONFIGURED_PEERS),
            ));
        }
        let keypair = keypair(&node_key)?;
        let mut swarm = swarm::build(&keypair, &network)?;
        let listens = swarm::listen(&mut swarm, listen).await?;
        let configured = |address| ConfiguredPeer { address, connected: None, failing: None };
        let book =
            Book { configured: peers.into_iter().map(configured).collect(), ..Book::default() };
        let (questions, asked) = mpsc::channel(limits::QUESTIONS);
        let shared = Arc::new(Shared {
            id: keypair.public().to_peer_id(),
            listens,
            book: Mutex::new(book),
            wake: Notify::new(),
            questions,
            changes: broadcast::channel(limits::CHANGES).0,
            turn: AtomicUsize::new(0),
        });
        let driver = swarm::Driver::new(swarm, Arc::clone(&shared), service, asked);
        tokio::spawn(driver.run(closing));
        Ok(Self { shared })
    }

    /// Where it listens.
    pub fn listens(&self) -> SocketAddr {
        self.shared.listens
    }

    /// This node's id.
    pub fn id(&self) -> PeerId {
        self.shared.id
    }

    /// The connected peers that speak the protocol, in the order of their ids.
    pub fn peers(&self) -> Vec<PeerState> {
        let book = self.shared.book();
        let joined = book.peers.values().filter(|peer| peer.joined);
        joined.map(|peer| peer.state.clone()).collect()
    }

    /// What a connected peer last said of itself.
    pub fn status_of(&self, peer: PeerId) -> Option<Status> {
        let book = self.shared.book();
        book.peers.get(&peer).filter(|known| known.joined)?.state.status
    }

    /// The configured peers.
    pub fn configured(&self) -> Vec<ConfiguredPeer> {
        self.shared.book().configured.clone()
    }

    /// Asks one peer; waits for at most ten seconds.
    pub async fn ask(&self, peer: PeerId, request: Request) -> Result<Response, Error> {
        let late = |_| Err(Error::Peer(format!("the peer {peer} did not answer in time")));
        timeout(limits::ANSWER_WITHIN, self.asking(peer, request)).await.unwrap_or_else(late)
    }

    async fn asking(&self, peer: PeerId, request: Request) -> Result<Response, Error> {
        let turns = self.shared.book().peers.get(&peer).map(|peer| Arc::clone(&peer.turns));
        let gone = || Error::Peer(format!("the peer {peer} is not connected"));
        let turn = turns.ok_or_else(gone)?.acquire_owned().await.map_err(|_| gone())?;
        let (answer, answered) = oneshot::channel();
        let frame = Frame::Asked(request.clone()).to_cbor();
        let question = Question { peer, frame, answer };
        self.shared.questions.send(question).await.map_err(|_| Error::Closing)?;
        let bytes = answered.await.map_err(|_| Error::Closing)??;
        match Response::from_cbor(&bytes) {
            Ok(Response::Busy) => {
                tokio::spawn(async move {
                    sleep(limits::BUSY_PAUSE).await;
                    drop(turn);
                });
                Ok(Response::Busy)
            }
            Ok(response) if response.answers(&request) => Ok(response),
            Ok(_) => Err(self.liar(peer, "answers what was not asked")),
            Err(error) => Err(self.liar(peer, &format!("sent what is no answer: {error}"))),
        }
    }

    fn liar(&self, peer: PeerId, why: &str) -> Error {
        self.drop_peer(peer, why);
        Error::Peer(format!("the peer {peer} {why}"))
    }

    /// Asks peers in turn, another one first each time, until an answer is accepted. Each is asked
    /// once; the error is that of the last.
    pub async fn ask_any(
        &self,
        request: Request,
        accept: impl Fn(&Response) -> bool + Send + Sync,
    ) -> Result<(PeerId, Response), Error> {
        let mut peers: Vec<_> = self.peers().into_iter().map(|peer| peer.id).collect();
        if !peers.is_empty() {
            let turn = self.shared.turn.fetch_add(1, Ordering::Relaxed) % peers.len();
            peers.rotate_left(turn);
        }
        let mut last = Error::Peer("no peer is connected".to_owned());
        for peer in peers {
            match self.ask(peer, request.clone()).await {
                Ok(response) if accept(&response) => return Ok((peer, response)),
                Ok(_) => last = Error::Peer(format!("the peer {peer} cannot give it now")),
                Err(Error::Closing) => return Err(Error::Closing),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Tells one peer, if it is connected.
    pub fn tell(&self, peer: PeerId, message: &Message) {
        self.tell_those(message, |id| *id == peer);
    }

    /// Tells all connected peers.
    pub fn tell_all(&self, message: &Message) {
        self.tell_those(message, |_| true);
    }

    /// Tells all connected peers but one: from whom it was heard.
    pub fn tell_others(&self, than: PeerId, message: &Message) {
        self.tell_those(message, |id| *id != than);
    }

    fn tell_those(&self, message: &Message, meant: impl Fn(&PeerId) -> bool) {
        match Said::new(message) {
            Some(said) => {
                self.shared.book().tell(&said, meant);
                self.shared.wake.notify_one();
            }
            None => tracing::error!("exchange: a message above its bound was told to nobody"),
        }
    }

    /// Closes the connections to a peer that proved to be wrong, and refuses it for a while.
    pub fn drop_peer(&self, peer: PeerId, why: &str) {
        self.shared.book().unwanted(peer, why, true);
        self.shared.wake.notify_one();
    }

    /// Who comes and goes from now on. Whoever falls behind looks at [`Self::peers`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }
}

/// The id of the node that has this key, as it stands behind the `/` of a peer's address.
pub fn peer_id(key: &Zeroizing<[u8; 32]>) -> Result<String, Error> {
    Ok(keypair(key)?.public().to_peer_id().to_string())
}

fn keypair(key: &Zeroizing<[u8; 32]>) -> Result<Keypair, Error> {
    // libp2p wipes what it is given.
    let mut copy = Zeroizing::new(**key);
    Keypair::ed25519_from_bytes(&mut copy[..])
        .map_err(|error| Error::operator(format!("the node key: {error}"), "make a new one"))
}
