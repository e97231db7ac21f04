use crate::{Claim, Evidence, Policy, Recall, Rejected, ReplayMemory, RollView, Verified};
use muster_ledger::{Time, View};

/// One question: who is this, and may it pass?
#[derive(Debug)]
pub struct Inquiry<'a, V> {
    /// The presentation as it came.
    pub presentation: &'a str,
    /// The id of the request, if it comes from a proxy that is trusted to set it.
    pub request_id: Option<&'a str>,
    /// When the nonce that it brings was given out, if it brings one of ours.
    pub nonce_given: Option<Time>,
    /// What is asked for, if that is known.
    pub path: Option<&'a str>,
    /// The time.
    pub now: Time,
    /// What is asked of it.
    pub policy: &'a Policy,
    /// What is known of the ledger.
    pub roll: RollView<'a, V>,
    /// What shows its enrolment.
    pub evidence: Evidence<'a>,
}

/// Answers it. Cheap checks come first (shape, audience, time, key), then the signature, then
/// roll age and standing, and last whether it was used before.
pub fn verify<V: View>(
    inquiry: &Inquiry<'_, V>,
    memory: &mut ReplayMemory,
) -> Result<Verified, Rejected> {
    let Inquiry { presentation, request_id, nonce_given, path, now, policy, roll, evidence } =
        *inquiry;
    let claim = Claim::read(presentation, policy)?;
    let fresh = match memory.recall(claim, request_id, now) {
        Recall::New(claim) => claim.fresh(policy, now, nonce_given)?,
        Recall::Again(fresh) => fresh,
        Recall::Refused(rejected) => return Err(rejected),
    };
    memory.admit(fresh.authenticate(policy, roll, evidence, path)?, request_id, now)
}
