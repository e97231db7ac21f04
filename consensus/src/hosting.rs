//! What the engine asks of this node: what to propose, whether to vote, what to commit.

use crate::bft::{Shared, locked};
use crate::engine::{self, Evidence};
use crate::limits;
use crate::proposal::Proposal;
use muster_api::BoxFuture;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::{BatchId, Block, ValidatorSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl engine::Host for Arc<Shared> {
    fn height(&self) -> u64 {
        self.application.chain().height()
    }

    fn validators(&self) -> ValidatorSet {
        Shared::validators(self)
    }

    fn begin(&self, height: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let validators = self.validators();
            let may_enrol = self.may_enrol(&validators);
            // News are looked at at once. Where they come faster than a busy store answers, that look
            // would never end: this one goes on beside it.
            let mut steady = self.application.waiting(&may_enrol);
            // Behind the others, the next height is decided already, and the engine fetches it.
            while self.confirmed() < height {
                tokio::select! {
                    () = &mut steady => return,
                    () = self.application.waiting(&may_enrol) => return,
                    () = self.heard(limits::LOOK) => {}
                }
            }
        })
    }

    fn propose(&self, height: u64, within: Duration) -> BoxFuture<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            // What is proposed late is voted down: some of the time is for its way to the others.
            let until = Instant::now() + within / 4;
            loop {
                if let Some(proposal) = self.proposal(height).await {
                    return Some(proposal.to_cbor());
                }
                let news = self.news.notified();
                tokio::time::timeout_at(until, news).await.ok()?;
            }
        })
    }

    fn check<'a>(&'a self, height: u64, proposal: &'a [u8], live: bool) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            match self.judge(height, proposal, live).await {
                Ok(()) => true,
                Err(why) => {
                    if !live && self.height_now() + 1 == height {
                        self.stop(format!("a quorum goes on where this node cannot: {why}"));
                    }
                    tracing::warn!("a proposal for height {height} is not voted for: {why}");
                    false
                }
            }
        })
    }

    fn decided(&self, height: u64, proposal: Vec<u8>) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let decided = self.commit(height, &proposal).await;
            self.news.notify_waiters();
            decided
        })
    }

    fn evidence(&self, what: Evidence) {
        self.evidences.keep(&what);
    }
}

impl Shared {
    /// Whether enough validators promised a batch for a block of about now.
    fn may_enrol(&self, validators: &ValidatorSet) -> impl Fn(&BatchId) -> bool + Send + Sync {
        move |batch| {
            let time = self.host.now().plus_ms(limits::PROMISE_MARGIN_MS);
            locked(&self.votes).proof(batch, validators, time).is_some()
        }
    }

    async fn proposal(&self, height: u64) -> Option<Proposal> {
        let chain = self.application.chain();
        let validators = self.validators();
        let head = chain.head(chain.time()).ok()?;
        let now = self.host.now();
        let block = self.application.propose(now, &self.may_enrol(&validators)).await?;
        if block.height != height {
            return None;
        }
        let enrolled = self.application.enrolled_by(&block).ok()?;
        let ready = enrolled
            .iter()
            .map(|batch| locked(&self.votes).proof(batch, &validators, block.time))
            .collect::<Option<_>>()?;
        let (log_root, state_root) = (head.log_root, head.state_root);
        Some(Proposal { block, log_root, state_root, ready })
    }

    /// Whether this node votes for a proposal. One that is synced was voted for by a quorum: what
    /// the clock and the votes for leaves say of it is over.
    async fn judge(&self, height: u64, bytes: &[u8], live: bool) -> Result<(), String> {
        if let Some(why) = self.stopped() {
            return Err(why);
        }
        let proposal = self.read(height, bytes)?;
        let block = &proposal.block;
        if !live {
            return Ok(());
        }
        let now = self.host.now();
        self.application.validate(block, now).await.map_err(|e| e.to_string())?;
        let signed = self.application.published().map(|c| c.head().time).unwrap_or_default();
        if block.time < signed {
            return Err("its time is before that of a head that a quorum signed".into());
        }
        self.check_ready(&proposal)
    }

    /// Decodes a proposal for the next height.
    fn read(&self, height: u64, bytes: &[u8]) -> Result<Proposal, String> {
        let proposal = Proposal::from_cbor(bytes).map_err(|e| e.to_string())?;
        let chain = self.application.chain();
        if proposal.block.height != height || height != chain.height() + 1 {
            return Err(format!("it is for height {}", proposal.block.height));
        }
        let head = chain.head(chain.time()).map_err(|e| e.to_string())?;
        if (proposal.log_root, proposal.state_root) != (head.log_root, head.state_root) {
            return Err("it goes on from another ledger than the one here".into());
        }
        Ok(proposal)
    }

    /// One proof for each enrolment, in order, each by more than two thirds.
    fn check_ready(&self, proposal: &Proposal) -> Result<(), String> {
        let (block, validators) = (&proposal.block, self.validators());
        let enrolled = self.application.enrolled_by(block).map_err(|e| e.to_string())?;
        let proved = enrolled.iter().eq(proposal.ready.iter().map(|proof| &proof.batch));
        let holds = |p: &crate::ready::ReadyProof| p.holds(&self.network, &validators, block.time);
        if proved && proposal.ready.iter().all(holds) {
            Ok(())
        } else {
            Err("more than two thirds must have the leaves of each batch in it".into())
        }
    }

    /// Commits what was decided, and signs the head that it makes.
    async fn commit(&self, height: u64, bytes: &[u8]) -> Result<(), String> {
        let proposal = self.read(height, bytes).inspect_err(|why| {
            let known =
                Proposal::from_cbor(bytes).is_ok_and(|p| p.block.height <= self.height_now());
            if !known {
                self.stop(format!("height {height} was decided and cannot be taken: {why}"));
            }
        })?;
        let before = self.validators();
        let block: Block = proposal.block;
        self.application.decide(block).await.map_err(|e| e.to_string())?;
        if before != self.validators() {
            self.handover.begin(height, before);
        }
        self.sign_head();
        Ok(())
    }

    fn height_now(&self) -> u64 {
        self.application.chain().height()
    }
}
