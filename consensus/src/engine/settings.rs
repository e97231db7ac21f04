//! Malachite's settings.

use super::context::{Ctx, Height, ValidatorSet};
use super::{EngineConfig, Peer, Timeouts, limits};
use crate::Error;
use malachite::app::config::{
    ChannelNames, ConsensusConfig, NodeConfig, P2pConfig, ProtocolNames, ValueSyncConfig,
};
use malachite::app::net::Multiaddr;
use malachite::app::types::core::{HeightParams, LinearTimeouts};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What Malachite is started with.
pub(crate) struct Settings {
    consensus: ConsensusConfig,
    sync: ValueSyncConfig,
}

impl Settings {
    pub(crate) fn of(config: &EngineConfig) -> Result<Self, Error> {
        // The network's name in every protocol's: nodes of two networks do not hear each other.
        let network: String = config.network.to_string().chars().take(16).collect();
        let name = |what: &str| format!("/muster/{network}/{what}/1");
        let mut p2p = P2pConfig {
            listen_addr: socket(config.listen)?,
            persistent_peers: config.peers.iter().map(peer).collect::<Result<_, _>>()?,
            protocol_names: ProtocolNames {
                consensus: name("bft"),
                discovery_kad: name("kad"),
                discovery_regres: name("discovery"),
                sync: name("sync"),
                validator_proof: name("validator-proof"),
            },
            channel_names: ChannelNames {
                consensus: name("consensus"),
                proposal_parts: name("parts"),
                sync: name("status"),
                liveness: name("liveness"),
            },
            ..P2pConfig::default()
        };
        p2p.discovery.max_connections_per_ip = limits::CONNECTIONS_PER_ADDRESS;
        // A peer that is away is dialled every other second. The pauses of a longer series of
        // retries grow, and a healed network would wait for the end of one.
        p2p.discovery.dial_max_retries = 1;
        // A node that restarts comes back at once.
        p2p.discovery.ip_throttle_duration = Duration::ZERO;
        Ok(Self {
            consensus: ConsensusConfig { p2p, ..ConsensusConfig::default() },
            sync: ValueSyncConfig {
                status_update_interval: Duration::from_secs(1),
                batch_size: SYNC_BATCH,
                ..ValueSyncConfig::default()
            },
        })
    }
}

/// Heights asked for at once. An answer is cut by bytes, see `limits::ANSWER_BYTES`.
const SYNC_BATCH: usize = limits::ANSWER_HEIGHTS;

impl NodeConfig for Settings {
    fn moniker(&self) -> &str {
        "muster"
    }

    fn consensus(&self) -> &ConsensusConfig {
        &self.consensus
    }

    fn consensus_mut(&mut self) -> &mut ConsensusConfig {
        &mut self.consensus
    }

    fn value_sync(&self) -> &ValueSyncConfig {
        &self.sync
    }

    fn value_sync_mut(&mut self) -> &mut ValueSyncConfig {
        &mut self.sync
    }
}

/// Height, validators and timeouts of the next height.
pub(crate) fn next_height(
    host: &dyn super::Host,
    timeouts: &Timeouts,
) -> (Height, HeightParams<Ctx>) {
    let timeouts = LinearTimeouts {
        propose: timeouts.propose,
        propose_delta: timeouts.longer,
        prevote: timeouts.vote,
        prevote_delta: timeouts.longer,
        precommit: timeouts.vote,
        precommit_delta: timeouts.longer,
        rebroadcast: timeouts.propose,
        max_timeout: timeouts.longest,
    };
    let validators = ValidatorSet::of(&host.validators());
    (Height(host.height() + 1), HeightParams::new(validators, timeouts, None))
}

fn socket(address: SocketAddr) -> Result<Multiaddr, Error> {
    peer(&Peer { host: address.ip().to_string(), port: address.port() })
}

fn peer(peer: &Peer) -> Result<Multiaddr, Error> {
    let kind = match peer.host.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => "ip4",
        Ok(IpAddr::V6(_)) => "ip6",
        Err(_) => "dns",
    };
    format!("/{kind}/{}/tcp/{}", peer.host, peer.port)
        .parse()
        .map_err(|_| Error::Caller(format!("{}:{} is not a host and a port", peer.host, peer.port)))
}
