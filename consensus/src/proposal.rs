//! What the validators decide on: the next block, where the ledger stands before it, and the votes
//! that say of each enrolment in it that its leaves are with enough of them.

use crate::limits;
use crate::ready::ReadyProof;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_ledger::Block;

/// CBOR `[block, log root, state root, [ready, ...]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) block: Block,
    /// Root of the log before the block.
    pub(crate) log_root: [u8; 32],
    /// Root of the state before it. A validator that has another stops before it can fork.
    pub(crate) state_root: [u8; 32],
    /// For each enrolment of the block, in order.
    pub(crate) ready: Vec<ReadyProof>,
}

impl Encode for Proposal {
    fn encode(&self, w: &mut Writer) {
        w.array(4).value(&self.block).bytes(&self.log_root).bytes(&self.state_root);
        w.list(&self.ready);
    }
}

impl Decode for Proposal {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        r.tuple(4)?;
        Ok(Self {
            block: r.value()?,
            log_root: r.array_of()?,
            state_root: r.array_of()?,
            ready: r.list(limits::READY_IN_A_BLOCK)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::Signature;
    use muster_ledger::{BatchId, SignedOperation, Time};

    #[test]
    fn a_proposal_has_one_encoding() {
        let ready = ReadyProof {
            batch: BatchId([3; 32]),
            votes: vec![(0, Time(9), Signature([1; 64])), (2, Time(8), Signature([2; 64]))],
        };
        let proposal = Proposal {
            block: Block {
                height: 7,
                time: Time(5),
                operations: vec![SignedOperation(vec![1; 9])],
            },
            log_root: [1; 32],
            state_root: [2; 32],
            ready: vec![ready],
        };
        let bytes = proposal.to_cbor();
        assert_eq!(Proposal::from_cbor(&bytes).unwrap(), proposal);
        for cut in 0..bytes.len() {
            assert!(Proposal::from_cbor(&bytes[..cut]).is_err());
        }
        assert!(Proposal::from_cbor(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}
