//! The task that drives the swarm. It never decodes, never waits for anybody and never does more for
//! one peer than its budget.

use super::book::{Peer, Question, Which};
use super::codec::Frames;
use super::dial::Dialler;
use super::gate::Gate;
use super::lane::Said;
use super::talk::STRANGE;
use super::yamux::Yamux;
use super::{Change, Message, Service, Shared};
use crate::{Error, limits};
use futures_util::StreamExt as _;
use libp2p::core::upgrade::Version;
use libp2p::core::{ConnectedPoint, Transport as _};
use libp2p::identity::Keypair;
use libp2p::multiaddr::{Multiaddr, Protocol};
use libp2p::request_response::{
    self, InboundRequestId, OutboundRequestId, ProtocolSupport, ResponseChannel,
};
use libp2p::swarm::{self, ConnectionId, NetworkBehaviour, SwarmEvent};
use libp2p::{PeerId, StreamProtocol, Swarm, noise, tcp};
use muster_ledger::Network;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

#[derive(NetworkBehaviour)]
pub(super) struct Rules {
    pub(super) gate: Gate,
    pub(super) talk: request_response::Behaviour<Frames>,
}

pub(super) type Talk = request_response::Event<Vec<u8>, Vec<u8>>;

/// What an answer belongs to.
pub(super) enum Way {
    /// Of a peer's lane; since when the peer is connected tells it from an earlier lane.
    Told(PeerId, Which, Instant),
    Asked(oneshot::Sender<Result<Vec<u8>, Error>>),
}

/// A request that was worked at.
pub(super) struct Done {
    pub(super) peer: PeerId,
    pub(super) channel: ResponseChannel<Vec<u8>>,
    /// The answer's bytes, or what is wrong with the request.
    pub(super) answer: Result<Vec<u8>, String>,
}

pub(super) struct Driver {
    pub(super) swarm: Swarm<Rules>,
    pub(super) shared: Arc<Shared>,
    pub(super) service: Arc<dyn Service>,
    questions: mpsc::Receiver<Question>,
    pub(super) sent: HashMap<OutboundRequestId, Way>,
    /// Requests that are worked at, and whether they ask.
    pub(super) working: HashMap<InboundRequestId, (PeerId, bool)>,
    pub(super) jobs: JoinSet<Done>,
    pub(super) dialler: Dialler,
}

/// A swarm that does nothing yet.
pub(super) fn build(keypair: &Keypair, network: &Network) -> Result<Swarm<Rules>, Error> {
    let us = |error: &dyn std::fmt::Display| Error::Us(format!("the exchange: {error}"));
    let noise = noise::Config::new(keypair).map_err(|error| us(&error))?;
    let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(Yamux)
        .timeout(limits::HANDSHAKE_WITHIN)
        .boxed();
    let short = &network.to_string()[..16];
    let protocol = StreamProtocol::try_from_owned(format!("/muster/{short}/exchange/1"))
        .map_err(|error| us(&error))?;
    let config = request_response::Config::default()
        .with_request_timeout(limits::ANSWER_WITHIN)
        .with_max_concurrent_streams(limits::STREAMS);
    let talk = request_response::Behaviour::new([(protocol, ProtocolSupport::Full)], config);
    let config = swarm::Config::with_tokio_executor()
        // One protocol is spoken: its name goes with the first bytes, and saves a round trip.
        .with_substream_upgrade_protocol_override(Version::V1Lazy)
        .with_max_negotiating_inbound_streams(limits::REQUESTS_AT_ONCE)
        .with_idle_connection_timeout(limits::IDLE);
    let rules = Rules { gate: Gate::default(), talk };
    Ok(Swarm::new(transport, rules, keypair.public().to_peer_id(), config))
}

/// Binds, and says where.
pub(super) async fn listen(swarm: &mut Swarm<Rules>, at: SocketAddr) -> Result<SocketAddr, Error> {
    let taken = |error: &dyn std::fmt::Display| {
        Error::operator(
            format!("the exchange cannot listen on {at}: {error}"),
            "free the port or choose another address",
        )
    };
    // libp2p shares a port with whoever of the same user has it, and each gets half of the peers.
    drop(TcpListener::bind(at).await.map_err(|error| taken(&error))?);
    let address = Multiaddr::from(at.ip()).with(Protocol::Tcp(at.port()));
    swarm.listen_on(address).map_err(|error| taken(&error))?;
    let bound = async {
        loop {
            match swarm.next().await {
                Some(SwarmEvent::NewListenAddr { address, .. }) => {
                    let port = socket(&address).map_or(at.port(), |bound| bound.port());
                    return Ok(SocketAddr::new(at.ip(), port));
                }
                Some(SwarmEvent::ListenerClosed { reason: Err(error), .. }) => {
                    return Err(taken(&error));
                }
                Some(_) => {}
                None => return Err(Error::Us("the swarm ended".to_owned())),
            }
        }
    };
    timeout(limits::ANSWER_WITHIN, bound).await.map_err(|_| taken(&"no address in time"))?
}

/// The address and port of a multiaddress.
fn socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::from(ip),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

impl Driver {
    pub(super) fn new(
        swarm: Swarm<Rules>,
        shared: Arc<Shared>,
        service: Arc<dyn Service>,
        questions: mpsc::Receiver<Question>,
    ) -> Self {
        let peers = shared.book().configured.iter().map(|peer| peer.address.clone()).collect();
        Self {
            swarm,
            shared,
            service,
            questions,
            sent: HashMap::new(),
            working: HashMap::new(),
            jobs: JoinSet::new(),
            dialler: Dialler::new(peers, Instant::now()),
        }
    }

    pub(super) async fn run(mut self, mut closing: watch::Receiver<bool>) {
        let shared = Arc::clone(&self.shared);
        let mut status = interval(limits::STATUS_EVERY);
        status.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = Instant::now();
            let due = self.advance(now).unwrap_or(now + limits::ANSWER_WITHIN);
            tokio::select! {
                event = self.swarm.select_next_some() => self.event(event),
                Some(question) = self.questions.recv() => self.ask(question),
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.answer(done),
                    Err(error) => tracing::error!("exchange: a request was not worked at: {error}"),
                },
                Some(Ok((at, found))) = self.dialler.lookups.join_next() => self.found(at, found),
                () = shared.wake.notified() => {}
                () = sleep_until(due) => {}
                _ = status.tick() => self.tell_status(),
                _ = closing.wait_for(|closing| *closing) => break,
            }
        }
        shared.close();
    }

    /// Does what is due: disconnects, dials, sends. When something is due next.
    fn advance(&mut self, now: Instant) -> Option<Instant> {
        let mut book = self.shared.book();
        let unwanted = std::mem::take(&mut book.unwanted);
        let mut due = None;
        for (id, peer) in &mut book.peers {
            // What was lost on the way of an ended connection waits for the next one.
            if unwanted.contains_key(id) {
                continue;
            }
            let since = peer.state.since;
            for which in Which::BOTH {
                let lane = peer.lane(which);
                if let Some(frame) = lane.next(now) {
                    let sent = self.swarm.behaviour_mut().talk.send_request(id, frame);
                    self.sent.insert(sent, Way::Told(*id, which, since));
                }
                due = due.into_iter().chain(lane.due()).min();
            }
        }
        self.dialler.wake(now, |peer| book.peers.contains_key(peer));
        drop(book);
        for (peer, (why, refuse)) in unwanted {
            self.part(peer, &why, refuse);
        }
        due.into_iter().chain(self.dialler.due()).min()
    }

    fn tell_status(&self) {
        if let Some(said) = Said::new(&Message::Status(self.service.status())) {
            self.shared.book().tell(&said, |_| true);
        }
    }

    /// Closes all connections of a peer.
    fn part(&mut self, peer: PeerId, why: &str, refuse: bool) {
        if self.swarm.disconnect_peer_id(peer).is_err() {
            return;
        }
        tracing::warn!(%peer, "exchange: disconnected: {why}");
        if refuse {
            self.swarm.behaviour_mut().gate.refuse(peer);
        }
        let mut book = self.shared.book();
        for at in self.dialler.reaching(peer) {
            book.configured[at].failing = Some(why.to_owned());
        }
    }

    fn event(&mut self, event: SwarmEvent<RulesEvent>) {
        match event {
            SwarmEvent::Behaviour(RulesEvent::Talk(talk)) => self.talk(talk),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.closed(peer_id, connection_id, num_established == 0);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some((at, why)) = self.dialler.failed(connection_id, &error) {
                    why.into_iter().for_each(|why| self.failing(at, why));
                    self.dial(at);
                }
            }
            SwarmEvent::ListenerClosed { reason: Err(error), .. }
            | SwarmEvent::ListenerError { error, .. } => {
                tracing::error!("exchange: cannot accept connections: {error}");
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                tracing::debug!("exchange: a connection of {send_back_addr} failed: {error}");
            }
            _ => {}
        }
    }

    fn connected(&mut self, id: PeerId, connection: ConnectionId, end: &ConnectedPoint) {
        let status = Said::new(&Message::Status(self.service.status()));
        let address = end.get_remote_address();
        let address = socket(address).map_or_else(|| address.to_string(), |at| at.to_string());
        self.dialler.connected(connection, id);
        let mut book = self.shared.book();
        let peer = book.peers.entry(id).or_insert_with(|| {
            let mut peer = Peer::new(id, address, Instant::now());
            // The first thing said: whether it is answered shows what the peer speaks.
            let _ = status.map(|status| peer.urgent.push(status));
            peer
        });
        let slot = if end.is_dialer() { &mut peer.dialled } else { &mut peer.accepted };
        // A peer that connects anew has lost the old connection, whether or not TCP knows that.
        let old = slot.replace(connection);
        drop(book);
        if let Some(old) = old {
            self.swarm.close_connection(old);
        }
    }

    fn closed(&mut self, id: PeerId, connection: ConnectionId, last: bool) {
        let mut book = self.shared.book();
        if let Some(peer) = book.peers.get_mut(&id) {
            for slot in [&mut peer.dialled, &mut peer.accepted] {
                slot.take_if(|held| *held == connection);
            }
        }
        if !last {
            return;
        }
        let peer = book.peers.remove(&id);
        let joined = peer.as_ref().is_some_and(|peer| peer.announced);
        // The other side may be first to see that there is no protocol in common.
        let strange = peer.is_some_and(|peer| !peer.announced && peer.urgent.fails());
        book.unwanted.remove(&id);
        for at in self.dialler.left(id, Instant::now()) {
            let configured = &mut book.configured[at];
            configured.connected = None;
            if strange {
                configured.failing = Some(STRANGE.to_owned());
            }
            configured.failing.get_or_insert_with(|| "the connection ended".to_owned());
        }
        drop(book);
        if joined {
            tracing::info!(peer = %id, "exchange: left");
            let _ = self.shared.changes.send(Change::Left(id));
        }
    }

    /// A peer showed that it speaks the protocol.
    pub(super) fn joined(&mut self, id: PeerId) {
        let mut book = self.shared.book();
        let Some(peer) = book.peers.get_mut(&id) else { return };
        if peer.announced {
            return;
        }
        (peer.joined, peer.announced) = (true, true);
        let address = peer.state.address.clone();
        for at in self.dialler.joined(id) {
            let configured = &mut book.configured[at];
            (configured.connected, configured.failing) = (Some(id), None);
        }
        drop(book);
        tracing::info!(peer = %id, "exchange: connected with {address}");
        let _ = self.shared.changes.send(Change::Joined(id));
    }

    fn found(&mut self, at: usize, found: Result<Vec<IpAddr>, String>) {
        let addresses = found.unwrap_or_else(|why| {
            self.failing(at, why);
            Vec::new()
        });
        for ip in &addresses {
            self.swarm.behaviour_mut().gate.knows(*ip);
        }
        self.dialler.found(at, addresses);
        self.dial(at);
    }

    fn dial(&mut self, at: usize) {
        while let Some(opts) = self.dialler.next(at, Instant::now()) {
            let connection = opts.connection_id();
            match self.swarm.dial(opts) {
                Ok(()) => return,
                Err(error) => match self.dialler.failed(connection, &error) {
                    Some((at, why)) => why.into_iter().for_each(|why| self.failing(at, why)),
                    None => return,
                },
            }
        }
    }

    /// Says once that a configured peer is not reached, and why.
    fn failing(&self, at: usize, why: String) {
        let mut book = self.shared.book();
        let configured = &mut book.configured[at];
        if configured.failing.as_ref() != Some(&why) {
            tracing::warn!(peer = %configured.address, "exchange: not connected: {why}");
        }
        configured.failing = Some(why);
    }
}
