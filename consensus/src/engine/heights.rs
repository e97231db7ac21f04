//! When a height begins. There are no empty blocks: after a decision the engine is not answered
//! until there is something to decide, here or elsewhere.

use super::context::{Address, Ctx, Height, ValidatorSet, ValueId};
use super::heard::{Heard, Sign};
use super::signing::Verify;
use super::{Host, Timeouts, settings};
use futures_util::future::BoxFuture;
use malachite::Reply;
use malachite::app::engine::host::Next;
use malachite::app::types::core::{
    ExtendedCommitCertificate, HeightParams, Round, ThresholdParams,
};
use malachite_signing::VerifierExt as _;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whom to answer.
pub(crate) enum Answer {
    /// The engine, which has not begun any height. It does nothing until it is answered, not even
    /// tell its peers how far it is.
    First(Reply<(Height, HeightParams<Ctx>)>),
    /// The engine after a decision. It keeps what it hears and answers nodes that lag.
    Next(Reply<Next<Ctx>>),
}

/// A height that has not begun.
struct Waiting {
    height: Height,
    answer: Answer,
    begin: BoxFuture<'static, ()>,
    set: ValidatorSet,
    voters: BTreeSet<Address>,
}

/// The door between heights.
pub(crate) struct Heights {
    host: Arc<dyn Host>,
    verify: Verify,
    timeouts: Timeouts,
    heard: Heard,
    waiting: Option<Waiting>,
}

impl Heights {
    pub(crate) fn new(
        host: Arc<dyn Host>,
        verify: Verify,
        timeouts: Timeouts,
        heard: Heard,
    ) -> Self {
        Self { host, verify, timeouts, heard, waiting: None }
    }

    /// The engine asks for the next height: it is answered when that is worth it.
    pub(crate) fn wait(&mut self, answer: Answer) -> Height {
        let height = Height(self.host.height() + 1);
        let host = self.host.clone();
        let begin = Box::pin(async move { host.begin(height.0).await });
        let set = ValidatorSet::of(&self.host.validators());
        self.waiting = Some(Waiting { height, answer, begin, set, voters: BTreeSet::new() });
        self.heard.wait_for(Some(height));
        height
    }

    /// Resolves when the height that is waited for is worth it by the host's word.
    pub(crate) async fn worth_it(&mut self) {
        match &mut self.waiting {
            Some(waiting) => waiting.begin.as_mut().await,
            None => std::future::pending().await,
        }
    }

    /// Begins the height.
    pub(crate) fn begin(&mut self) {
        self.heard.wait_for(None);
        let Some(waiting) = self.waiting.take() else { return };
        let (height, params) = settings::next_height(&*self.host, &self.timeouts);
        tracing::debug!(%height, "a height begins");
        // An engine that is gone needs no answer.
        match waiting.answer {
            Answer::First(reply) => drop(reply.send((height, params))),
            Answer::Next(reply) => drop(reply.send(Next::Start(height, params))),
        }
    }

    /// Whether a quorum prevoted a value of the present height in a round, by a certificate that
    /// was heard.
    pub(crate) async fn was_prevoted(
        &mut self,
        height: Height,
        round: Round,
        value: ValueId,
    ) -> bool {
        let set = ValidatorSet::of(&self.host.validators());
        for polka in self.heard.polkas(height, value) {
            let quorum = ThresholdParams::default();
            let of_round = polka.round == round;
            let verdict = self.verify.verify_polka_certificate(&Ctx, &polka, &set, quorum);
            if of_round && verdict.await.is_ok() {
                return true;
            }
        }
        false
    }

    /// Something was heard. Whether the height is worth it for that:
    /// - it is decided, by a certificate of its validators;
    /// - validators vote in it, so many that one of them is honest;
    /// - an engine that has begun nothing yet hears of a peer that is ahead, or lags and needs
    ///   somebody who answers. Anybody can say that, but a node alone in a height is idle, too.
    pub(crate) async fn hear(&mut self, sign: Sign) -> bool {
        let Some(waiting) = &mut self.waiting else { return false };
        match sign {
            Sign::Tip(tip) => {
                matches!(waiting.answer, Answer::First(_)) && tip.0 + 1 != waiting.height.0
            }
            Sign::Vote(vote) => {
                let who = vote.message.validator;
                let known = waiting.set.0.iter().any(|v| v.address == who);
                if known && !waiting.voters.contains(&who) && self.verify.vote(&vote) {
                    waiting.voters.insert(who);
                }
                waiting.voters.len() >= waiting.set.one_honest()
            }
            Sign::Decided(certificate) => {
                certificate.height == waiting.height
                    && is_decided(&self.verify, &certificate, &waiting.set).await
            }
        }
    }
}

async fn is_decided(
    verify: &Verify,
    certificate: &ExtendedCommitCertificate<Ctx>,
    set: &ValidatorSet,
) -> bool {
    let certificate = certificate.trim_vote_extensions();
    let quorum = ThresholdParams::default();
    let verdict = verify.verify_commit_certificate(&Ctx, &certificate, set, quorum).await;
    verdict.is_ok()
}
