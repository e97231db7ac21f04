//! Refusals that say less about the operation than about this node: by a clock that is not the
//! network's, or by a state that its peers are ahead of. Another node may take what is refused here,
//! so the answer is 503, which is no word about the operation.

use crate::limits::CLOCK_APART_MS;
use crate::node::Node;
use muster_api::Problem;
use muster_ledger::{Refusal, Time};
use std::sync::atomic::Ordering::Relaxed;

/// What a client does about either.
const CURE: &str = "nothing is known against the operation: bring the same signed one to another \
                    node, or to this one later; do not sign it anew";

impl Node {
    /// The highest block that is decided elsewhere for sure.
    pub(crate) fn peers_are_at(&self, height: u64) {
        self.peers_height.store(height, Relaxed);
    }

    /// What a client hears whose request is refused. `now` is this node's clock; `at` judges anew,
    /// by another time.
    pub(crate) fn refusal(
        &self,
        refusal: Refusal,
        now: Time,
        at: impl FnOnce(Time) -> Option<Refusal>,
    ) -> Problem {
        // Alone, its state and its clock are the network's. Which network it is for needs neither.
        if self.alone || matches!(refusal, Refusal::WrongNetwork | Refusal::Corrupt(_)) {
            return refusal.into();
        }
        let (here, there) = (self.decided().height(), self.peers_height.load(Relaxed));
        if there > here {
            let title = format!(
                "this node has block {here} and its peers have {there}; by what it knows: {refusal}"
            );
            return Problem::new(503, "behind", title).cure(CURE);
        }
        // A quorum signs a time every ten seconds, so the ledger's is nearly that of all others.
        let ledger = self.ledger_time();
        let apart = now.since(ledger);
        let same = |other: &Refusal| other.code() == refusal.code();
        if apart > CLOCK_APART_MS && !at(ledger).as_ref().is_some_and(same) {
            let title = format!(
                "this node's clock is {} s ahead of the time that the network signed last; by its \
                 clock: {refusal}",
                apart / 1_000
            );
            return Problem::new(503, "clock", title).cure(CURE);
        }
        refusal.into()
    }
}
