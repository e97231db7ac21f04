use super::{BlockRow, Commit, Flip};
use crate::Error;
use crate::claims::Claim;
use crate::deciding::Step;
use crate::subjects::subjects;
use muster_identity::cbor::Encode as _;
use muster_ledger::Network;

impl Commit {
    /// What a block writes. `flips`: uploads that it makes batches; `evict`: rows of uploads whose
    /// keys it brings.
    pub(crate) fn of(
        network: &Network,
        step: &Step,
        flips: Vec<Flip>,
        evict: Vec<(u64, Claim)>,
    ) -> Result<Self, Error> {
        let Step { before, block, verified, after, changes, proposals } = step;
        let mut touched = Vec::new();
        for (index, verified) in (before.size()..).zip(verified) {
            let operation = verified.operation();
            let concerned =
                subjects(network, operation, proposals.get(&index), verified.proposal());
            touched.extend(concerned.into_iter().map(|subject| (subject, index)));
        }
        let head = after.head(after.time()).map_err(Error::damaged)?;
        Ok(Self {
            first: before.size(),
            entries: block.entries().map(|entry| entry.to_cbor()).collect(),
            block: BlockRow {
                height: head.height,
                time: head.time,
                size: head.size,
                log_root: head.log_root,
                state_root: head.state_root,
            },
            state: changes.0.iter().map(|(key, v)| (key.to_bytes(), v.clone())).collect(),
            evict,
            keys: Claim::brought_by(changes),
            flips,
            touched,
        })
    }
}
