use crate::limits;
use muster_identity::Audience;
use muster_ledger::{Network, Time, View};

/// What a gateway asks of a presentation.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The name that devices dial. Compared byte by byte.
    pub audience: Audience,
    /// How far a device's clock may be off; more than [`limits::MAX_SKEW_MS`] counts as that.
    pub max_skew_ms: u64,
    /// How old the roll may be by which it decides.
    pub max_roll_age_ms: u64,
    /// Whether a nonce may stand in for a time. The caller then gives each nonce out once and
    /// supplies the one it expects.
    pub nonces: bool,
}

impl Policy {
    /// The usual policy of a service.
    pub fn new(audience: Audience) -> Self {
        Self {
            audience,
            max_skew_ms: limits::MAX_SKEW_MS,
            max_roll_age_ms: limits::MAX_ROLL_AGE_MS,
            nonces: false,
        }
    }

    pub(crate) fn skew(&self) -> u64 {
        self.max_skew_ms.min(limits::MAX_SKEW_MS)
    }
}

/// What the caller knows of the ledger: a state whose root a quorum's checkpoint confirmed.
#[derive(Debug)]
pub struct RollView<'a, V> {
    /// The network.
    pub network: Network,
    /// The state.
    pub state: &'a V,
    /// Time of the checkpoint. Holds run out against it, never against a local clock.
    pub checkpoint_time: Time,
    /// The greater of now − checkpoint time and the monotonic time since its receipt.
    pub age_ms: u64,
}

impl<V: View> Clone for RollView<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: View> Copy for RollView<'_, V> {}
