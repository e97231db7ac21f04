//! Heads: each validator signs what the decided blocks give, and whoever has a quorum's lines shows
//! the checkpoint. It is the same object that one validator makes alone.

use crate::bft::{Shared, locked};
use crate::exchange::Message;
use crate::gather::{Beat, Forged, slot};
use crate::limits;
use muster_identity::PublicKey;
use muster_ledger::{Checkpoint, Time, ValidatorSet};

impl Shared {
    /// Those whose lines count for the present head: its validators, and after a change those
    /// before it too.
    fn signing_sets(&self) -> Vec<ValidatorSet> {
        let before = self.handover.before(self.application.chain().height());
        [self.validators()].into_iter().chain(before).collect()
    }

    fn signs(&self) -> bool {
        // Whoever lacks leaves cannot say that no key stands twice.
        self.stopped().is_none()
            && !self.application.lacks_leaves()
            && self.signing_sets().iter().any(|set| set.0.contains(&self.key))
    }

    /// Whether the newest head that is shown is of an earlier block than the last one.
    pub(crate) fn unsigned(&self) -> bool {
        let size = self.application.chain().size();
        self.application.published().is_none_or(|shown| shown.head().size < size)
    }

    /// The head of a block that changed the validators, signed by those before it: by this the new
    /// ones take the block, whose head they then sign.
    pub(crate) fn handed_over(&self) -> Option<Checkpoint> {
        let chain = self.application.chain();
        let (before, size) = (self.handover.before(chain.height())?, chain.size());
        let gather = locked(&self.gather);
        let found = gather.quorum(size, &[&before])?;
        (found.head().size == size).then(|| found.clone())
    }

    /// Signs the head of the last block. If that took so long to decide that a heartbeat with a later
    /// time was signed meanwhile, then with that time: no head has an earlier one than the last, and
    /// the others signed the same heartbeat.
    pub(crate) fn sign_head(&self) {
        let last = self.application.signed().map(|last| last.time).unwrap_or_default();
        self.sign_at(self.application.chain().time().max(last));
    }

    /// Signs what was signed last, for peers that did not hear it.
    pub(crate) fn sign_again(&self) {
        let chain = self.application.chain();
        let last = self.application.signed().filter(|last| last.size == chain.size());
        self.sign_at(last.map_or(chain.time(), |last| last.time));
    }

    fn sign_at(&self, time: Time) {
        if !self.signs() {
            return;
        }
        let signed = self
            .application
            .head(time)
            .and_then(|head| self.application.sign(&head, &*self.signer));
        match signed {
            Ok(checkpoint) => {
                self.tell(&Message::Cosignature(checkpoint.to_note()));
                self.take_lines(&checkpoint);
            }
            Err(error) => tracing::warn!("the head cannot be signed: {error}"),
        }
    }

    fn tell(&self, message: &Message) {
        if let Some(exchange) = self.exchange() {
            exchange.tell_all(message);
        }
    }

    /// Takes a line that a peer told. Each tells its own alone, by its own key.
    pub(crate) fn hear_line(&self, checkpoint: &Checkpoint) -> Result<(), Forged> {
        if self.is_over(checkpoint) {
            return Ok(());
        }
        let sets = self.signing_sets();
        let all = union(&sets);
        let (lines, named) = checkpoint.lines(&all);
        if lines != 1 {
            return Err(Forged);
        }
        let (fresh, signers) = checkpoint.signed_only(&all);
        if signers.len() != named {
            return Err(Forged);
        }
        self.take_signed(&sets, &fresh, &signers);
        Ok(())
    }

    /// Takes the good lines of a checkpoint, and publishes what a quorum signed.
    pub(crate) fn take_lines(&self, checkpoint: &Checkpoint) {
        if self.is_over(checkpoint) {
            return;
        }
        let sets = self.signing_sets();
        let (fresh, signers) = checkpoint.signed_only(&union(&sets));
        self.take_signed(&sets, &fresh, &signers);
    }

    /// Whether it is of another network, or of an earlier ledger than the one that is shown.
    fn is_over(&self, checkpoint: &Checkpoint) -> bool {
        let shown = self.application.published().map(|p| p.head().size).unwrap_or_default();
        let head = checkpoint.head();
        head.network != self.network || head.size < shown
    }

    /// Takes a checkpoint with good lines only, and whose they are.
    fn take_signed(&self, sets: &[ValidatorSet], fresh: &Checkpoint, signers: &[PublicKey]) {
        let head = fresh.head();
        // One line each, as a rule: a checkpoint of others says nothing of who is there now.
        if let [signer] = signers {
            self.hear_of(*signer);
        }
        self.ahead(signers, head.height);
        let size = self.application.chain().size();
        let liars = {
            let mut gather = locked(&self.gather);
            // Heads that the ledger went past are not shown any more; they must not keep the next
            // ones out, whose room is bounded.
            gather.sweep(size, Time(0));
            gather.add(fresh, signers)
        };
        for liar in &liars {
            self.evidences.keep_heads(head.height, liar);
        }
        self.publish(sets);
    }

    fn publish(&self, sets: &[ValidatorSet]) {
        let chain = self.application.chain();
        let sets: Vec<_> = sets.iter().collect();
        let found = locked(&self.gather).quorum(chain.size(), &sets).cloned();
        let Some(checkpoint) = found else { return };
        let (size, time) = (checkpoint.head().size, checkpoint.head().time);
        let shown = self.application.published();
        if shown.is_some_and(|shown| (shown.head().size, shown.head().time) >= (size, time)) {
            return;
        }
        if size == chain.size()
            && let Err(why) = chain.check(&checkpoint)
        {
            // A quorum signed another ledger of this size: ours is wrong, or a third of them lie.
            self.evidences.keep_fork(&checkpoint);
            return self.stop(format!("a quorum signed another ledger of {size} entries: {why}"));
        }
        if let Err(error) = self.application.publish(&checkpoint) {
            tracing::error!("a checkpoint cannot be shown: {error}");
            return;
        }
        self.handover.end();
        locked(&self.gather).sweep(size, time);
        let over = |batch: &_| matches!(self.batch_decided(batch), Ok(true));
        locked(&self.votes).sweep(time, over);
    }

    fn batch_decided(
        &self,
        batch: &muster_ledger::BatchId,
    ) -> Result<bool, muster_ledger::Refusal> {
        use muster_ledger::View as _;
        Ok(self.application.chain().state().batch(batch)?.is_some())
    }

    /// Tells the others every heartbeat that this node's clock says so; the head is signed with a
    /// time that a quorum gave its word for.
    pub(crate) async fn beat(&self) {
        let mut told = Time(0);
        loop {
            tokio::time::sleep(limits::LOOK).await;
            let (size, time) = (self.application.chain().size(), slot(self.host.now()));
            let shown = self.application.published();
            let fresh =
                shown.is_some_and(|shown| shown.head().size == size && shown.head().time >= time);
            if fresh || !self.signs() || self.upgrade_due() {
                continue;
            }
            match Beat::sign(&self.network, size, time, &*self.signer) {
                Ok(beat) => {
                    if told != time {
                        // Whoever missed the lines of this head hears them again.
                        self.sign_again();
                    }
                    told = time;
                    let Beat { size, time, validator, signature } = beat.clone();
                    self.tell(&Message::Beat { size, time, validator, signature });
                    let _ = self.take_beat(&beat);
                }
                Err(error) => tracing::warn!("no heartbeat can be signed: {error}"),
            }
        }
    }

    /// Once a protocol version is due that is not known here, no later time is signed.
    fn upgrade_due(&self) -> bool {
        !matches!(self.application.upgrade_ahead(), Ok(ahead) if ahead.is_none_or(|a| !a.due))
    }

    /// Validators signed the head of a block.
    fn ahead(&self, signers: &[PublicKey], height: u64) {
        let mut heights = locked(&self.signed_heights);
        for signer in signers {
            let highest = heights.entry(*signer).or_default();
            *highest = height.max(*highest);
        }
        drop(heights);
        if height > self.application.chain().height() {
            self.application.peers_at(self.confirmed());
            self.news.notify_waiters();
        }
    }

    fn hear_of(&self, validator: PublicKey) {
        locked(&self.heard_of).insert(validator, self.host.now());
    }

    pub(crate) fn take_beat(&self, beat: &Beat) -> Result<(), Forged> {
        let validators = self.validators();
        let Some(quorum) = locked(&self.beats).add(&self.network, &validators, beat)? else {
            return Ok(());
        };
        self.hear_of(beat.validator);
        let own = slot(self.host.now());
        // Only the time that this node's own clock says, or the one just before.
        let near = beat.time <= own && own.since(beat.time) <= muster_ledger::limits::HEARTBEAT_MS;
        if quorum && near && beat.size == self.application.chain().size() {
            self.sign_at(beat.time);
        }
        Ok(())
    }
}

/// The validators of all these sets, each once.
fn union(sets: &[ValidatorSet]) -> ValidatorSet {
    let mut all: Vec<_> = sets.iter().flat_map(|set| set.0.iter().copied()).collect();
    all.sort();
    all.dedup();
    ValidatorSet(all)
}
