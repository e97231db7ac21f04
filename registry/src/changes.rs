//! A log line for each change of the ledger: who did it, by which key, to what, and where it stands.
//! All of it is public, as the ledger is.

use muster_ledger::{
    Action, Network, OpenProposal, Operation, ProposalId, Target, VerifiedOperation,
};
use tracing::field::display;

/// Tells of an operation that is on the ledger for good, and of the proposal that it carried out.
pub(crate) fn told(
    network: &Network,
    verified: &VerifiedOperation,
    done: Option<&OpenProposal>,
    entry: u64,
) {
    let operation = verified.operation();
    let (author, key) = (operation.author, verified.key().to_multikey());
    let action = operation.action.word();
    let about = done.map_or(&operation.action, |proposal| &proposal.action);
    let target = target(network, about).unwrap_or_else(|| author.to_string());
    let proposal = proposal(operation, verified.proposal()).map(display);
    // What was proposed or carried out; none if that is the action itself.
    let proposed = match &operation.action {
        Action::Propose(a) => Some(a.action.word()),
        _ => None,
    };
    let carried_out = done.map(|proposal| proposal.action.word());
    if let Action::Rotate(_) = operation.action {
        // A device's own doing, and as frequent as devices are many.
        tracing::debug!(%author, key, action, target, entry, "the ledger changed");
    } else {
        tracing::info!(
            %author, key, action, target, entry, proposal, proposed, carried_out,
            "the ledger changed"
        );
    }
}

/// The proposal that an operation makes, approves or ends.
fn proposal(operation: &Operation, own: ProposalId) -> Option<ProposalId> {
    match &operation.action {
        Action::Propose(_) => Some(own),
        Action::Approve(a) => Some(a.proposal),
        Action::WithdrawProposal(a) => Some(a.proposal),
        _ => None,
    }
}

/// What it is about, if it is not the author itself.
fn target(network: &Network, action: &Action) -> Option<String> {
    match action {
        Action::Enrol(enrol) => Some(enrol.batch(network).to_string()),
        Action::Grant(grant) => Some(grant.organisation.to_string()),
        Action::WithdrawGrant(withdrawn) => Some(withdrawn.grant.to_string()),
        Action::Admit(a) => Some(a.admission.did().to_string()),
        Action::Expel(a) => Some(a.organisation.to_string()),
        Action::Propose(a) => self::target(network, &a.action),
        action => action.target().map(|target| match target {
            Target::Device(device) => device.did.to_string(),
            Target::Batch(batch) => batch.to_string(),
        }),
    }
}
