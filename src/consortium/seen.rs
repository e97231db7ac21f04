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

    /// Whether this node does its part: a validator that was put back from a backup, and does not
    /// know yet from which height on it votes, cannot be counted on while another one goes.
    pub(crate) fn ready(&self) -> bool {
        let Some(told) = &self.told else { return true };
        let view = told.borrow();
        let begun = !view.network.is_empty();
        begun && (view.role != ConsensusRole::Validator || view.votes_from.is_some())
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

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::{Algorithm, SecretKey, Signer as _};
    use zeroize::Zeroizing;

    #[test]
    fn who_does_not_know_when_it_votes_is_not_ready() {
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new([7; 32]));
        let key = key.expect("a key").public_key();
        assert!(Seen::alone(key).ready());
        let (tell, told) = watch::channel(ConsensusView::default());
        let seen = Seen { key, told: Some(told) };
        assert!(!seen.ready(), "nothing was looked at yet");
        let network = "n".to_owned();
        let role = ConsensusRole::Access;
        tell.send_replace(ConsensusView { network, role, ..ConsensusView::default() });
        assert!(seen.ready(), "nobody counts on its vote");
        tell.send_modify(|view| view.role = ConsensusRole::Validator);
        assert!(!seen.ready());
        tell.send_modify(|view| view.votes_from = Some(9));
        assert!(seen.ready());
    }
}
