//! Leaves travel beside consensus: whoever lacks those of a batch fetches them from any peer that
//! has them, checks them, and then says so.

use crate::bft::{Shared, locked};
use crate::exchange::{PeerId, Request, Response};
use crate::limits;
use crate::ready::ReadyVote;
use futures_util::{StreamExt as _, stream};
use muster_ledger::{BatchId, Bundle};
use muster_registry::{BUNDLES_TOGETHER, Refused, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Why the leaves of a batch are not here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    /// Nobody had them, or they could not be taken.
    Off,
    /// Another announced batch has one of its keys.
    Behind,
    /// Nobody can vote for it.
    Away,
}

impl Put {
    /// How long until they are asked for again.
    fn wait(self) -> Duration {
        match self {
            Self::Off | Self::Behind => limits::LEAVES_RETRY,
            Self::Away => limits::BATCH_REFUSED,
        }
    }
}

impl Shared {
    /// Fetches what is wanted, for ever: what is decided first, then by batch id, which is also
    /// the order in which clashing batches win.
    pub(crate) async fn fetch_leaves(&self) {
        let mut put_off: BTreeMap<_, Instant> = BTreeMap::new();
        loop {
            let now = Instant::now();
            put_off.retain(|_, until| *until > now);
            let mut wanted = self.application.wanted();
            locked(&self.kept_waiting).retain(|id| wanted.iter().any(|want| want.batch == *id));
            wanted.retain(|want| !put_off.contains_key(&want.batch));
            wanted.sort_by_key(|want| (!want.decided, want.batch));
            let Some(want) = wanted.first() else {
                let _ = timeout(limits::LOOK, self.application.wants_changed()).await;
                continue;
            };
            let fetched = self.fetch(want).await;
            if fetched != Err(Put::Behind) {
                locked(&self.kept_waiting).remove(&want.batch);
            }
            match fetched {
                Ok(()) if want.decided => self.sign_again(),
                Ok(()) => {}
                Err(put) => {
                    if put == Put::Behind {
                        locked(&self.kept_waiting).insert(want.batch);
                    }
                    put_off.insert(want.batch, Instant::now() + put.wait());
                }
            }
        }
    }

    /// Fetches one batch; else why it is put off.
    async fn fetch(&self, want: &Wanted) -> Result<(), Put> {
        let first = self.application.next_bundle(&want.batch).await;
        let first = first.map_err(|_| Put::Off)?;
        let count = Bundle::count(want.count);
        let mut bundles = stream::iter(first..count)
            .map(|index| self.bundle(want, index))
            .buffered(limits::BUNDLES_AT_ONCE)
            .ready_chunks(BUNDLES_TOGETHER);
        let mut next = first;
        while let Some(ready) = bundles.next().await {
            // What came before one that did not is taken.
            let asked = ready.len();
            let bundles: Vec<_> = ready.into_iter().map_while(|bundle| bundle).collect();
            let all = bundles.len() == asked;
            if bundles.is_empty() {
                return Err(Put::Off);
            }
            let place = next;
            next += bundles.len() as u64;
            match self.application.take_bundles(&want.batch, place, bundles).await {
                Ok(_) if all => {}
                Ok(_) => return Err(Put::Off),
                Err(why @ Refused::Later(_)) => {
                    tracing::debug!("batch {}: {why}", want.batch);
                    return Err(Put::Behind);
                }
                Err(why @ Refused::Batch(_)) => {
                    tracing::warn!("batch {} is not voted for: {why}", want.batch);
                    return Err(Put::Away);
                }
                Err(why @ (Refused::Peer(_) | Refused::Here(_))) => {
                    tracing::warn!("leaves of batch {} cannot be taken: {why}", want.batch);
                    return Err(Put::Off);
                }
            }
        }
        tracing::info!("the {} leaves of batch {} are here", want.count, want.batch);
        Ok(())
    }

    /// 256 leaves from any peer whose answer proves itself.
    async fn bundle(&self, want: &Wanted, index: u64) -> Option<Bundle> {
        let exchange = self.exchange()?;
        let proves = |answer: &Response| match answer {
            Response::Bundle { leaves, path } => {
                let bundle = Bundle { leaves: leaves.clone(), path: path.clone() };
                bundle.verify(&want.root, want.count, index).is_ok()
            }
            _ => false,
        };
        let request = Request::Bundle { batch: want.batch, index };
        let (_, answer): (PeerId, _) = exchange.ask_any(request, proves).await.ok()?;
        match answer {
            Response::Bundle { leaves, path } => Some(Bundle { leaves, path }),
            _ => None,
        }
    }

    /// Votes for batches whose leaves are here, and again before a vote runs out.
    pub(crate) async fn vote_ready(&self) {
        let mut promised = BTreeSet::new();
        loop {
            let voting = self.votes() && !self.application.lacks_leaves() && self.may_promise();
            let ready = self.application.ready_here();
            promised.retain(|batch| ready.contains(batch));
            if voting && self.stopped().is_none() {
                for batch in ready {
                    // Where half of the validators promised one of two batches and half the other,
                    // neither is ever decided: the promise of the higher id is let run out.
                    if promised.contains(&batch) && self.gives_way(&batch) {
                        continue;
                    }
                    promised.insert(batch);
                    self.vote_for(batch).await;
                }
            }
            let _ = timeout(limits::LOOK, self.application.wants_changed()).await;
        }
    }

    /// Whether a batch that comes first waits for a promise to run out.
    fn gives_way(&self, batch: &BatchId) -> bool {
        locked(&self.kept_waiting).first().is_some_and(|first| first < batch)
    }

    async fn vote_for(&self, batch: BatchId) {
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
                let _ = locked(&self.votes).add(&self.network, &validators, &vote);
                if let Some(exchange) = self.exchange() {
                    exchange.tell_all(&Self::vote_message(&vote));
                }
                self.news.notify_waiters();
            }
            Err(error) => tracing::warn!("no vote can be signed: {error}"),
        }
    }
}
