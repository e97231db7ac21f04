//! What a node tells of how it decides, and with whom.

use muster_api::{ConsensusRole, ConsensusView, Exposition};

muster_api::metrics! {
    pub(super) table;

    /// 1 for what the node is: solo, validator or access.
    ROLE: Gauge "muster_consensus_role" ["role"] in "0 or 1";
    /// Round of the height that is being decided, 0 while nothing is.
    ROUND: Gauge "muster_consensus_round" [] in "rounds";
    /// Validators of the next block.
    VALIDATORS: Gauge "muster_consensus_validators" [] in "validators";
    /// Of them, those that this node hears of at present, itself included.
    PRESENT: Gauge "muster_consensus_validators_present" [] in "validators";
    /// Validators that must sign.
    QUORUM: Gauge "muster_consensus_quorum" [] in "validators";
    /// Whether a validator's signature is in the newest checkpoint.
    SIGNED: Gauge "muster_consensus_validator_signed" ["validator"] in "0 or 1";
    /// Nodes that it speaks with at present.
    CONNECTED: Gauge "muster_consensus_peers_connected" [] in "nodes";
    /// Blocks that a node lacks, by its address.
    LAG: Gauge "muster_consensus_peer_lag_blocks" ["peer"] in "blocks";
    /// Height that it fetches blocks up to, 0 if it lacks none.
    CATCHING_UP: Gauge "muster_consensus_catching_up_to" [] in "blocks";
    /// Batches that were announced and are not decided.
    UNDER_WAY: Gauge "muster_consensus_batches_under_way" [] in "batches";
    /// Decided batches whose leaves are not here yet.
    MISSING: Gauge "muster_consensus_batches_without_leaves" [] in "batches";
    /// Files of evidence against validators.
    EVIDENCE: Gauge "muster_consensus_evidence" [] in "files";
}

/// A view as text.
pub(crate) fn text(view: &ConsensusView) -> String {
    let mut text = Exposition::default();
    let roles = [ConsensusRole::Solo, ConsensusRole::Validator, ConsensusRole::Access];
    text.many(&ROLE, roles.map(|role| ([role.word().into()], u64::from(role == view.role))));
    text.one(&ROUND, view.round);
    text.one(&VALIDATORS, view.quorum.of);
    text.one(&PRESENT, view.quorum.present);
    text.one(&QUORUM, view.quorum.needed);
    let signed = view.validators.iter().map(|one| ([one.key.clone()], u64::from(one.signed)));
    text.many(&SIGNED, signed);
    text.one(&CONNECTED, view.peers.iter().filter(|peer| peer.connected).count());
    let lags = view.peers.iter().filter_map(|peer| Some(([peer.address.clone()], peer.lag?)));
    text.many(&LAG, lags);
    text.one(&CATCHING_UP, view.catching_up_to.unwrap_or_default());
    text.one(&UNDER_WAY, view.batches.len());
    text.one(&MISSING, view.missing_leaves.len());
    text.one(&EVIDENCE, view.evidence.len());
    text.finish()
}
