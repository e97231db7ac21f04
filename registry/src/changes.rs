//! A log line for each change of the ledger: who did it, by which key, to what, and where it stands.
//! All of it is public, as the ledger is.

use muster_ledger::{Action, Network, Target, VerifiedOperation};

/// Tells of an operation that is on the ledger for good.
pub(crate) fn told(network: &Network, verified: &VerifiedOperation, entry: u64) {
    let operation = verified.operation();
    let (author, key) = (operation.author, verified.key().to_multikey());
    let (action, target) = (operation.action.word(), target(network, &operation.action));
    let target = target.unwrap_or_else(|| author.to_string());
    if let Action::Rotate(_) = operation.action {
        // A device's own doing, and as frequent as devices are many.
        tracing::debug!(%author, key, action, target, entry, "the ledger changed");
    } else {
        tracing::info!(%author, key, action, target, entry, "the ledger changed");
    }
}

/// What it is about, if it is not the author itself.
fn target(network: &Network, action: &Action) -> Option<String> {
    match action {
        Action::Enrol(enrol) => Some(enrol.batch(network).to_string()),
        Action::Grant(grant) => Some(grant.organisation.to_string()),
        Action::WithdrawGrant(withdrawn) => Some(withdrawn.grant.to_string()),
        action => action.target().map(|target| match target {
            Target::Device(device) => device.did.to_string(),
            Target::Batch(batch) => batch.to_string(),
        }),
    }
}
