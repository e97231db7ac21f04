use crate::merkle::{Frontier, leaf_hash};
use crate::snapshot;
use crate::{
    Block, Changes, Checkpoint, Context, Entry, Error, Genesis, Head, Network, NextProtocol,
    NoteFault, OpenProposal, QuorumCheckpoint, Refusal, SignedOperation, State, Time, UpgradeAhead,
    ValidatorSet, VerifiedOperation, View, apply, carried_out, limits, operation,
};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use muster_identity::cbor::{Decode as _, Encode};

/// The ledger at one moment: what every node, follower and audit recomputes, by this code.
/// A clone costs next to nothing and stays as it was.
#[derive(Debug, Clone)]
pub struct Chain {
    network: Network,
    state: State,
    log: Frontier,
    height: u64,
    time: Time,
    /// The last entry, which states height and time: a snapshot shows them by it.
    last: Option<Arc<[u8]>>,
}

/// Why a chain cannot be extended or does not match a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// The block does not follow the last one.
    #[error("block {height}: {why}")]
    Block {
        /// Its height.
        height: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// An operation that no node may accept.
    #[error("block {height}, operation {index}: {error}")]
    Operation {
        /// Height of the block.
        height: u64,
        /// Place in the log.
        index: u64,
        /// What is wrong with its bytes.
        error: Error,
    },
    /// An operation that the state refuses: a block with one is invalid.
    #[error("block {height}, operation {index}: {refusal}")]
    Refused {
        /// Height of the block.
        height: u64,
        /// Place in the log.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The checkpoint is not one of the quorum's.
    #[error(transparent)]
    Checkpoint(#[from] NoteFault),
    /// The checkpoint states another ledger than the operations give.
    #[error("the checkpoint's {0} is not the one that the operations give")]
    Mismatch(&'static str),
}

impl Chain {
    /// The ledger before its first operation.
    pub fn new(genesis: &Genesis) -> Self {
        Self {
            network: genesis.network(),
            state: genesis.state(),
            log: Frontier::default(),
            height: 0,
            time: genesis.time,
            last: None,
        }
    }

    /// The network.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Number of log entries.
    pub fn size(&self) -> u64 {
        self.log.size()
    }

    /// The log, as far as appending needs it.
    pub fn log(&self) -> &Frontier {
        &self.log
    }

    /// Height of the last block.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Time of the last block.
    pub fn time(&self) -> Time {
        self.time
    }

    /// The protocol version that is announced and not known to this program, if there is one.
    pub fn upgrade_ahead(&self) -> Result<Option<UpgradeAhead>, Refusal> {
        let record = self.state.protocol()?;
        let confirmed = record.confirm_from.is_none();
        let next = record.next.filter(|next| next.version > operation::PROTOCOL);
        let due = |next: NextProtocol| confirmed && next.height <= self.height + 1;
        Ok(next.map(|next| UpgradeAhead { next, confirmed, due: due(next) }))
    }

    /// The head, to be signed at a time (never before the last block's).
    pub fn head(&self, time: Time) -> Result<Head, Refusal> {
        Ok(Head {
            network: self.network,
            size: self.log.size(),
            log_root: self.log.root(),
            height: self.height,
            time: time.max(self.time),
            state_root: self.state.root(),
            validators: self.state.validators()?.hash(),
        })
    }

    /// What an operation would do if it came next.
    pub fn try_apply(&self, operation: &VerifiedOperation, time: Time) -> Result<Changes, Refusal> {
        let (network, index, height) = (self.network, self.size(), self.height + 1);
        let at = Context { network, index, height, time };
        apply(&self.state, operation, &at)
    }

    /// The ledger after one more operation of the block under construction.
    pub fn push(&self, entry: &[u8], changes: &Changes) -> Self {
        let mut next = self.clone();
        next.log.push(leaf_hash(entry));
        next.last = Some(entry.into());
        next.state = self.state.with(changes);
        next
    }

    /// The ledger under a checkpoint in one piece, for whoever does not want to follow every
    /// operation ([`Snapshot`]). None of the empty ledger: its genesis is all of it.
    ///
    /// [`Snapshot`]: crate::Snapshot
    pub fn snapshot(&self, checkpoint: &QuorumCheckpoint) -> Result<Option<Vec<u8>>, ChainFault> {
        self.compare(checkpoint.head()).map_err(ChainFault::Mismatch)?;
        let Some(last) = &self.last else { return Ok(None) };
        snapshot::write(&self.state, &self.log, last, checkpoint)
            .map(Some)
            .map_err(|_| ChainFault::Mismatch("state"))
    }

    /// The ledger that a snapshot shows, before its head is compared.
    pub(crate) fn resume(
        network: Network,
        state: State,
        log: Frontier,
        last: &[u8],
    ) -> Result<Self, muster_identity::Error> {
        let entry = Entry::from_cbor(last)?;
        let (height, time) = (entry.height, entry.time);
        Ok(Self { network, state, log, height, time, last: Some(last.into()) })
    }

    /// The ledger after a block, and the records it changed. Checks everything that needs no
    /// leaves and no clock.
    pub fn extend(&self, block: &Block) -> Result<(Self, Changes), ChainFault> {
        self.extend_telling(block).map(|(chain, changes, _)| (chain, changes))
    }

    /// As [`Self::extend`], with the proposals that were carried out, by the places of the
    /// approvals that did it.
    pub fn extend_telling(
        &self,
        block: &Block,
    ) -> Result<(Self, Changes, BTreeMap<u64, OpenProposal>), ChainFault> {
        self.extend_by(block, SignedOperation::verify)
    }

    /// As [`Self::extend_telling`], with the block's operations as they were verified before, in
    /// their order: nothing is verified twice. They must be of the very same bytes.
    pub fn extend_verified(
        &self,
        block: &Block,
        verified: &[VerifiedOperation],
    ) -> Result<(Self, Changes, BTreeMap<u64, OpenProposal>), ChainFault> {
        let mut verified = verified.iter();
        self.extend_by(block, |signed| {
            let next = verified.next().filter(|next| next.hash() == signed.hash());
            next.cloned().ok_or(Error::Bound("another operation than the one that was verified"))
        })
    }

    /// As [`Self::extend`], for blocks that this program extended a chain by before, and kept. It
    /// verifies no signature again, which is what takes the time: in the end the caller compares
    /// the log's root with the checkpoint it kept. If they are equal, then the bytes are those whose
    /// signatures were verified; if not, it throws everything away.
    pub fn replay(&self, block: &Block) -> Result<Self, ChainFault> {
        self.extend_by(block, SignedOperation::verified_before).map(|(chain, ..)| chain)
    }

    fn extend_by(
        &self,
        block: &Block,
        mut read: impl FnMut(&SignedOperation) -> Result<VerifiedOperation, Error>,
    ) -> Result<(Self, Changes, BTreeMap<u64, OpenProposal>), ChainFault> {
        let height = block.height;
        let fault = |why| Err(ChainFault::Block { height, why });
        if height != self.height + 1 {
            return fault("it does not follow the last block");
        }
        if block.time <= self.time {
            return fault("its time is not after the last block's");
        }
        if block.operations.is_empty() || block.operations.len() > limits::BLOCK_OPERATIONS {
            return fault("a block has 1 to 1,024 operations");
        }
        if block.to_cbor().len() > limits::BLOCK_BYTES {
            return fault("a block has at most 1,048,576 bytes");
        }
        let mut next = self.clone();
        let (mut all, mut proposals) = (Changes::default(), BTreeMap::new());
        for entry in block.entries() {
            let index = next.size();
            let operation = read(&entry.operation).map_err(|error| ChainFault::Operation {
                height,
                index,
                error,
            })?;
            let refused = |refusal| ChainFault::Refused { height, index, refusal };
            let changes = next.try_apply(&operation, block.time).map_err(refused)?;
            let carried_out = carried_out(&next.state, operation.operation(), &changes);
            proposals.extend(carried_out.map_err(refused)?.map(|proposal| (index, proposal)));
            next = next.push(&entry.to_cbor(), &changes);
            all.extend(changes);
        }
        next.height = height;
        next.time = block.time;
        Ok((next, all, proposals))
    }

    /// Checks a checkpoint against what the operations gave: signatures by a quorum of the
    /// present validators, and every root. A head whose last block changed the validators is
    /// signed by the new ones: the operation's own signature names them, and the old ones may be
    /// lost.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<QuorumCheckpoint, ChainFault> {
        let validators =
            self.state.validators().map_err(|_| ChainFault::Mismatch("validator set"))?;
        let quorum = checkpoint.verify(&self.network, &validators)?;
        self.compare(quorum.head()).map_err(ChainFault::Mismatch)?;
        Ok(quorum)
    }

    /// Checks the head of a block that changed the validators by the signatures of those before it,
    /// who decided the block: the new ones sign it only once they have it.
    pub fn check_handover(
        &self,
        before: &ValidatorSet,
        checkpoint: &Checkpoint,
    ) -> Result<(), ChainFault> {
        let quorum = checkpoint.verify(&self.network, before)?;
        self.compare(quorum.head()).map_err(ChainFault::Mismatch)
    }

    /// Compares what a head states with what is here; names what is not the same.
    pub(crate) fn compare(&self, stated: &Head) -> Result<(), &'static str> {
        let ours = self.head(stated.time).map_err(|_| "state")?;
        let same = [
            (stated.size == ours.size, "size"),
            (stated.log_root == ours.log_root, "log root"),
            (stated.height == ours.height, "height"),
            (stated.state_root == ours.state_root, "state root"),
            (stated.validators == ours.validators, "next validator set"),
            (stated.time == ours.time, "time"),
        ];
        match same.into_iter().find(|(same, _)| !same) {
            Some((_, what)) => Err(what),
            None => Ok(()),
        }
    }
}
