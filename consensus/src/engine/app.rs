//! What the engine asks, and the answers.

mod start;

use super::context::{Address, Ctx, Height, PartsHead, Seal, ValidatorSet, ValueId};
use super::decisions::{Decisions, Undecided};
use super::heights::{Answer, Heights};
use super::parts::{self, Streams};
use super::proposals::{Proposals, value};
use super::signing::{Sign, Verify};
use super::{EngineView, Evidence, Host, limits};
use crate::Error;
use bytes::Bytes;
use malachite::app::engine::host::SyncedValueOutcome;
use malachite::app::streaming::{StreamId, StreamMessage};
use malachite::app::types::core::{
    CommitCertificate, ExtendedCommitCertificate, Round, Validity, VoteExtensions,
};
use malachite::app::types::{LocallyProposedValue, PeerId, ProposedValue};
use malachite::{AppMsg, NetworkMsg};
use malachite_sync::RawDecidedValue;
pub(crate) use start::run;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The side of the engine that knows the host.
struct App {
    host: Arc<dyn Host>,
    verify: Verify,
    sign: Option<Sign>,
    me: Address,
    network: mpsc::Sender<NetworkMsg<Ctx>>,
    decisions: Decisions,
    proposals: Proposals,
    streams: Streams,
    heights: Heights,
    view: watch::Sender<EngineView>,
    /// Numbers the streams of this run; with height and round no two have one name.
    streamed: u32,
}

impl App {
    /// Answers one message. A reply that nobody waits for is dropped: the engine stops.
    async fn handle(&mut self, message: AppMsg<Ctx>) -> Result<(), Error> {
        match message {
            AppMsg::ConsensusReady { reply } => self.wait(Answer::First(reply)),
            AppMsg::StartedRound { height, round, reply_value, .. } => {
                let values = self.started(height, round).await?;
                let _ = reply_value.send(values);
            }
            AppMsg::GetValue { height, round, timeout, reply } => {
                let Some(own) = self.value_to_propose(height, round, timeout).await? else {
                    return Ok(());
                };
                let local = LocallyProposedValue::new(height, round, own.head.value);
                let _ = reply.send(local);
                self.publish(own.head.clone(), &own.bytes).await;
            }
            AppMsg::RestreamProposal { height, round, valid_round, address, value_id } => {
                self.publish_again(height, round, valid_round, address, value_id).await;
            }
            AppMsg::ReceivedProposalPart { from, published_by, part, reply } => {
                let value = self.received(published_by.unwrap_or(from), part).await?;
                let _ = reply.send(value);
            }
            AppMsg::Decided { certificate, extensions, reply } => {
                self.decided(certificate, extensions).await?;
                let _ = reply.send(());
            }
            AppMsg::Finalized { evidence, reply, .. } => {
                Evidence::all(evidence).into_iter().for_each(|e| self.host.evidence(e));
                self.wait(Answer::Next(reply));
            }
            AppMsg::GetHistoryMinHeight { reply } => {
                let first =
                    self.decisions.span().map_or(self.host.height() + 1, |(first, _)| first);
                let _ = reply.send(Height(first));
            }
            AppMsg::GetDecidedValues { range, reply } => {
                let values = self.decisions.decided(range.start().0..=range.end().0).await?;
                let _ = reply.send(values);
            }
            AppMsg::ProcessSyncedValue { height, round, proposer, value_bytes, reply } => {
                let outcome = self.synced(height, round, proposer, value_bytes).await?;
                let _ = reply.send(outcome);
            }
            // Votes carry no extensions: the policy of every height is `Disabled`.
            AppMsg::ExtendVote { reply, .. } => {
                let _ = reply.send(None);
            }
            AppMsg::VerifyVoteExtensions { reply, .. } => {
                let _ = reply.send(Vec::new());
            }
        }
        Ok(())
    }

    fn wait(&mut self, answer: Answer) {
        let height = self.heights.wait(answer);
        self.view.send_modify(|view| (view.height, view.round) = (height.0, None));
    }

    /// A round began: what is known of it already.
    async fn started(
        &mut self,
        height: Height,
        round: Round,
    ) -> Result<Vec<ProposedValue<Ctx>>, Error> {
        self.view.send_modify(|view| {
            (view.height, view.round) = (height.0, round.as_u32());
            view.rounds += 1;
        });
        let mut values = Vec::new();
        for early in self.proposals.aside(height) {
            values.extend(self.judge(early).await?);
        }
        for known in self.proposals.values(height, round) {
            if !values.contains(&known) {
                values.push(known);
            }
        }
        Ok(values)
    }

    /// What this node proposes in a round: what it proposed before a restart, or what the host has.
    async fn value_to_propose(
        &mut self,
        height: Height,
        round: Round,
        timeout: Duration,
    ) -> Result<Option<Arc<Undecided>>, Error> {
        let Some(sign) = self.sign.clone() else { return Ok(None) };
        if let Some(own) = self.proposals.own(height, round, self.me) {
            return Ok(Some(own));
        }
        let within = timeout.min(limits::PROPOSE_WITHIN);
        let proposing = self.host.propose(height.0, within);
        // Twice the time: a host may be late by a little, but must not hold up the engine.
        let Ok(Some(bytes)) = tokio::time::timeout(within * 2, proposing).await else {
            tracing::debug!(%height, %round, "nothing to propose");
            return Ok(None);
        };
        if bytes.len() > limits::PROPOSAL_BYTES {
            tracing::error!(bytes = bytes.len(), "a proposal above its limit is not proposed");
            return Ok(None);
        }
        let head = self.head(height, round, Round::Nil, &bytes);
        let own = Undecided { head: sign.head(head).await, bytes };
        let value = own.head.value;
        if own.head.seal == Seal::WITHHELD || !self.proposals.keep(own).await? {
            return Ok(None);
        }
        Ok(self.proposals.get(height, value))
    }

    fn head(&self, height: Height, round: Round, pol_round: Round, bytes: &[u8]) -> PartsHead {
        PartsHead {
            height,
            round,
            pol_round,
            proposer: self.me,
            value: ValueId::of(bytes),
            // In range: `PROPOSAL_BYTES` is below 2^32.
            bytes: bytes.len() as u32,
            seal: Seal::WITHHELD,
        }
    }

    async fn publish(&mut self, head: PartsHead, bytes: &[u8]) {
        self.streamed = self.streamed.wrapping_add(1);
        let round = head.round.as_u32().unwrap_or(0);
        let (height, n) = (head.height.0.to_be_bytes(), self.streamed.to_be_bytes());
        let id = [&height[..], &round.to_be_bytes(), &n].concat();
        for part in parts::cut(StreamId::new(id.into()), head, bytes) {
            // An engine that stops publishes nothing.
            let _ = self.network.send(NetworkMsg::PublishProposalPart(part)).await;
        }
    }

    /// Publishes a proposal that is proposed again, or that others may not have.
    async fn publish_again(
        &mut self,
        height: Height,
        round: Round,
        valid_round: Round,
        proposer: Address,
        id: ValueId,
    ) {
        let Some(known) = self.proposals.get(height, id) else { return };
        let head = match &self.sign {
            Some(sign) if proposer == self.me => {
                sign.head(self.head(height, round, valid_round, &known.bytes)).await
            }
            _ => known.head.clone(),
        };
        if head.seal != Seal::WITHHELD {
            self.publish(head, &known.bytes).await;
        }
    }

    /// A part of a proposal. With the last of them the proposal is judged.
    async fn received(
        &mut self,
        publisher: PeerId,
        part: StreamMessage<super::context::Part>,
    ) -> Result<Option<ProposedValue<Ctx>>, Error> {
        let decided = self.host.height();
        let (host, verify) = (&self.host, &self.verify);
        let admits = |head: &PartsHead| {
            let set = ValidatorSet::of(&host.validators());
            let ours = match head.height.0.checked_sub(decided) {
                Some(1) => set.proposer(head.height, head.round).address == head.proposer,
                // Who proposes then may be decided until then: any validator will do.
                Some(2) => set.0.iter().any(|v| v.address == head.proposer),
                _ => false,
            };
            ours && verify.head(head)
        };
        let Some((head, bytes)) = self.streams.take(publisher, part, admits) else {
            return Ok(None);
        };
        let proposal = Undecided { head, bytes };
        if proposal.head.height.0 == self.host.height() + 1 {
            return self.judge(proposal).await;
        }
        self.proposals.put_aside(proposal);
        Ok(None)
    }

    /// Whether a proposal of the present height may be voted for. If so it is kept first.
    async fn judge(&mut self, proposal: Undecided) -> Result<Option<ProposedValue<Ctx>>, Error> {
        let head = &proposal.head;
        let again = self.proposals.get(head.height, head.value).is_some();
        let mut valid = again || self.host.check(head.height.0, &proposal.bytes, true).await;
        // What is proposed again may be too old to be live. A quorum prevoted it when it was, and
        // some are locked on it: whoever refused it now could stop the network.
        if !valid && head.pol_round.is_defined() {
            valid = self.heights.was_prevoted(head.height, head.pol_round, head.value).await
                && self.host.check(head.height.0, &proposal.bytes, false).await;
        }
        if !valid {
            tracing::warn!(height = %head.height, round = %head.round, proposer = %head.proposer,
                "a proposal is refused");
            return Ok(Some(value(&proposal, Validity::Invalid)));
        }
        let said = value(&proposal, Validity::Valid);
        // What is known keeps its head, under which it was received.
        Ok((again || self.proposals.keep(proposal).await?).then_some(said))
    }

    /// A value that others decided. Its certificate was verified.
    async fn synced(
        &mut self,
        height: Height,
        round: Round,
        proposer: Address,
        bytes: Bytes,
    ) -> Result<SyncedValueOutcome<Ctx>, Error> {
        if height.0 != self.host.height() + 1 {
            return Ok(SyncedValueOutcome::LocalTransientError);
        }
        let (pol_round, value_id) = (Round::Nil, ValueId::of(&bytes));
        let seal = Seal::WITHHELD;
        let length = bytes.len() as u32;
        let head =
            PartsHead { height, round, pol_round, proposer, value: value_id, bytes: length, seal };
        let mut proposal = Undecided { head, bytes: bytes.to_vec() };
        if let Some(known) = self.proposals.get(height, value_id) {
            proposal.head = known.head.clone();
            return Ok(SyncedValueOutcome::Verdict(value(&proposal, Validity::Valid)));
        }
        // What a quorum decided is refused for a passing reason, or because it is not what they
        // decided: then the engine sees another id and asks another peer.
        let mut valid = self.host.check(height.0, &bytes, false).await;
        if !valid {
            tokio::time::sleep(limits::CHECK_AGAIN).await;
            valid = self.host.check(height.0, &bytes, false).await;
        }
        if !valid {
            tracing::error!(%height, id = %value_id, "what a peer calls decided is not valid here");
        }
        let said = value(&proposal, Validity::from_bool(valid));
        if valid && !self.proposals.keep(proposal).await? {
            return Ok(SyncedValueOutcome::LocalTransientError);
        }
        Ok(SyncedValueOutcome::Verdict(said))
    }

    /// Keeps a decision, then commits it.
    async fn decided(
        &mut self,
        certificate: CommitCertificate<Ctx>,
        extensions: VoteExtensions<Ctx>,
    ) -> Result<(), Error> {
        let (height, id) = (certificate.height, certificate.value_id);
        let found = match self.proposals.get(height, id) {
            Some(known) => Some(known.bytes.clone()),
            None => self.decisions.find(height, id).await?.map(|p| p.bytes),
        };
        let Some(bytes) = found else {
            return Err(Error::Us(format!(
                "height {height}: the decided proposal {id} is not here"
            )));
        };
        self.show(&certificate);
        let certificate = ExtendedCommitCertificate::from_commit_certificate_and_extensions(
            certificate,
            extensions,
        );
        let value = RawDecidedValue::new(bytes.clone().into(), certificate);
        self.decisions.decide(value).await?;
        commit(&*self.host, height.0, bytes).await?;
        self.proposals.forget(height);
        self.streams.forget(height.0);
        self.view.send_modify(|view| view.decided = height.0);
        Ok(())
    }

    fn show(&self, certificate: &CommitCertificate<Ctx>) {
        let votes = certificate.commit_signatures.iter().filter_map(|s| s.address.key());
        let votes: Vec<_> = votes.collect();
        self.view.send_modify(|view| {
            for key in &votes {
                *view.votes.entry(*key).or_default() += 1;
            }
            view.heights += 1;
            view.last_round = certificate.round.as_u32().unwrap_or(0);
            view.last_votes = votes;
        });
    }
}

/// Hands a decision to the host.
async fn commit(host: &dyn Host, height: u64, bytes: Vec<u8>) -> Result<(), Error> {
    host.decided(height, bytes).await.map_err(|reason| {
        Error::operator(
            format!("height {height} is decided and cannot be committed: {reason}"),
            "mend that; the decision is kept and committed at the next start",
        )
    })
}
