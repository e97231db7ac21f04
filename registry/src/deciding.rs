//! Blocks that were decided: they are committed, and then shown under a signed head.

use crate::claims::Claim;
use crate::limits::UNSIGNED_BLOCKS;
use crate::mempool::Answer;
use crate::metrics::Metrics;
use crate::node::{Decided, Node, Published, locked, unsigned};
use crate::proposing::KeyHolder;
use crate::reserved::Reserved;
use crate::store::{Commit, Flip};
use crate::{Error, changes};
use muster_api::Problem;
use muster_ledger::merkle::leaf_hash;
use muster_ledger::{
    Action, BatchId, Block, Chain, Changes, Checkpoint, Network, OpenProposal, VerifiedOperation,
    View as _,
};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

/// Who waits for the signature over an operation that is decided.
pub(crate) struct Undelivered {
    answers: Vec<Answer>,
    /// Place in the log and bytes of its entry.
    index: u64,
    entry: Vec<u8>,
}

/// A block, and what it makes of the ledger before it.
pub(crate) struct Step {
    pub(crate) before: Chain,
    pub(crate) block: Block,
    pub(crate) verified: Vec<VerifiedOperation>,
    pub(crate) after: Chain,
    pub(crate) changes: Changes,
    pub(crate) proposals: BTreeMap<u64, OpenProposal>,
}

impl Step {
    /// Extends a ledger. `verified`: the block's operations as far as they were verified before.
    pub(crate) fn new(
        before: Chain,
        block: Block,
        verified: impl IntoIterator<Item = Option<VerifiedOperation>>,
    ) -> Result<Self, Error> {
        let peer = |e: String| Error::Peer(e);
        let verified = block.operations.iter().zip(verified).map(|(signed, known)| match known {
            Some(known) => Ok(known),
            None => signed.verify().map_err(|e| peer(e.to_string())),
        });
        let verified: Vec<_> = verified.collect::<Result<_, _>>()?;
        let extended = before.extend_verified(&block, &verified);
        let (after, changes, proposals) = extended.map_err(|e| peer(e.to_string()))?;
        Ok(Self { before, block, verified, after, changes, proposals })
    }

    /// The batches that it enrols.
    pub(crate) fn batches(&self, network: &Network) -> Vec<BatchId> {
        let enrols =
            self.verified.iter().filter_map(|verified| match &verified.operation().action {
                Action::Enrol(enrol) => Some(enrol.batch(network)),
                _ => None,
            });
        enrols.collect()
    }
}

/// What becomes of staged leaves with a block.
#[derive(Default)]
pub(crate) struct Leaves {
    /// Uploads that become batches.
    pub(crate) flips: Vec<Flip>,
    /// Rows that leave uploads: the block brings their keys.
    pub(crate) evict: Vec<(u64, Claim)>,
    /// Nobody changes those uploads meanwhile.
    pub(crate) held: Vec<Reserved>,
}

impl Node {
    /// What a block makes of the ledger. What waited here was verified when it came.
    pub(crate) async fn extend(&self, before: Chain, block: Block) -> Result<Step, Error> {
        let known: Vec<_> =
            block.operations.iter().map(|signed| self.mempool.get(&signed.hash())).collect();
        let known = known.into_iter().map(|w| w.map(|waiting| waiting.verified.clone()));
        let known: Vec<_> = known.collect();
        tokio::task::spawn_blocking(move || Step::new(before, block, known))
            .await
            .map_err(|e| Error::Us(e.to_string()))?
    }

    /// What a block that was decided makes of the ledger, computed again only if it is not the one
    /// that was checked last.
    async fn step_of(&self, block: Block) -> Result<Step, Error> {
        let before = self.decided();
        let checked = locked(&self.checked).take();
        match checked.filter(|step| step.before.size() == before.size() && step.block == block) {
            Some(step) => Ok(step),
            None => self.extend(before, block).await,
        }
    }

    /// Commits a block that was decided.
    pub(crate) async fn commit_block(&self, block: Block) -> Result<(), Error> {
        let started = tokio::time::Instant::now();
        let hashes: Vec<_> = block.operations.iter().map(|signed| signed.hash()).collect();
        let result = match self.step_of(block).await {
            Ok(step) => self.commit_steps(vec![step]).await,
            Err(error) => Err(error),
        };
        match &result {
            Ok(()) => {
                self.metrics.committed(started.elapsed());
                self.metrics.accepted.fetch_add(hashes.len() as u64, Relaxed);
            }
            Err(error) => {
                Metrics::count(&self.metrics.failed_commits);
                self.metrics.failing.store(true, Relaxed);
                // Together, the others decided it: it is committed when this node can.
                for hash in hashes.iter().filter(|_| self.alone) {
                    self.mempool.refuse(hash, &error.clone().into());
                }
            }
        }
        locked(&self.proposed).clear();
        result
    }

    /// Commits many blocks if they lead to a head that a quorum signed.
    pub(crate) async fn commit_many(
        &self,
        blocks: Vec<Block>,
        checkpoint: &Checkpoint,
    ) -> Result<(), Error> {
        let peer = |e: String| Error::Peer(e);
        let (before, count) = (self.decided(), blocks.len());
        let note = checkpoint.clone();
        let steps = tokio::task::spawn_blocking(move || {
            let (mut chain, mut steps) = (before, Vec::with_capacity(blocks.len()));
            for block in blocks {
                let unknown = std::iter::repeat_n(None, block.operations.len());
                let step = Step::new(chain, block, unknown)?;
                chain = step.after.clone();
                steps.push(step);
            }
            let signed = match chain.check(&note) {
                Ok(_) => true,
                // The new validators sign a head once they have it: here is where they get it.
                Err(fault) => {
                    let last = steps.last().ok_or_else(|| peer(fault.to_string()))?;
                    let before = last.before.state().validators().map_err(Error::damaged)?;
                    let handed = chain.check_handover(&before, &note);
                    handed.map_err(|_| peer(fault.to_string()))?;
                    false
                }
            };
            Ok::<_, Error>((steps, signed))
        });
        let (steps, signed) = steps.await.map_err(|e| Error::Us(e.to_string()))??;
        if !steps.is_empty() {
            self.commit_steps(steps).await?;
            tracing::info!("{count} blocks were taken from peers");
        }
        if !signed {
            return Ok(());
        }
        self.show(checkpoint)
    }

    /// Writes blocks in one transaction; memory follows the disk.
    async fn commit_steps(&self, steps: Vec<Step>) -> Result<(), Error> {
        let brings = |step: &Step| {
            let enrols =
                step.verified.iter().any(|v| matches!(v.operation().action, Action::Enrol(_)));
            enrols || !Claim::brought_by(&step.changes).is_empty()
        };
        // Alone, whatever goes into a block holds on to its upload and keys.
        let turn = match !self.alone && steps.iter().any(brings) {
            true => Some(self.staging.acquire().await.map_err(|e| Error::Us(e.to_string()))?),
            false => None,
        };
        let (mut commits, mut flips) = (Vec::new(), Vec::new());
        let mut all = Changes::default();
        let mut held = Vec::new();
        for step in &steps {
            let leaves = self.leaves_of(step).await?;
            flips.push(leaves.flips.clone());
            commits.push(Commit::of(&self.network, step, leaves.flips, leaves.evict)?);
            held.extend(leaves.held);
            all.0.extend(step.changes.0.clone());
        }
        // Once for all of them: each makes a copy of what it begins with.
        let overview = self.newest().overview.after(&all)?;
        let chain = steps.last().map_or_else(|| self.decided(), |step| step.after.clone());
        let entries: Vec<Vec<Vec<u8>>> = commits.iter().map(|c| c.entries.clone()).collect();
        self.store.commit(commits).await?;
        drop(turn);
        // From here on nothing can fail.
        let many = steps.len() > 1;
        let mut missing = Vec::new();
        for ((step, flips), entries) in steps.into_iter().zip(flips).zip(entries) {
            self.console.decided(step.after.size(), &step.changes, &flips);
            let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
            entries.iter().for_each(|entry| log.push(leaf_hash(entry)));
            drop(log);
            let batches = step.batches(&self.network);
            let here = |id: &BatchId| flips.iter().any(|flip| flip.batch == *id);
            batches.iter().for_each(|id| self.mempool.refuse_rivals(id));
            missing.extend(batches.into_iter().filter(|id| !here(id)));
            let first = step.before.size();
            for ((index, verified), entry) in (first..).zip(&step.verified).zip(entries) {
                let answers = self.mempool.take_decided(&verified.hash());
                if !answers.is_empty() {
                    locked(&self.undelivered).push(Undelivered { answers, index, entry });
                }
                if !many {
                    changes::told(&self.network, verified, step.proposals.get(&index), index);
                }
            }
        }
        // Only the last of several is signed.
        self.remember(Decided { chain, overview });
        self.mempool.changed.notify_one();
        for id in missing {
            self.lost.add(id);
            if let Err(error) = self.bring_back_staged(&id).await {
                tracing::error!("the leaves of batch {id} are here and not in place: {error}");
            }
        }
        self.foreign.tell();
        Ok(())
    }

    /// What is decided now.
    fn remember(&self, newest: Decided) {
        let mut decided = locked(&self.decided);
        decided.push_back(newest);
        let kept = if self.alone { 1 } else { UNSIGNED_BLOCKS };
        while decided.len() > kept {
            decided.pop_front();
        }
    }

    /// Which uploads a block makes batches, and which lose rows.
    async fn leaves_of(&self, step: &Step) -> Result<Leaves, Error> {
        let mut leaves = Leaves::default();
        for batch in step.batches(&self.network) {
            if self.alone {
                leaves.flips.extend(self.mempool.flip(&batch));
            // What is staged may have gone, or be of an operation that never came.
            } else if let Some((flip, held)) = self.sealed_upload(step, &batch).await? {
                leaves.flips.push(flip);
                leaves.held.extend(held);
            }
        }
        if self.alone {
            return Ok(leaves);
        }
        for (claim, holder) in self.holders(Claim::brought_by(&step.changes)).await? {
            match holder {
                KeyHolder::Ledger => {
                    return Err(Error::Peer(
                        "a block was decided that brings a key of the ledger: the validators did \
                         not check it, keep it as evidence"
                            .into(),
                    ));
                }
                KeyHolder::Upload(upload) => {
                    self.warm.forget(upload);
                    self.mempool.leaves_gone(upload, None);
                    leaves.flips.retain(|flip| flip.upload != upload);
                    leaves.evict.push((upload, claim));
                }
            }
        }
        Ok(leaves)
    }

    /// Shows readers a head that a quorum signed.
    pub(crate) fn show(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let head = checkpoint.head();
        let rank = (head.size, head.time);
        let newest = self.published.borrow().clone();
        if newest.is_some_and(|p| {
            let shown = p.checkpoint.head();
            (shown.size, shown.time) >= rank && !self.alone
        }) {
            return Ok(());
        }
        let decided = locked(&self.decided);
        let of = decided.iter().rev().find(|of| of.chain.size() == head.size);
        let Decided { chain, overview } = of
            .or(decided.back().filter(|_| self.alone))
            .cloned()
            .ok_or_else(|| Error::Peer(format!("no block here ends at {} entries", head.size)))?;
        drop(decided);
        let checkpoint = chain.check(checkpoint).map_err(|e| match self.alone {
            true => Error::operator(
                format!("this node's signature does not make a quorum: {e}"),
                "a node that runs alone needs the key of the network's only validator",
            ),
            false => Error::Peer(format!("the checkpoint: {e}")),
        })?;
        self.say_upgrade(&chain);
        let size = checkpoint.head().size;
        let published = Arc::new(Published { chain, overview, checkpoint });
        self.console.publish(&published);
        self.published.send_replace(Some(published.clone()));
        self.metrics.failing.store(false, Relaxed);
        let mut decided = locked(&self.decided);
        while decided.len() > 1 && decided.front().is_some_and(|of| of.chain.size() < size) {
            decided.pop_front();
        }
        drop(decided);
        let mut undelivered = locked(&self.undelivered);
        let (done, rest): (Vec<_>, Vec<_>) =
            undelivered.drain(..).partition(|one| one.index < size);
        *undelivered = rest;
        drop(undelivered);
        for one in done {
            let proof = self.proof(one.index, one.entry, &published.checkpoint);
            let proof = proof.map_err(Problem::from);
            for answer in one.answers {
                let _ = answer.send(proof.clone());
            }
        }
        self.foreign.tell();
        Ok(())
    }

    /// The head cannot be signed: whoever waits for it is told so.
    pub(crate) fn stay_unsigned(&self, error: &Error) {
        self.metrics.failing.store(true, Relaxed);
        tracing::warn!("operations wait for a signature: {error}");
        for one in locked(&self.undelivered).drain(..) {
            for answer in one.answers {
                let _ = answer.send(Err(unsigned()));
            }
        }
    }

    /// Refuses all that waits.
    pub(crate) fn refuse_all(&self, error: &Error) {
        self.metrics.failing.store(true, Relaxed);
        for waiting in self.mempool.all() {
            Metrics::count(&self.metrics.refused);
            self.mempool.refuse(&waiting.verified.hash(), &error.clone().into());
        }
        self.foreign.tell();
    }
}
