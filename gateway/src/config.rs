use muster_api::Host;
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
    /// The name that devices dial.
    pub audience: Audience,
    /// How far a device's clock may be off; at most 30 s.
    pub max_skew_ms: u64,
    /// How old the roll may be by which it decides.
    pub max_roll_age_ms: u64,
    /// Whether the sidecar believes `X-Request-Id` of peers on this machine. Say yes only where a
    /// proxy sets it itself: who can choose it can use a presentation twice within 5 s.
    pub trust_request_id: bool,
    /// Whether nodes beyond this machine may be followed by plain HTTP.
    pub without_tls: bool,
    /// A head known from elsewhere; needed after an absence longer than the trust period.
    pub pinned: Option<PinnedHead>,
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
            audience,
            max_skew_ms: muster_verifier::limits::MAX_SKEW_MS,
            max_roll_age_ms: muster_verifier::limits::MAX_ROLL_AGE_MS,
            trust_request_id: false,
            without_tls: false,
            pinned: None,
            from_genesis: false,
            host,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::new(self.audience.clone());
        policy.max_skew_ms = self.max_skew_ms;
        policy.max_roll_age_ms = self.max_roll_age_ms;
        policy
    }
}

impl fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayConfig")
            .field("dir", &self.dir)
            .field("network", &self.genesis.network())
            .field("nodes", &self.nodes)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
