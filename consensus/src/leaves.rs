//! Leaves travel beside consensus: whoever lacks those of a batch fetches them from any peer that
//! has them, checks them, and then says so.

use crate::bft::{Shared, locked};
use crate::exchange::{PeerId, Request, Response};
use crate::limits;
use crate::ready::ReadyVote;
use futures_util::{StreamExt as _, stream};
use muster_ledger::Bundle;
use muster_registry::{Refused, Wanted};
use std::collections::BTreeMap;
use tokio::time::{Instant, timeout};

impl Shared {
    /// Fetches what is wanted, for ever: what is decided first, then by batch id, which is also
    /// the order in which clashing batches win.
    pub(crate) async fn fetch_leaves(&self) {
        let mut put_off: BTreeMap<_, Instant> = BTreeMap::new();
        loop {
            let now = Instant::now();
            put_off.retain(|_, until| *until > now);
            let mut wanted = self.application.wanted();
            wanted.retain(|want| !put_off.contains_key(&want.batch));
            wanted.sort_by_key(|want| (!want.decided, want.batch));
            let Some(want) = wanted.first() else {
                let _ = timeout(limits::LOOK, self.application.wants_changed()).await;
                continue;
            };
            match self.fetch(want).await {
                Ok(()) if want.decided => self.sign_again(),
                Ok(()) => {}
                Err(wait) => {
                    put_off.insert(want.batch, Instant::now() + wait);
                }
            }
        }
    }

    /// Fetches one batch; else how long to wait before it is tried again.
    async fn fetch(&self, want: &Wanted) -> Result<(), std::time::Duration> {
        let first = self.application.next_bundle(&want.batch).await;
        let first = first.map_err(|_| limits::LEAVES_RETRY)?;
        let count = Bundle::count(want.count);
        let mut bundles = stream::iter(first..count)
            .map(|index| self.bundle(want, index))
            .buffered(limits::BUNDLES_AT_ONCE);
        while let Some(bundle) = bundles.next().await {
            let (index, bundle) = bundle.ok_or(limits::LEAVES_RETRY)?;
            match self.application.take_bundle(&want.batch, index, bundle).await {
                Ok(_) => {}
                Err(why @ Refused::Later(_)) => {
                    tracing::debug!("batch {}: {why}", want.batch);
                    return Err(limits::LEAVES_RETRY);
                }
                Err(why @ Refused::Batch(_)) => {
                    tracing::warn!("batch {} is not voted for: {why}", want.batch);
                    return Err(limits::BATCH_REFUSED);
                }
                Err(why @ (Refused::Peer(_) | Refused::Here(_))) => {
                    tracing::warn!("leaves of batch {} cannot be taken: {why}", want.batch);
                    return Err(limits::LEAVES_RETRY);
                }
            }
        }
        tracing::info!("the {} leaves of batch {} are here", want.count, want.batch);
        Ok(())
    }

    /// 256 leaves from any peer whose answer proves itself.
    async fn bundle(&self, want: &Wanted, index: u64) -> Option<(u64, Bundle)> {
        let exchange = self.exchange()?;
        let read = |answer: &Response| match answer {
            Response::Bundle { leaves, path } => {
                let bundle = Bundle { leaves: leaves.clone(), path: path.clone() };
                bundle.verify(&want.root, want.count, index).is_ok().then_some(bundle)
            }
            _ => None,
        };
        let request = Request::Bundle { batch: want.batch, index };
        let (_, answer): (PeerId, _) =
            exchange.ask_any(request, |answer| read(answer).is_some()).await.ok()?;
        Some((index, read(&answer)?))
    }

    /// Votes for batches whose leaves are here, and again before a vote runs out.
    pub(crate) async fn vote_ready(&self) {
        loop {
            let voting = self.votes() && !self.application.lacks_leaves();
            if voting && self.stopped().is_none() {
                for batch in self.application.ready_here() {
                    self.vote_for(batch).await;
                }
            }
            let _ = timeout(limits::LOOK, self.application.wants_changed()).await;
        }
    }

    async fn vote_for(&self, batch: muster_ledger::BatchId) {
        let now = self.host.now().max(self.application.chain().time());
        let own = locked(&self.votes).until(&batch, &self.key);
        if own.is_some_and(|until| until.since(now) > limits::PROMISE_MS / 2) {
            return;
        }
        let until = now.plus_ms(limits::PROMISE_MS);
        if let Err(error) = self.application.promise(&batch, until).await {
            tracing::debug!("batch {batch} cannot be promised: {error}");
            return;
        }
        match ReadyVote::sign(&self.network, batch, until, &*self.signer) {
            Ok(vote) => {
                let validators = self.validators();
                locked(&self.votes).add(&self.network, &validators, &vote);
                if let Some(exchange) = self.exchange() {
                    exchange.tell_all(&Self::vote_message(&vote));
                }
                self.news.notify_waiters();
            }
            Err(error) => tracing::warn!("no vote can be signed: {error}"),
        }
    }
}
