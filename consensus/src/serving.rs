//! What this node answers to its peers, and what it makes of what they say. None of it is believed
//! before it is checked.

use crate::bft::{Shared, locked};
use crate::exchange::{Change, Message, PeerId, Request, Response, Service, Status};
use crate::gather::{Beat, Forged};
use crate::limits;
use crate::ready::ReadyVote;
use muster_api::BoxFuture;
use muster_ledger::{Checkpoint, NoteFault, SignedOperation};
use muster_registry::Error;
use tokio::sync::broadcast::error::RecvError;

impl Service for Shared {
    fn told(&self, peer: PeerId, messages: Vec<Message>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut operations = Vec::new();
            for message in messages {
                let heard = match message {
                    Message::Operation(bytes) => {
                        operations.push(SignedOperation(bytes));
                        Ok(())
                    }
                    Message::Ready { batch, until, validator, signature } => {
                        let vote = ReadyVote { batch, until, validator, signature };
                        self.hear_vote(peer, &vote)
                    }
                    Message::Cosignature(note) => match Checkpoint::parse(&note) {
                        Ok(checkpoint) => self.hear_line(&checkpoint),
                        // Of a version that is not known here.
                        Err(NoteFault::Upgrade) => Ok(()),
                        Err(_) => Err(Forged),
                    },
                    Message::Beat { size, time, validator, signature } => {
                        self.take_beat(&Beat { size, time, validator, signature })
                    }
                    Message::Status(status) => {
                        if status.height > self.application.chain().height() {
                            self.news.notify_waiters();
                        }
                        Ok(())
                    }
                };
                if heard == Err(Forged) {
                    return self.part_with(peer, "told a signature that is not good");
                }
            }
            if !operations.is_empty() {
                self.hear_operations(peer, operations).await;
            }
        })
    }

    fn asked(&self, _peer: PeerId, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            match request {
                Request::Feed { from, count } => self.feed(from, count).await,
                Request::Bundle { batch, index } => {
                    match self.application.bundle(&batch, index).await {
                        Ok(Some(bundle)) => {
                            Response::Bundle { leaves: bundle.leaves, path: bundle.path }
                        }
                        _ => Response::None,
                    }
                }
                Request::Pending => {
                    let waiting = self.application.pending();
                    Response::Pending(waiting.into_iter().map(|operation| operation.0).collect())
                }
            }
        })
    }

    fn status(&self) -> Status {
        let chain = self.application.chain();
        Status {
            height: chain.height(),
            size: chain.size(),
            pending: !self.application.pending().is_empty(),
            engine_port: if self.votes() { self.engine_port } else { 0 },
        }
    }
}

impl Shared {
    async fn hear_operations(&self, peer: PeerId, operations: Vec<SignedOperation>) {
        let new = match self.application.told(operations).await {
            Ok(new) if new.is_empty() => return,
            Ok(new) => new,
            // Whoever passes an operation on has verified it.
            Err(Error::Peer(why)) => return self.part_with(peer, &why),
            Err(error) => return tracing::debug!("operations of {peer} are refused: {error}"),
        };
        self.news.notify_waiters();
        // Validators tell all others themselves; who does not vote may know this one alone.
        if let Some(exchange) = self.exchange().filter(|_| !self.is_validator(peer)) {
            for operation in new {
                exchange.tell_others(peer, &Message::Operation(operation.0));
            }
        }
    }

    /// Verifying costs more than making up what is to be verified.
    fn part_with(&self, peer: PeerId, why: &str) {
        if let Some(exchange) = self.exchange() {
            exchange.drop_peer(peer, why);
        }
    }

    fn is_validator(&self, peer: PeerId) -> bool {
        let status = self.exchange().and_then(|exchange| exchange.status_of(peer));
        status.is_some_and(|status| status.engine_port != 0)
    }

    fn hear_vote(&self, peer: PeerId, vote: &ReadyVote) -> Result<(), Forged> {
        let validators = self.validators();
        if locked(&self.votes).add(&self.network, &validators, vote)? {
            self.news.notify_waiters();
            if let Some(exchange) = self.exchange() {
                exchange.tell_others(peer, &Self::vote_message(vote));
            }
        }
        Ok(())
    }

    pub(crate) fn vote_message(vote: &ReadyVote) -> Message {
        let ReadyVote { batch, until, validator, signature } = vote.clone();
        Message::Ready { batch, until, validator, signature }
    }

    async fn feed(&self, from: u64, count: u64) -> Response {
        let published = self.application.published().map(|published| published.to_note());
        let note = self.handed_over().map(|head| head.to_note()).or(published);
        let Some(checkpoint) = note else { return Response::None };
        let count = count.min(limits::FEED_PAGE as u64);
        match self.application.entries(from, count).await {
            Ok(entries) => {
                let entries = limits::fitting(entries);
                Response::Feed { entries, checkpoint }
            }
            Err(_) => Response::None,
        }
    }

    /// Tells whoever comes what it may have missed, and asks what waits there.
    pub(crate) async fn greet(&self) {
        let Some(exchange) = self.exchange() else { return };
        let mut changes = exchange.changes();
        let mut newcomers: Vec<_> = exchange.peers().iter().map(|peer| peer.id).collect();
        loop {
            for peer in std::mem::take(&mut newcomers) {
                self.welcome(peer).await;
            }
            match changes.recv().await {
                Ok(Change::Joined(peer)) => newcomers.push(peer),
                Ok(Change::Left(_)) => {}
                Err(RecvError::Lagged(_)) => {
                    newcomers = exchange.peers().iter().map(|peer| peer.id).collect();
                }
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    async fn welcome(&self, peer: PeerId) {
        let Some(exchange) = self.exchange() else { return };
        for vote in locked(&self.votes).of_validator(&self.key) {
            exchange.tell(peer, &Self::vote_message(&vote));
        }
        self.sign_again();
        if let Ok(Response::Pending(operations)) = exchange.ask(peer, Request::Pending).await {
            let operations = operations.into_iter().map(SignedOperation).collect();
            let _ = self.application.told(operations).await;
            self.news.notify_waiters();
        }
    }
}
