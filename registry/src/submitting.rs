//! Operations come in: from clients, who wait for a signed head over them, and from peers.

use crate::Error;
use crate::limits::TOLD_REFUSED;
use crate::mempool::{Added, Waiting};
use crate::metrics::Metrics;
use crate::node::{Node, unsigned};
use crate::registry::Registry;
use muster_api::Problem;
use muster_ledger::{
    Action, EntryProof, Refusal, SignedOperation, Time, VerifiedOperation, limits,
};
use tokio::sync::oneshot;

/// The code of an operation that only a later version can read.
const UPGRADE_NEEDED: &str = "upgrade-needed";

/// Checks what needs no state.
fn verify(signed: &SignedOperation) -> Result<VerifiedOperation, Problem> {
    if signed.0.len() > limits::OPERATION_BYTES {
        let title = "a signed operation has at most 16,384 bytes";
        return Err(Problem::new(413, "too-large", title));
    }
    signed.verify().map_err(|error| match error {
        muster_ledger::Error::Upgrade(what) => Problem::new(400, UPGRADE_NEEDED, what),
        error => Problem::new(400, "malformed", error.to_string()),
    })
}

impl Node {
    /// Refuses an enrolment that could not become a batch now.
    fn check_enrolment(&self, verified: &VerifiedOperation) -> Result<(), Problem> {
        // An enrolment sent twice hears that its batch exists, not that its upload is gone.
        let published = self.published()?;
        let now = self.host.now().max(published.checkpoint.head().time);
        let chain = &published.chain;
        let refuse = |refusal| self.refusal(refusal, now, |at| chain.try_apply(verified, at).err());
        chain.try_apply(verified, now).map_err(refuse)?;
        if self.decided_batch(verified) {
            return Err(unsigned());
        }
        self.lost.check()
    }

    /// Takes operations from a peer; gives those that are new. [`Error::Peer`] if one of them is no
    /// signed operation: nothing behind it is looked at.
    pub(crate) async fn hear(
        &self,
        mut operations: Vec<SignedOperation>,
    ) -> Result<Vec<SignedOperation>, Error> {
        operations.retain(|signed| !self.mempool.knows(&signed.hash()));
        if operations.is_empty() {
            return Ok(operations);
        }
        let (chain, since) = (self.decided(), self.pace.check()?);
        let time = since.max(chain.time());
        let judge = move || {
            let mut judged = Vec::with_capacity(operations.len());
            for signed in operations {
                match verify(&signed) {
                    Ok(verified) => {
                        let refusal = chain.try_apply(&verified, time).err();
                        judged.push((signed, verified, refusal));
                    }
                    // A peer may be of a later version.
                    Err(problem) if problem.code() == UPGRADE_NEEDED => {}
                    Err(problem) => return (judged, Err(Error::Peer(problem.title))),
                }
            }
            (judged, Ok(()))
        };
        let judged = tokio::task::spawn_blocking(judge).await;
        let (judged, sound) = judged.map_err(|e| Error::Us(e.to_string()))?;
        let mut new = Vec::new();
        for (signed, verified, refusal) in judged {
            match self.take_told(&signed, verified, refusal, since).await {
                Ok(is_new) => new.extend(is_new.then_some(signed)),
                Err(problem) => {
                    tracing::debug!("an operation that a peer told is refused: {problem}");
                }
            }
        }
        sound.map(|()| new)
    }

    /// Lets an operation of a peer wait; true: it did not before.
    async fn take_told(
        &self,
        signed: &SignedOperation,
        verified: VerifiedOperation,
        refusal: Option<Refusal>,
        since: Time,
    ) -> Result<bool, Problem> {
        if let Some(refusal) = refusal {
            let for_good = matches!(
                refusal,
                Refusal::Expired { .. } | Refusal::WrongNetwork | Refusal::TooLongLived
            );
            // This node may be some blocks behind the one that took it.
            if for_good || self.mempool.len() > TOLD_REFUSED {
                return Err(refusal.into());
            }
        }
        let enrol = match &verified.operation().action {
            Action::Enrol(enrol) => Some(enrol.clone()),
            _ => None,
        };
        let waiting = Waiting { signed: signed.clone(), verified, since };
        let added = self.mempool.add(waiting, None, None)?;
        if let Some(enrol) = enrol {
            self.recognise(&enrol).await?;
            self.foreign.tell();
        }
        Ok(added == Added::New)
    }
}

impl Registry {
    /// Submits an operation and waits until a signed head covers it. An enrolment names the
    /// sealed upload that it makes a batch. Sent twice, it is waited for twice.
    pub async fn submit(
        &self,
        op: SignedOperation,
        upload: Option<&str>,
    ) -> Result<EntryProof, Problem> {
        let node = self.node();
        let (answer, answered) = oneshot::channel();
        let waits = match node.mempool.attach(&op.hash(), answer) {
            Ok(()) => Ok(()),
            Err(answer) => self.bring(op, upload, answer).await,
        };
        waits.inspect_err(|_| Metrics::count(&node.metrics.refused))?;
        let mut ended = self.ended();
        tokio::select! {
            // First: what was answered before the end counts.
            biased;
            answer = answered => answer.unwrap_or_else(|_| Err(Error::Closing.into())),
            _ = ended.changed() => Err(self.why_ended().into()),
        }
    }

    /// Checks an operation and lets it wait for its block.
    async fn bring(
        &self,
        signed: SignedOperation,
        upload: Option<&str>,
        answer: crate::mempool::Answer,
    ) -> Result<(), Problem> {
        let node = self.node();
        let verified = verify(&signed)?;
        let since = node.pace.check()?;
        // A node that shows no head yet cannot answer with a proof under one.
        node.published()?;
        if node.alone && matches!(verified.operation().action, Action::ChangeValidators(_)) {
            // The head that it makes is not this node's to sign.
            let title = "validators are changed where the new one starts";
            let cure = "start the node with its new key and `muster serve --succeed FILE`";
            return Err(Problem::new(409, "validators", title).cure(cure));
        }
        let enrols = matches!(verified.operation().action, Action::Enrol(_));
        if enrols {
            node.check_enrolment(&verified)?;
        }
        let leaves = match upload {
            None if enrols => {
                let title = "leaves: an enrolment needs the upload that holds its leaves";
                return Err(Problem::new(409, "leaves", title));
            }
            None => None,
            Some(upload) => Some(node.take_upload(&verified, upload).await?),
        };
        if self.ended().has_changed().is_err() {
            return Err(self.why_ended().into());
        }
        node.mempool.add(Waiting { signed, verified, since }, Some(answer), leaves)?;
        node.foreign.tell();
        Ok(())
    }
}
