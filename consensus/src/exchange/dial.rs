//! Dials the configured peers, for ever.

use super::PeerAddress;
use crate::limits;
use libp2p::PeerId;
use libp2p::multiaddr::{Multiaddr, Protocol};
use libp2p::swarm::ConnectionId;
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

enum Phase {
    Rests(Instant),
    Looks,
    Dials(ConnectionId),
    Up(PeerId),
}

struct Target {
    address: PeerAddress,
    phase: Phase,
    pause: Duration,
    /// Addresses of its name that were not tried yet.
    found: VecDeque<IpAddr>,
    /// Who answered there last.
    known: Option<PeerId>,
}

/// What a name stands for.
pub(super) type Found = (usize, Result<Vec<IpAddr>, String>);

pub(super) struct Dialler {
    targets: Vec<Target>,
    pub(super) lookups: JoinSet<Found>,
}

impl Dialler {
    pub(super) fn new(peers: Vec<PeerAddress>, now: Instant) -> Self {
        let target = |address| Target {
            address,
            phase: Phase::Rests(now),
            pause: limits::REDIAL_FIRST,
            found: VecDeque::new(),
            known: None,
        };
        Self { targets: peers.into_iter().map(target).collect(), lookups: JoinSet::new() }
    }

    /// When the next one is to be dialled.
    pub(super) fn due(&self) -> Option<Instant> {
        let rests = |target: &Target| match target.phase {
            Phase::Rests(until) => Some(until),
            _ => None,
        };
        self.targets.iter().filter_map(rests).min()
    }

    /// Looks up the names of those whose pause is over.
    pub(super) fn wake(&mut self, now: Instant, connected: impl Fn(&PeerId) -> bool) {
        for (at, target) in self.targets.iter_mut().enumerate() {
            if !matches!(target.phase, Phase::Rests(until) if until <= now) {
                continue;
            }
            if let Some(id) = target.address.id.or(target.known).filter(&connected) {
                target.phase = Phase::Up(id);
                continue;
            }
            target.phase = Phase::Looks;
            let (host, port) = (target.address.host.clone(), target.address.port);
            self.lookups.spawn(async move { (at, look_up(&host, port).await) });
        }
    }

    /// A name was looked up.
    pub(super) fn found(&mut self, at: usize, addresses: Vec<IpAddr>) {
        self.targets[at].found = addresses.into();
    }

    /// The next address to dial, or `None` and a pause when all failed.
    pub(super) fn next(&mut self, at: usize, now: Instant) -> Option<DialOpts> {
        let target = &mut self.targets[at];
        let Some(ip) = target.found.pop_front() else {
            target.rest(now);
            return None;
        };
        let address = Multiaddr::from(ip).with(Protocol::Tcp(target.address.port));
        let opts = match target.address.id {
            Some(id) => DialOpts::peer_id(id)
                .condition(PeerCondition::Always)
                .addresses(vec![address])
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id().address(address).allocate_new_port().build(),
        };
        target.phase = Phase::Dials(opts.connection_id());
        Some(opts)
    }

    fn dialling(&self, connection: ConnectionId) -> Option<usize> {
        let dials = |target: &Target| matches!(target.phase, Phase::Dials(id) if id == connection);
        self.targets.iter().position(dials)
    }

    /// A connection failed: of which target, and what whoever runs the node reads about it.
    pub(super) fn failed(
        &mut self,
        connection: ConnectionId,
        error: &DialError,
    ) -> Option<(usize, Option<String>)> {
        let at = self.dialling(connection)?;
        let why = match error {
            // An address where this node listens is not even dialled, so none is left.
            DialError::LocalPeerId { .. } | DialError::NoAddresses => {
                "it is this node itself".to_owned()
            }
            DialError::WrongPeerId { obtained, .. } => {
                format!("another node answers there: {obtained}")
            }
            DialError::Transport(errors) => match errors.last() {
                Some((_, error)) => error.to_string(),
                None => "nothing answers".to_owned(),
            },
            // This node refuses it, and said why when it began to.
            DialError::Denied { .. } => return Some((at, None)),
            other => other.to_string(),
        };
        Some((at, Some(why)))
    }

    /// Which targets a connected peer is.
    pub(super) fn reaching(&self, peer: PeerId) -> Vec<usize> {
        let up = |target: &Target| matches!(target.phase, Phase::Up(id) if id == peer);
        (0..self.targets.len()).filter(|at| up(&self.targets[*at])).collect()
    }

    /// A connection was made.
    pub(super) fn connected(&mut self, connection: ConnectionId, peer: PeerId) {
        if let Some(at) = self.dialling(connection) {
            let target = &mut self.targets[at];
            target.phase = Phase::Up(peer);
            target.known = Some(peer);
            target.found.clear();
        }
    }

    /// A peer speaks the protocol: which targets that is.
    pub(super) fn joined(&mut self, peer: PeerId) -> Vec<usize> {
        let mut found = Vec::new();
        for (at, target) in self.targets.iter_mut().enumerate() {
            let resting = matches!(target.phase, Phase::Rests(_))
                && target.address.id.or(target.known) == Some(peer);
            if resting || matches!(target.phase, Phase::Up(id) if id == peer) {
                target.phase = Phase::Up(peer);
                target.pause = limits::REDIAL_FIRST;
                found.push(at);
            }
        }
        found
    }

    /// A peer has no connection left: which targets that was.
    pub(super) fn left(&mut self, peer: PeerId, now: Instant) -> Vec<usize> {
        let lost = self.reaching(peer);
        for at in &lost {
            self.targets[*at].rest(now);
        }
        lost
    }
}

impl Target {
    fn rest(&mut self, now: Instant) {
        self.phase = Phase::Rests(now + self.pause);
        self.pause = (self.pause * 2).min(limits::REDIAL_LAST);
    }
}

/// Asks the system's resolver, as every other program of the machine does; each time anew.
async fn look_up(host: &str, port: u16) -> Result<Vec<IpAddr>, String> {
    let wrong = |error: io::Error| format!("the name cannot be looked up: {error}");
    let looked = timeout(limits::ANSWER_WITHIN, tokio::net::lookup_host((host, port))).await;
    let found = looked.map_err(|_| "the name cannot be looked up in time".to_owned())?;
    let mut addresses: Vec<_> = found.map_err(wrong)?.map(|address| address.ip()).collect();
    addresses.dedup();
    addresses.truncate(limits::ADDRESSES_OF_A_NAME);
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_ten_seconds_and_start_anew_with_a_peer_that_joined() {
        let (mut now, peer) = (Instant::now(), PeerId::random());
        let mut dialler = Dialler::new(vec!["127.0.0.1:9".parse().unwrap()], now);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            dialler.found(0, vec!["127.0.0.1".parse().unwrap()]);
            let connection = dialler.next(0, now).expect("an address").connection_id();
            let refused = DialError::Transport(Vec::new());
            assert!(dialler.failed(connection, &refused).is_some());
            assert!(dialler.next(0, now).is_none());
            let due = dialler.due().unwrap();
            pauses.push((due - now).as_millis());
            now = due;
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);

        dialler.found(0, vec!["127.0.0.1".parse().unwrap()]);
        let connection = dialler.next(0, now).expect("an address").connection_id();
        dialler.connected(connection, peer);
        assert_eq!(dialler.due(), None);
        assert_eq!(dialler.joined(peer), [0]);
        assert_eq!(dialler.left(peer, now), [0]);
        assert_eq!(dialler.due(), Some(now + limits::REDIAL_FIRST));
    }
}
