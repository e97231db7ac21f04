use crate::{Reporting, limits};
use muster_api::{Host, Reach, TrustedProxies};
use muster_identity::Audience;
use muster_ledger::Genesis;
use muster_verifier::Policy;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What a gateway needs to know.
#[derive(Clone)]
pub struct GatewayConfig {
    /// Where it keeps what it verified. One gateway a folder.
    pub dir: PathBuf,
    /// How the network begins: the root of its trust.
    pub genesis: Genesis,
    /// Nodes to follow, such as `http://127.0.0.1:7700`, in order of preference.
    pub nodes: Vec<String>,
    /// What is asked of presentations: the name that devices dial, how far their clocks may be
    /// off, how old the roll may be, class by class.
    pub policy: Policy,
    /// How long a session lasts that a device asks for; none are opened if it is 0.
    pub session_ms: u64,
    /// Requests in a second from one source; 0: as many as come. A refused one counts as ten.
    pub source_rate: u32,
    /// Devices learned and kept on disk; the one learned first makes room.
    pub learn: u64,
    /// Whether a node may be asked about a device of which nothing is at hand.
    pub look_ups: bool,
    /// Whom the sidecar believes about a request that is passed on: `X-Request-Id`, `X-Real-IP`,
    /// `X-Forwarded-*`, `X-Original-*`. Name only proxies that set them themselves: who can choose
    /// the id can use a presentation twice within 5 s.
    pub trust_proxy: TrustedProxies,
    /// How nodes are reached.
    pub reach: Reach,
    /// A head known from elsewhere; needed after an absence longer than the trust period.
    pub pinned: Option<PinnedHead>,
    /// As whom it acknowledges to the nodes; without it, it tells them nothing.
    pub reporting: Option<Reporting>,
    /// Whether to follow every operation from the genesis on. Otherwise a gateway that has nothing
    /// yet may start from a snapshot that a quorum signed, and takes its word for what led there.
    pub from_genesis: bool,
    /// Wall clock and randomness.
    pub host: Arc<dyn Host>,
}

/// A head of the log that the operator vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinnedHead {
    /// Number of log entries.
    pub size: u64,
    /// Root of the log at that size.
    pub log_root: [u8; 32],
}

impl GatewayConfig {
    /// The usual configuration.
    pub fn new(
        dir: impl Into<PathBuf>,
        genesis: Genesis,
        nodes: Vec<String>,
        audience: Audience,
        host: Arc<dyn Host>,
    ) -> Self {
        Self {
            dir: dir.into(),
            genesis,
            nodes,
            policy: Policy { nonces: true, ..Policy::new(audience) },
            session_ms: 0,
            source_rate: limits::SOURCE_RATE,
            learn: limits::LEARNED,
            look_ups: true,
            trust_proxy: TrustedProxies::default(),
            reach: Reach::default(),
            pinned: None,
            reporting: None,
            from_genesis: false,
            host,
        }
    }
}

impl fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayConfig")
            .field("dir", &self.dir)
            .field("network", &self.genesis.network())
            .field("nodes", &self.nodes)
            .field("audience", &self.policy.audience)
            .finish_non_exhaustive()
    }
}
