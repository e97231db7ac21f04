//! Who is connected and what waits for them: shared between the handles and the task of the swarm.
//! Nobody holds the lock over an await.

use super::budget::Budget;
use super::lane::{Lane, Said};
use super::{ConfiguredPeer, PeerState};
use crate::{Error, limits};
use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

/// A connected peer.
pub(super) struct Peer {
    pub(super) state: PeerState,
    /// Whether it has spoken the protocol of this network, and keeps up with what it is told.
    pub(super) joined: bool,
    /// Whether its coming was told.
    pub(super) announced: bool,
    pub(super) urgent: Lane,
    pub(super) operations: Lane,
    pub(super) budget: Budget,
    /// When it last asked, told or answered anything.
    heard: Instant,
    /// Turns of this node to ask it.
    pub(super) turns: Arc<Semaphore>,
    /// One connection of each direction.
    pub(super) dialled: Option<ConnectionId>,
    pub(super) accepted: Option<ConnectionId>,
}

impl Peer {
    pub(super) fn new(id: PeerId, address: String, now: Instant) -> Self {
        Self {
            state: PeerState { id, address, since: now, round_trip: None, status: None },
            joined: false,
            announced: false,
            urgent: Lane::urgent(),
            operations: Lane::operations(),
            budget: Budget::new(now),
            heard: now,
            turns: Arc::new(Semaphore::new(limits::ASKED_AT_ONCE)),
            dialled: None,
            accepted: None,
        }
    }

    /// It said something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Whether nothing was heard of it for as long as an answer may take. One that is only slow goes
    /// on talking; to connect anew would cost both sides more than they have.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= limits::ANSWER_WITHIN
    }

    pub(super) fn lane(&mut self, which: Which) -> &mut Lane {
        match which {
            Which::Urgent => &mut self.urgent,
            Which::Operations => &mut self.operations,
        }
    }
}

/// One of a peer's lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Urgent,
    Operations,
}

impl Which {
    pub(super) const BOTH: [Self; 2] = [Self::Urgent, Self::Operations];
}

/// A question of this node, on its way to a peer.
pub(super) struct Question {
    pub(super) peer: PeerId,
    pub(super) frame: Vec<u8>,
    pub(super) answer: oneshot::Sender<Result<Vec<u8>, Error>>,
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) peers: BTreeMap<PeerId, Peer>,
    pub(super) configured: Vec<ConfiguredPeer>,
    /// Whom to disconnect, why, and whether to refuse them for a while.
    pub(super) unwanted: BTreeMap<PeerId, (String, bool)>,
}

impl Book {
    /// Puts a message on the lanes of the peers that are meant.
    pub(super) fn tell(&mut self, said: &Said, meant: impl Fn(&PeerId) -> bool) {
        let which = if said.is_operation() { Which::Operations } else { Which::Urgent };
        for (id, peer) in self.peers.iter_mut().filter(|(id, peer)| peer.joined && meant(id)) {
            if peer.lane(which).push(said.clone()).is_err() {
                // Whoever is told anything is told everything, or it must ask again.
                peer.urgent = Lane::urgent();
                peer.operations = Lane::operations();
                peer.joined = false;
                let why = "does not read what it is told".to_owned();
                self.unwanted.insert(*id, (why, false));
            }
        }
    }

    /// A peer, if it is connected since then.
    pub(super) fn same(&mut self, id: PeerId, since: Instant) -> Option<&mut Peer> {
        self.peers.get_mut(&id).filter(|peer| peer.state.since == since)
    }

    /// Disconnects a peer that is connected.
    pub(super) fn unwanted(&mut self, peer: PeerId, why: &str, refuse: bool) {
        if self.peers.contains_key(&peer) {
            self.unwanted.insert(peer, (why.to_owned(), refuse));
        }
    }
}
