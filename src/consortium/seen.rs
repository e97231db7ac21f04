//! What a node says of how it decides.

use muster_api::{ConsensusRole, ConsensusView, Problem, QuorumView, ValidatorView};
use muster_identity::PublicKey;
use muster_registry::Registry;
use tokio::sync::watch;

/// How a node decides: alone, or as the consensus among several tells it.
#[derive(Clone)]
pub(crate) struct Seen {
    key: PublicKey,
    told: Option<watch::Receiver<ConsensusView>>,
}

impl Seen {
    /// Alone, with a key.
    pub(crate) fn alone(key: PublicKey) -> Self {
        Self { key, told: None }
    }

    /// Among several: what the consensus tells.
    #[cfg(feature = "consortium")]
    pub(crate) fn among(key: PublicKey, told: watch::Receiver<ConsensusView>) -> Self {
        Self { key, told: Some(told) }
    }

    /// All of it.
    pub(crate) async fn view(&self, registry: &Registry) -> Result<ConsensusView, Problem> {
        let Some(told) = &self.told else { return self.of_one(registry).await };
        let mut view = told.borrow().clone();
        if view.network.is_empty() {
            // It begins: nothing was looked at yet.
            view.network = registry.genesis().network().to_string();
            view.key = self.key.to_multikey();
            view.role = ConsensusRole::Access;
        }
        Ok(view)
    }

    /// A node that decides alone is its own quorum.
    async fn of_one(&self, registry: &Registry) -> Result<ConsensusView, Problem> {
        let network = registry.network().await?;
        let key = self.key.to_multikey();
        let owner = network.organisations.iter().find(|o| o.keys.iter().any(|k| k.key == key));
        let validator = ValidatorView {
            key: key.clone(),
            organisation: owner.map(|o| o.did.clone()).unwrap_or_default(),
            label: owner.map(|o| o.label.clone()).unwrap_or_default(),
            signed: true,
            present: true,
            last_seen: Some(network.height),
        };
        Ok(ConsensusView {
            network: network.network,
            role: ConsensusRole::Solo,
            key,
            height: network.height,
            size: network.size,
            log_root: network.log_root,
            state_root: network.state_root,
            checkpoint_time: network.checkpoint_time,
            quorum: QuorumView { needed: 1, present: 1, of: 1 },
            validators: vec![validator],
            ..ConsensusView::default()
        })
    }
}
