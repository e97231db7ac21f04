//! The proposals of heights that are not decided: received, proposed here or fetched.

use super::context::{Address, Ctx, Height, ValueId};
use super::decisions::{Decisions, Undecided};
use super::limits;
use crate::Error;
use malachite::app::types::ProposedValue;
use malachite::app::types::core::{Round, Validity};
use std::collections::BTreeMap;
use std::sync::Arc;

/// In memory and on the disk alike.
pub(crate) struct Proposals {
    decisions: Decisions,
    known: BTreeMap<(Height, ValueId), Arc<Undecided>>,
    /// Complete, of a height that this node is not at: looked at when it is.
    early: Vec<Undecided>,
}

/// Proposals of later heights that wait. They come again when they are proposed again.
const EARLY: usize = 4;

impl Proposals {
    /// With what a run before kept.
    pub(crate) async fn load(decisions: Decisions, from: Height) -> Result<Self, Error> {
        let known = decisions.undecided(from).await?.into_iter();
        let known = known.map(|p| ((p.head.height, p.head.value), Arc::new(p))).collect();
        Ok(Self { decisions, known, early: Vec::new() })
    }

    /// A proposal that may be decided, if it is known.
    pub(crate) fn get(&self, height: Height, value: ValueId) -> Option<Arc<Undecided>> {
        self.known.get(&(height, value)).cloned()
    }

    /// What this node proposed in a round.
    pub(crate) fn own(&self, at: Height, round: Round, me: Address) -> Option<Arc<Undecided>> {
        self.in_round(at, round).find(|p| p.head.proposer == me).cloned()
    }

    /// What is known of a round, for the engine.
    pub(crate) fn values(&self, height: Height, round: Round) -> Vec<ProposedValue<Ctx>> {
        self.in_round(height, round).map(|p| value(p, Validity::Valid)).collect()
    }

    fn in_round(&self, at: Height, round: Round) -> impl Iterator<Item = &Arc<Undecided>> {
        let all = self.known.range((at, ValueId([0; 32]))..=(at, ValueId([0xff; 32])));
        all.map(|(_, p)| p).filter(move |p| p.head.round == round)
    }

    /// Keeps a proposal that may be voted for; it is on the disk when this returns. `false`: there
    /// are too many, and it was not kept.
    pub(crate) async fn keep(&mut self, proposal: Undecided) -> Result<bool, Error> {
        let key = (proposal.head.height, proposal.head.value);
        let full = self.known.len() >= limits::UNDECIDED && !self.known.contains_key(&key);
        if full {
            tracing::warn!(height = %key.0, "too many proposals for one height: another is refused");
            return Ok(false);
        }
        let proposal = Arc::new(proposal);
        self.decisions.keep(proposal.clone()).await?;
        self.known.insert(key, proposal);
        Ok(true)
    }

    /// Puts aside what came before its height.
    pub(crate) fn put_aside(&mut self, proposal: Undecided) {
        if self.early.len() >= EARLY {
            self.early.remove(0);
        }
        self.early.push(proposal);
    }

    /// What was put aside for a height.
    pub(crate) fn aside(&mut self, height: Height) -> Vec<Undecided> {
        let early = std::mem::take(&mut self.early).into_iter();
        let later = early.filter(|p| p.head.height >= height);
        let (now, later) = later.partition(|p| p.head.height == height);
        self.early = later;
        now
    }

    /// A height is decided.
    pub(crate) fn forget(&mut self, decided: Height) {
        self.known.retain(|(height, _), _| *height > decided);
        self.early.retain(|p| p.head.height > decided);
    }
}

/// A proposal as the engine wants it.
pub(crate) fn value(proposal: &Undecided, validity: Validity) -> ProposedValue<Ctx> {
    let head = &proposal.head;
    ProposedValue {
        height: head.height,
        round: head.round,
        valid_round: head.pol_round,
        proposer: head.proposer,
        value: head.value,
        validity,
    }
}
