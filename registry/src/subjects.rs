use muster_ledger::{Action, Grant, Network, OpenProposal, Operation, ProposalId, Target};
use std::collections::BTreeSet;

/// Whom an operation concerns: its author, and the device, batch, grant, organisation or proposal
/// that it changes. A history is the entries that concern one of them. An approval that carried a
/// proposal out concerns all whom the proposed action does.
pub(crate) fn subjects(
    network: &Network,
    operation: &Operation,
    carried_out: Option<&OpenProposal>,
    proposal: ProposalId,
) -> BTreeSet<[u8; 32]> {
    // What was carried out is the proposer's.
    let author = carried_out.map_or(&operation.author, |proposal| &proposal.organisation);
    let mut all = BTreeSet::from([*operation.author.digest(), *author.digest()]);
    let action = carried_out.map_or(&operation.action, |proposal| &proposal.action);
    match action.target() {
        Some(Target::Device(device)) => {
            all.insert(*device.did.digest());
        }
        Some(Target::Batch(batch)) => {
            all.insert(batch.0);
        }
        None => {}
    }
    match action {
        Action::Enrol(a) => all.extend([a.batch(network).0, a.grant.0]),
        Action::Grant(a) => {
            all.extend([Grant::id(network, author, a.seq).0, *a.organisation.digest()]);
        }
        Action::WithdrawGrant(a) => {
            all.insert(a.grant.0);
        }
        Action::Admit(a) => {
            all.insert(*a.admission.did().digest());
        }
        Action::Expel(a) => {
            all.insert(*a.organisation.digest());
        }
        Action::OfferTransfer(a) => {
            all.insert(*a.to.digest());
        }
        _ => {}
    }
    match &operation.action {
        Action::Propose(_) => {
            all.insert(proposal.0);
        }
        Action::Approve(a) => {
            all.insert(a.proposal.0);
        }
        Action::WithdrawProposal(a) => {
            all.insert(a.proposal.0);
        }
        _ => {}
    }
    all
}
