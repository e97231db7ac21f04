use crate::Error;
use crate::node::Node;
use muster_api::{Problem, limits};
use muster_ledger::ConsistencyProof;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The snapshot that was made last, for as long as it is handed out.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(Arc<Mutex<Option<Made>>>);

#[derive(Debug)]
struct Made {
    at: Instant,
    bytes: Arc<Vec<u8>>,
}

const KEPT: Duration = Duration::from_secs(limits::SNAPSHOT_KEPT_SECONDS);

impl Node {
    /// The ledger under a head that is at most some seconds old, in one piece.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Vec<u8>>, Problem> {
        // One is made at a time, and whoever asks meanwhile waits for it. The lock goes with the
        // work: a request that is given up does not let the next one begin a second.
        let mut made = self.snapshots.0.clone().lock_owned().await;
        if let Some(made) = made.as_ref().filter(|made| made.at.elapsed() < KEPT) {
            return Ok(made.bytes.clone());
        }
        let published = self.published();
        let work = tokio::task::spawn_blocking(move || {
            // The old one first: two would be twice the memory.
            *made = None;
            let bytes = published.chain.snapshot(&published.checkpoint);
            let bytes = bytes.map_err(Error::damaged)?.map(Arc::new);
            *made = bytes.clone().map(|bytes| Made { at: Instant::now(), bytes });
            Ok::<_, Error>(bytes)
        });
        let bytes = work.await.map_err(|e| Error::Us(e.to_string()))??;
        let bytes = bytes.ok_or_else(|| {
            Problem::new(404, "empty", "the log has no entries").cure("its genesis is all of it")
        })?;
        let kept = Arc::downgrade(&self.snapshots.0);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            let Some(kept) = kept.upgrade() else { return };
            let mut made = kept.lock().await;
            if made.as_ref().is_some_and(|made| made.at.elapsed() >= KEPT) {
                *made = None;
            }
        });
        Ok(bytes)
    }

    /// Proof that the log of `to` entries begins with that of `from`, under the newest head.
    pub(crate) fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof, Problem> {
        let size = self.published().checkpoint.head().size;
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        let proof = (to <= size).then(|| log.consistency(from, to)).flatten();
        proof.map(ConsistencyProof).ok_or_else(|| {
            Problem::new(404, "no-such-log", format!("the log has {size} entries"))
                .cure("ask for 1 <= from <= to <= its entries")
        })
    }
}
