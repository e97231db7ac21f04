//! Ports of a demonstration: a node that comes back must be where the others dial it.

use crate::host::random;
use anyhow::{Result, ensure};
use std::net::TcpListener;

/// Ports that one member may take: node, gateway, exchange, engine.
const OF_ONE: u16 = 10;

/// First and last port that is tried: below those that systems give to outgoing connections
/// (32768 on Linux), which could take the place of a node that is away.
const TRIED: [u16; 2] = [20_000, 32_000];

/// Bases that are tried before it is given up.
const TRIALS: usize = 64;

/// The ports of one member; the engine's is the one behind the exchange's.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) node: u16,
    pub(crate) gateway: u16,
    pub(crate) exchange: u16,
}

impl Ports {
    fn at(base: u16) -> Self {
        Self { node: base, gateway: base + 1, exchange: base + 5 }
    }

    fn are_free(&self) -> bool {
        let all = [self.node, self.gateway, self.exchange, self.exchange + 1];
        all.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
    }

    /// For so many members from a port on, or anywhere if it is 0.
    pub(crate) fn choose(first: u16, members: u16) -> Result<Vec<Self>> {
        let of = |base: u16| -> Vec<Self> {
            (0..members).map(|i| Self::at(base.saturating_add(i * OF_ONE))).collect()
        };
        let span = members * OF_ONE;
        if first > 0 {
            ensure!(first < u16::MAX - span, "--port leaves no room for {span} ports");
            let ports = of(first);
            ensure!(
                ports.iter().all(Ports::are_free),
                "a port between {first} and {} is taken: say --port 0 for free ones",
                first + span
            );
            return Ok(ports);
        }
        for _ in 0..TRIALS {
            let room = TRIED[1] - TRIED[0] - span;
            let ports = of(TRIED[0] + u16::from_le_bytes(random()) % room);
            if ports.iter().all(Ports::are_free) {
                return Ok(ports);
            }
        }
        anyhow::bail!("no free ports were found: name the first of {span} with --port")
    }
}
