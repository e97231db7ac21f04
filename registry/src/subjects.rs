use muster_ledger::{Action, Grant, Network, Operation, Target};
use std::collections::BTreeSet;

/// Whom an operation concerns: its author, and the device, batch, grant or organisation that it
/// changes. A history is the entries that concern one of them.
pub(crate) fn subjects(network: &Network, operation: &Operation) -> BTreeSet<[u8; 32]> {
    let author = *operation.author.digest();
    let mut all = BTreeSet::from([author]);
    match operation.action.target() {
        Some(Target::Device(device)) => {
            all.insert(*device.did.digest());
        }
        Some(Target::Batch(batch)) => {
            all.insert(batch.0);
        }
        None => {}
    }
    match &operation.action {
        Action::Enrol(a) => all.extend([a.batch(network).0, a.grant.0]),
        Action::Grant(a) => {
            all.extend([Grant::id(network, &operation.author, a.seq).0, *a.organisation.digest()]);
        }
        Action::WithdrawGrant(a) => {
            all.insert(a.grant.0);
        }
        _ => {}
    }
    all
}
