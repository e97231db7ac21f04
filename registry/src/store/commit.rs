use super::{BlockRow, Commit, Flip};
use crate::Error;
use crate::claims::Claim;
use crate::subjects::subjects;
use muster_identity::cbor::Encode as _;
use muster_ledger::{
    Block, Chain, Changes, Network, OpenProposal, OperationHash, VerifiedOperation,
};
use std::collections::BTreeMap;

impl Commit {
    /// What a block writes. `proposals` are those that it carried out, by the place of the approval;
    /// `known` gives operations that were verified before.
    pub(crate) fn of(
        network: &Network,
        (before, after): (&Chain, &Chain),
        block: &Block,
        changes: &Changes,
        proposals: &BTreeMap<u64, OpenProposal>,
        flips: Vec<Flip>,
        mut known: impl FnMut(OperationHash) -> Option<VerifiedOperation>,
    ) -> Result<Self, Error> {
        let mut touched = Vec::new();
        for (index, signed) in (before.size()..).zip(&block.operations) {
            let verified = match known(signed.hash()) {
                Some(verified) => verified,
                None => signed.verify().map_err(|e| Error::Peer(e.to_string()))?,
            };
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
            keys: Claim::brought_by(changes),
            flips,
            touched,
        })
    }
}
