//! The BFT engine (Malachite): which proposal the validators decide at each height.
//!
//! The glue gives a [`Host`], which knows the ledger; [`run`] runs the engine until it is told to
//! close. What the host decided is on the disk before it is said; what this validator signed is on
//! the disk before the signature leaves the key.

mod app;
mod codec;
mod context;
mod decisions;
mod evidence;
mod heard;
mod heights;
pub mod limits;
mod parts;
mod proposals;
mod settings;
mod sign_state;
mod signing;
#[cfg(test)]
mod tests;
mod view;

pub use evidence::Evidence;
pub use view::EngineView;

use crate::Error;
use futures_util::future::BoxFuture;
use muster_ledger::{Network, ValidatorSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// What the engine asks the glue.
pub trait Host: Send + Sync + 'static {
    /// The last decided height: the engine works on the next one.
    fn height(&self) -> u64;

    /// Who decides the next height.
    fn validators(&self) -> ValidatorSet;

    /// Something to propose at a height, or `None` if nothing is worth it. The engine does nothing
    /// else meanwhile, so it must be there `within` a short time.
    fn propose(&self, height: u64, within: Duration) -> BoxFuture<'_, Option<Vec<u8>>>;

    /// Whether a proposal may be voted for. `live`: now, so its time must be near; else it was
    /// decided by others already.
    fn check<'a>(&'a self, height: u64, proposal: &'a [u8], live: bool) -> BoxFuture<'a, bool>;

    /// Commits what was decided. It is durable when this returns. After an error the engine ends,
    /// and tells it again when it runs again.
    fn decided(&self, height: u64, proposal: Vec<u8>) -> BoxFuture<'_, Result<(), String>>;

    /// Resolves when a height is worth beginning: there is something to decide, or a peer is known
    /// to have decided it. The engine itself sees votes of others and answers to its own questions.
    fn begin(&self, height: u64) -> BoxFuture<'_, ()>;

    /// A validator signed two things of which it may sign one.
    fn evidence(&self, what: Evidence);
}

/// Where another node's engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// A name or an IP address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// How long the engine waits in each step of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a proposal.
    pub propose: Duration,
    /// For more votes, when votes of a quorum differ.
    pub vote: Duration,
    /// How much longer with every round. Rounds pass only where a quorum is connected, so this
    /// grows on slow machines and lines, and not while a network is parted.
    pub longer: Duration,
    /// Never longer than this: a full proposal passes in it at 2 Mbit/s.
    pub longest: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            propose: Duration::from_secs(1),
            vote: Duration::from_millis(400),
            longer: Duration::from_millis(300),
            longest: Duration::from_secs(10),
        }
    }
}

/// How an engine is set up.
pub struct EngineConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The engines of the other nodes.
    pub peers: Vec<Peer>,
    /// The secret of the node's own key, Ed25519, by which libp2p knows it. Not the validator key.
    pub node_key: Zeroizing<[u8; 32]>,
    /// The validator key. A node without one follows.
    pub signer: Option<Arc<dyn muster_identity::Signer>>,
    /// The first height that this validator may sign: for one that was restored from a backup and
    /// does not know what it signed. 0 for one that knows.
    pub votes_from: u64,
    /// A folder of the engine's own, in no backup.
    pub dir: PathBuf,
    /// The network, which every signed text names.
    pub network: Network,
    /// How long it waits.
    pub timeouts: Timeouts,
}

/// Why the engine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Told,
    /// It failed in a way that running it again mends: the memory of what was signed makes that safe.
    Failed(String),
}

/// Runs the engine until `closing` says so (or its sender is gone). What it does is told in `view`.
pub async fn run(
    config: EngineConfig,
    host: Arc<dyn Host>,
    view: watch::Sender<EngineView>,
    closing: watch::Receiver<bool>,
) -> Result<Ended, Error> {
    app::run(config, host, view, closing).await
}

/// Reads every kind of message that a peer may send, for fuzzing; the number says which. Returns
/// whether it was accepted, and panics if it then has a second encoding.
pub fn reads(kind: u8, bytes: &[u8]) -> bool {
    codec::reads(kind, bytes)
}
