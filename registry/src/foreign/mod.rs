//! Leaves that other nodes bring: what is wanted, what is ready, what was promised of it.

mod judge;
mod promises;
mod serve;
mod take;

pub(crate) use promises::Promises;

use crate::Error;
use crate::consensus::Wanted;
use crate::limits::{FOREIGN_BATCHES, FOREIGN_OF_ONE, WANTED_AT_ONCE};
use crate::node::{Node, locked};
use crate::reserved::Reserved;
use muster_ledger::{BatchId, Time, View as _};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify};

/// What is known of leaves that other nodes bring.
pub(crate) struct Foreign {
    /// Uploads of leaves that are being fetched; they are held.
    fetching: Mutex<BTreeMap<BatchId, (u64, Reserved)>>,
    promises: Mutex<Promises>,
    /// One bundle at a time is taken.
    taking: AsyncMutex<()>,
    /// One batch at a time gets its leaves back.
    flipping: AsyncMutex<()>,
    /// The batch that was served last, and its number.
    served: Mutex<Option<(BatchId, serve::Source)>>,
    changed: Notify,
}

/// The store's name of the upload for a batch of another node's. No client can guess an upload
/// into such a name: theirs are hashes.
pub(crate) fn token(batch: &BatchId) -> [u8; 32] {
    let mut token = [0; 32];
    token[..8].copy_from_slice(&MARK);
    token[8..].copy_from_slice(&batch.0[..24]);
    token
}

/// Whether an upload of this name holds leaves of another node's batch.
pub(crate) fn is_foreign(token: &[u8; 32]) -> bool {
    token[..8] == MARK
}

const MARK: [u8; 8] = *b"foreign\0";

impl Foreign {
    pub(crate) fn new(promises: Promises) -> Self {
        Self {
            fetching: Mutex::default(),
            promises: Mutex::new(promises),
            taking: AsyncMutex::new(()),
            flipping: AsyncMutex::new(()),
            served: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// What is wanted or ready may have changed.
    pub(crate) fn tell(&self) {
        self.changed.notify_one();
    }

    /// Resolves when it may have changed since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Node {
    /// The ledger's time: promises and clocks are measured by it.
    pub(crate) fn ledger_time(&self) -> Time {
        let published = self.published().map(|p| p.checkpoint.head().time).unwrap_or_default();
        self.decided().time().max(published)
    }

    /// Whether leaves of an upload were promised, and the promise is in force.
    pub(crate) fn promised(&self, upload: u64) -> bool {
        locked(&self.foreign.promises).holds(upload, self.ledger_time())
    }

    /// The batches whose leaves this node lacks.
    pub(crate) fn wanted_batches(&self) -> Vec<Wanted> {
        let chain = self.decided();
        let lost = self.lost.first(WANTED_AT_ONCE).into_iter().filter_map(|batch| {
            let record = chain.state().batch(&batch).ok()??;
            Some(Wanted {
                batch,
                organisation: chain.state().manufacturer(&record).ok()?,
                grant: record.grant,
                model: record.model,
                count: record.count,
                root: record.root,
                decided: true,
            })
        });
        let mut wanted: Vec<Wanted> = lost.collect();
        let mut of_one: BTreeMap<_, usize> = BTreeMap::new();
        let now = self.host.now().max(chain.time());
        let announced = self.mempool.batches(|all| {
            let open = all.iter().filter(|(_, b)| b.flip().is_none() && !b.is_refused());
            let open = open.map(|(id, b)| (*id, b.author, b.enrol.clone()));
            open.collect::<Vec<_>>()
        });
        let fetching = |id: &BatchId| locked(&self.foreign.fetching).contains_key(id);
        // What was begun comes first, so that nothing is begun twice.
        let (begun, others): (Vec<_>, Vec<_>) =
            announced.into_iter().partition(|(id, ..)| fetching(id));
        let mut places = FOREIGN_BATCHES;
        for (batch, organisation, enrol) in begun.into_iter().chain(others) {
            let count = of_one.entry(organisation).or_default();
            let operation = self.mempool.announces(&batch);
            let accepted = operation.is_some_and(|op| chain.try_apply(&op.verified, now).is_ok());
            if places == 0 || *count >= FOREIGN_OF_ONE || !accepted {
                continue;
            }
            (places, *count) = (places - 1, *count + 1);
            wanted.push(Wanted {
                batch,
                organisation,
                grant: enrol.grant,
                model: enrol.model,
                count: enrol.count,
                root: enrol.root,
                decided: false,
            });
        }
        wanted
    }

    /// Announced batches whose leaves are here.
    pub(crate) fn ready_batches(&self) -> Vec<BatchId> {
        self.mempool.batches(|all| {
            let ready = all.iter().filter(|(_, batch)| batch.flip().is_some());
            ready.map(|(id, _)| *id).collect()
        })
    }

    /// Promises to keep the leaves of a batch until a moment, durably.
    pub(crate) async fn make_promise(&self, batch: &BatchId, until: Time) -> Result<(), Error> {
        let turn = self.staging.acquire().await.map_err(|e| Error::Us(e.to_string()))?;
        let missing = || Error::Caller(format!("the leaves of batch {batch} are not ready here"));
        let flip = self.mempool.flip(batch).ok_or_else(missing)?;
        let uploads = self.store.uploads().await?;
        let sealed = Some((flip.count, flip.root));
        if !uploads.iter().any(|u| u.number == flip.upload && u.sealed == sealed) {
            return Err(missing());
        }
        let now = self.ledger_time();
        locked(&self.foreign.promises).make(batch, flip.upload, until, now)?;
        drop(turn);
        Ok(())
    }
}
