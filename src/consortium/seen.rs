//! What a node says of how it decides.

use muster_api::{ConsensusRole, ConsensusView, NetworkView, Problem, QuorumView, ValidatorView};
use muster_identity::PublicKey;
use muster_ledger::{Checkpoint, View as _};
use muster_registry::Registry;
use tokio::sync::watch;

/// How a node decides: alone, or as the consensus among several tells it.
#[derive(Clone)]
pub(crate) struct Deciding {
    key: PublicKey,
    peer: String,
    told: Option<watch::Receiver<ConsensusView>>,
}

impl Deciding {
    /// Alone, with a key.
    pub(crate) fn alone(key: PublicKey) -> Self {
        Self { key, peer: String::new(), told: None }
    }

    /// Among several: what the consensus tells of rounds, peers, batches and evidence.
    #[cfg_attr(not(feature = "consortium"), allow(dead_code, reason = "it decides alone"))]
    pub(crate) fn among(
        key: PublicKey,
        peer: String,
        told: watch::Receiver<ConsensusView>,
    ) -> Self {
        Self { key, peer, told: Some(told) }
    }

    /// All of it: what the consensus tells, with what the ledger says of heights and validators.
    pub(crate) async fn view(&self, registry: &Registry) -> Result<ConsensusView, Problem> {
        let mut view = match &self.told {
            Some(told) => told.borrow().clone(),
            None => ConsensusView::default(),
        };
        view.network = registry.genesis().network().to_string();
        view.key = self.key.to_multikey();
        view.peer.clone_from(&self.peer);
        match registry.network().await {
            Ok(network) => self.complete(&mut view, registry, &network)?,
            // It has no signed head yet: that is what it says by having no roots.
            Err(problem) if problem.code() == "starting" => {}
            Err(problem) => return Err(problem),
        }
        Ok(view)
    }

    fn complete(
        &self,
        view: &mut ConsensusView,
        registry: &Registry,
        network: &NetworkView,
    ) -> Result<(), Problem> {
        (view.size, view.height) = (network.size, view.height.max(network.height));
        view.log_root.clone_from(&network.log_root);
        view.state_root.clone_from(&network.state_root);
        view.checkpoint_time = network.checkpoint_time;
        let damaged = || {
            Problem::new(500, "damaged", "the ledger does not say who its validators are")
        };
        let validators = registry.chain().state().validators().map_err(|_| damaged())?;
        let head = Checkpoint::parse(&registry.head().to_note()).map_err(|_| damaged())?;
        let signed = head.signers(&validators);
        let told = std::mem::take(&mut view.validators);
        for key in &validators.0 {
            let text = key.to_multikey();
            let known = told.iter().find(|known| known.key == text);
            let owner = network.organisations.iter().find(|o| o.keys.iter().any(|k| k.key == text));
            let is_self = *key == self.key;
            view.validators.push(ValidatorView {
                organisation: owner.map(|o| o.did.clone()).unwrap_or_default(),
                label: owner.map(|o| o.label.clone()).unwrap_or_default(),
                signed: signed.contains(key),
                present: is_self || known.is_some_and(|known| known.present),
                last_seen: known.and_then(|known| known.last_seen).or(is_self.then_some(view.height)),
                key: text,
            });
        }
        view.role = match (&self.told, validators.0.contains(&self.key)) {
            (None, _) => ConsensusRole::Solo,
            (Some(_), true) => ConsensusRole::Validator,
            (Some(_), false) => ConsensusRole::Access,
        };
        view.quorum = QuorumView {
            needed: validators.quorum() as u64,
            present: view.validators.iter().filter(|one| one.present).count() as u64,
            of: validators.0.len() as u64,
        };
        let highest = view.peers.iter().filter_map(|peer| peer.height).max().unwrap_or_default();
        let highest = highest.max(view.height);
        for peer in &mut view.peers {
            peer.lag = peer.height.map(|height| highest - height);
        }
        Ok(())
    }
}
