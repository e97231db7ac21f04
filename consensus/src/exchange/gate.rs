//! Who may connect: bounds of connections, and peers that are refused for what they did.

use crate::limits;
use libp2p::PeerId;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::{Multiaddr, Protocol};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::task::{Context, Poll};
use tokio::time::Instant;

/// Why a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Shut {
    #[error("too many connections")]
    Full,
    #[error("too many connections from this address")]
    Crowd,
    #[error("the peer broke a rule a moment ago")]
    Refused,
}

/// Where a connection comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    Configured,
    Stranger(IpAddr),
}

#[derive(Default)]
pub(super) struct Gate {
    inbound: HashMap<ConnectionId, Origin>,
    /// Addresses of peers that this node dials.
    configured: HashSet<IpAddr>,
    /// Who is refused until when, the oldest first.
    refused: VecDeque<(PeerId, Instant)>,
}

impl Gate {
    /// Peers that this node dials have this address.
    pub(super) fn knows(&mut self, ip: IpAddr) {
        let most = limits::CONFIGURED_PEERS * limits::ADDRESSES_OF_A_NAME;
        if self.configured.len() < most {
            self.configured.insert(ip.to_canonical());
        }
    }

    /// Refuses a peer for a while.
    pub(super) fn refuse(&mut self, peer: PeerId) {
        self.refused.retain(|(refused, _)| *refused != peer);
        if self.refused.len() == limits::REFUSED_PEERS {
            self.refused.pop_front();
        }
        self.refused.push_back((peer, Instant::now() + limits::REFUSED_FOR));
    }

    fn check(&mut self, peer: &PeerId) -> Result<THandler<Self>, ConnectionDenied> {
        let now = Instant::now();
        self.refused.retain(|(_, until)| *until > now);
        if self.refused.iter().any(|(refused, _)| refused == peer) {
            return Err(ConnectionDenied::new(Shut::Refused));
        }
        Ok(dummy::ConnectionHandler)
    }

    fn admit(&mut self, id: ConnectionId, from: &Multiaddr) -> Result<(), Shut> {
        let origin = match ip(from) {
            Some(ip) if self.configured.contains(&ip) => Origin::Configured,
            Some(ip) => Origin::Stranger(network(ip)),
            None => return Err(Shut::Full),
        };
        let alike =
            |like: &dyn Fn(&Origin) -> bool| self.inbound.values().filter(|o| like(o)).count();
        match origin {
            Origin::Configured => {
                let all = alike(&|o| *o == Origin::Configured);
                if all >= limits::CONFIGURED_CONNECTIONS {
                    return Err(Shut::Full);
                }
            }
            Origin::Stranger(ip) => {
                let crowd = alike(&|o| *o == origin);
                if crowd >= limits::STRANGERS_OF_ONE_ADDRESS && !ip.is_loopback() {
                    return Err(Shut::Crowd);
                }
                if alike(&|o| *o != Origin::Configured) >= limits::STRANGERS {
                    return Err(Shut::Full);
                }
            }
        }
        self.inbound.insert(id, origin);
        Ok(())
    }
}

/// The address at the front of a multiaddress.
fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        _ => None,
    }
}

/// What one household gets: an address of IPv4, a /64 of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(ip) if !ip.is_loopback() => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        other => other,
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.admit(id, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(&peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(&peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => {
                self.inbound.remove(&closed.connection_id);
            }
            FromSwarm::ListenFailure(failed) => {
                self.inbound.remove(&failed.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(ip: &str) -> Multiaddr {
        Multiaddr::from(ip.parse::<IpAddr>().unwrap()).with(Protocol::Tcp(1))
    }

    fn admitted(gate: &mut Gate, ip: &str, tries: usize) -> (usize, Option<Shut>) {
        let mut last = None;
        let fine = (0..tries)
            .filter(|_| {
                let id = ConnectionId::new_unchecked(gate.inbound.len());
                gate.admit(id, &from(ip)).map_err(|shut| last = Some(shut)).is_ok()
            })
            .count();
        (fine, last)
    }

    #[test]
    fn strangers_are_few_and_fewer_from_one_address() {
        let mut gate = Gate::default();
        let crowd = Some(Shut::Crowd);
        assert_eq!(admitted(&mut gate, "192.0.2.1", 9), (8, crowd));
        // A household of IPv6 has as many addresses as it likes.
        assert_eq!(admitted(&mut gate, "2001:db8::1", 5), (5, None));
        assert_eq!(admitted(&mut gate, "2001:db8::2", 5), (3, crowd));
        assert_eq!(admitted(&mut gate, "2001:db8:0:1::2", 5), (5, None));
        assert_eq!(admitted(&mut gate, "127.0.0.1", 99), (43, Some(Shut::Full)));
        assert_eq!(admitted(&mut gate, "192.0.2.2", 1), (0, Some(Shut::Full)));
        // However many strangers there are, a peer that this node dials comes in.
        gate.knows("192.0.2.3".parse().unwrap());
        assert_eq!(admitted(&mut gate, "192.0.2.3", 300), (256, Some(Shut::Full)));
    }

    #[test]
    fn who_broke_a_rule_is_refused_for_a_while_and_the_list_is_bounded() {
        let mut gate = Gate::default();
        let bad = PeerId::random();
        assert!(gate.check(&bad).is_ok());
        gate.refuse(bad);
        assert!(gate.check(&bad).is_err());
        assert!(gate.check(&PeerId::random()).is_ok());
        gate.refused[0].1 = Instant::now();
        assert!(gate.check(&bad).is_ok(), "for ever");
        for _ in 0..=limits::REFUSED_PEERS {
            gate.refuse(PeerId::random());
        }
        assert_eq!(gate.refused.len(), limits::REFUSED_PEERS);
    }
}
