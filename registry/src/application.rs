//! What a consensus drives.

use crate::Error;
use crate::consensus::{Application, MayEnrol, Refused, Wanted};
use crate::limits::TOLD_AT_ONCE;
use crate::node::{Node, locked};
use muster_api::BoxFuture;
use muster_identity::Signer;
use muster_ledger::{
    Action, BatchId, Block, Bundle, Chain, Checkpoint, Genesis, Head, QuorumCheckpoint,
    SignedOperation, Time, UpgradeAhead, cosign, limits,
};

impl Application for Node {
    fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn chain(&self) -> Chain {
        self.decided()
    }

    fn published(&self) -> Option<QuorumCheckpoint> {
        self.published.borrow().as_ref().map(|published| published.checkpoint.clone())
    }

    fn entries(&self, from: u64, count: u64) -> BoxFuture<'_, Result<Vec<Vec<u8>>, Error>> {
        self.store.entries(from, count)
    }

    fn signed(&self) -> Option<Head> {
        locked(&self.signed).last().copied()
    }

    fn waiting<'a>(&'a self, may_enrol: MayEnrol<'a>) -> BoxFuture<'a, ()> {
        Box::pin(self.something_waits(may_enrol))
    }

    fn propose<'a>(&'a self, now: Time, may_enrol: MayEnrol<'a>) -> BoxFuture<'a, Option<Block>> {
        Box::pin(async move {
            let (block, keys) = self.pick(now, may_enrol, limits::BLOCK_OPERATIONS).await?;
            *locked(&self.proposed) = keys;
            Some(block)
        })
    }

    fn validate<'a>(&'a self, block: &'a Block, now: Time) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.check_block(block, now))
    }

    fn decide(&self, block: Block) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.commit_block(block))
    }

    fn catch_up<'a>(
        &'a self,
        blocks: Vec<Block>,
        checkpoint: &'a Checkpoint,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.commit_many(blocks, checkpoint))
    }

    fn head(&self, time: Time) -> Result<Head, Error> {
        self.decided().head(time).map_err(Error::damaged)
    }

    fn sign(&self, head: &Head, signer: &dyn Signer) -> Result<Checkpoint, Error> {
        // A fsync of a few hundred bytes: short enough for the one task that waits for it.
        locked(&self.signed).write(head)?;
        cosign(head, signer)
            .map_err(|e| Error::operator(e.to_string(), "make the validator's key available"))
    }

    fn upgrade_ahead(&self) -> Result<Option<UpgradeAhead>, Error> {
        self.decided().upgrade_ahead().map_err(Error::damaged)
    }

    fn publish(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.show(checkpoint)
    }

    fn halted<'a>(&'a self, error: &'a Error) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.refuse_all(error) })
    }

    fn unsigned(&self, error: &Error) {
        self.stay_unsigned(error);
    }

    fn submitted(&self) -> BoxFuture<'_, Vec<SignedOperation>> {
        Box::pin(async move {
            loop {
                let brought = self.mempool.brought.notified();
                let fresh = self.mempool.fresh();
                if !fresh.is_empty() {
                    return fresh;
                }
                brought.await;
            }
        })
    }

    fn told(
        &self,
        operations: Vec<SignedOperation>,
    ) -> BoxFuture<'_, Result<Vec<SignedOperation>, Error>> {
        Box::pin(self.hear(operations))
    }

    fn pending(&self) -> Vec<SignedOperation> {
        let all = self.mempool.all().into_iter().take(TOLD_AT_ONCE);
        all.map(|waiting| waiting.signed.clone()).collect()
    }

    fn peers_at(&self, height: u64) {
        self.peers_are_at(height);
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.wanted_batches()
    }

    fn ready_here(&self) -> Vec<BatchId> {
        self.ready_batches()
    }

    fn wants_changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.foreign.changed())
    }

    fn next_bundle<'a>(&'a self, batch: &'a BatchId) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(self.next_of(batch))
    }

    fn bundle<'a>(
        &'a self,
        batch: &'a BatchId,
        index: u64,
    ) -> BoxFuture<'a, Result<Option<Bundle>, Error>> {
        Box::pin(self.serve_bundle(batch, index))
    }

    fn take_bundles<'a>(
        &'a self,
        batch: &'a BatchId,
        first: u64,
        bundles: Vec<Bundle>,
    ) -> BoxFuture<'a, Result<bool, Refused>> {
        Box::pin(self.take(batch, first, bundles))
    }

    fn promise<'a>(&'a self, batch: &'a BatchId, until: Time) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.make_promise(batch, until))
    }

    fn enrolled_by(&self, block: &Block) -> Result<Vec<BatchId>, Error> {
        let mut batches = Vec::new();
        for signed in &block.operations {
            let waiting = self.mempool.get(&signed.hash());
            if let Some((batch, _)) = waiting.as_ref().and_then(|w| w.enrols(&self.network)) {
                batches.push(batch);
            } else if waiting.is_none() {
                let verified = signed.verify().map_err(|e| Error::Peer(e.to_string()))?;
                if let Action::Enrol(enrol) = &verified.operation().action {
                    batches.push(enrol.batch(&self.network));
                }
            }
        }
        Ok(batches)
    }

    fn lacks_leaves(&self) -> bool {
        self.lost.count() > 0
    }
}
