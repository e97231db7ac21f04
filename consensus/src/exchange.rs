//! How nodes of a network talk beside the engine: operations before they are in a block, signatures
//! of heads, leaves of batches, pages of the log. A swarm of its own over TCP, Noise and Yamux.
//!
//! Nobody is trusted here. Whoever has a key may connect; each peer has a budget, and what it says
//! is bytes of a stranger until the ledger's own rules have checked it.

mod address;
mod message;

pub use address::PeerAddress;
pub use libp2p::PeerId;
pub use message::{Frame, Message, Request, Response, Status};

use crate::Error;
use muster_ledger::Network;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
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
    /// the back-pressure. In the order in which the peer said it.
    fn told(&self, peer: PeerId, message: Message) -> BoxFuture<'_, ()>;
    /// A peer asks something.
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
    /// Whether it is one of the configured peers.
    pub configured: bool,
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
    /// Who answered there, if it is connected.
    pub connected: Option<PeerId>,
    /// Why not, in one sentence, if it is not.
    pub failing: Option<String>,
}

/// A handle to the exchange; clones are cheap and mean the same swarm.
#[derive(Clone)]
pub struct Exchange {
    shared: Arc<Shared>,
}

struct Shared;

impl Exchange {
    /// Starts to listen and to dial. It ends when `closing` says so or its sender is gone.
    pub async fn start(
        _config: ExchangeConfig,
        _service: Arc<dyn Service>,
        _closing: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        Ok(Self { shared: Arc::new(Shared) })
    }

    /// Where it listens.
    pub fn listens(&self) -> SocketAddr {
        unreachable!()
    }

    /// This node's id.
    pub fn id(&self) -> PeerId {
        unreachable!()
    }

    /// The connected peers that speak the protocol, in the order of their ids.
    pub fn peers(&self) -> Vec<PeerState> {
        unreachable!()
    }

    /// The configured peers.
    pub fn configured(&self) -> Vec<ConfiguredPeer> {
        unreachable!()
    }

    /// Asks one peer; waits for at most ten seconds.
    pub async fn ask(&self, _peer: PeerId, _request: Request) -> Result<Response, Error> {
        unreachable!()
    }

    /// Asks peers in turn, another one first each time, until an answer is accepted.
    pub async fn ask_any(
        &self,
        _request: Request,
        _accept: impl Fn(&Response) -> bool + Send + Sync,
    ) -> Result<(PeerId, Response), Error> {
        unreachable!()
    }

    /// Tells one peer, if it is connected.
    pub fn tell(&self, _peer: PeerId, _message: &Message) {}

    /// Tells all connected peers.
    pub fn tell_all(&self, _message: &Message) {}

    /// Tells all connected peers but one: from whom it was heard.
    pub fn tell_others(&self, _than: PeerId, _message: &Message) {}

    /// Closes the connections to a peer that proved to be wrong, and refuses it for a while.
    pub fn drop_peer(&self, _peer: PeerId, _why: &str) {}

    /// Who comes and goes from now on. Whoever falls behind looks at [`Self::peers`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        let _ = &self.shared;
        unreachable!()
    }
}

/// The id of the node that has this key, as it stands behind the `/` of a peer's address.
pub fn peer_id(_key: &Zeroizing<[u8; 32]>) -> Result<String, Error> {
    unreachable!()
}
