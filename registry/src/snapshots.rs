use crate::Error;
use crate::node::Node;
use muster_api::{Problem, limits};
use muster_ledger::ConsistencyProof;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The snapshot that was made last, for as long as it is handed out.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    made: Option<Made>,
    /// Those made before, which somebody may still read.
    earlier: Vec<Weak<Vec<u8>>>,
}

#[derive(Debug)]
struct Made {
    at: Instant,
    bytes: Arc<Vec<u8>>,
}

const KEPT: Duration = Duration::from_secs(limits::SNAPSHOT_KEPT_SECONDS);
const READ: Duration = Duration::from_secs(limits::SNAPSHOT_READ_SECONDS);

impl Shelf {
    /// The one to hand out now. Whoever reads slowly keeps a copy in memory, so another is made
    /// only if that leaves but a few.
    fn current(&self) -> Option<&Arc<Vec<u8>>> {
        let made = self.made.as_ref()?;
        let age = made.at.elapsed();
        let read = Arc::strong_count(&made.bytes) > 1;
        let earlier = self.earlier.iter().filter(|earlier| earlier.strong_count() > 0).count();
        let full = earlier + 1 >= limits::SNAPSHOT_COPIES;
        (age < KEPT || read && (age < READ || full)).then_some(&made.bytes)
    }

    /// Leaves the last one to those who read it.
    fn put_away(&mut self) {
        self.earlier.retain(|earlier| earlier.strong_count() > 0);
        if let Some(made) = self.made.take()
            && Arc::strong_count(&made.bytes) > 1
        {
            self.earlier.push(Arc::downgrade(&made.bytes));
        }
    }
}

impl Node {
    /// The ledger under a head that is at most some seconds old, a minute if others still read it,
    /// in one piece.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Vec<u8>>, Problem> {
        // One is made at a time, and whoever asks meanwhile waits for it. The lock goes with the
        // work: a request that is given up does not let the next one begin a second.
        let mut shelf = self.snapshots.0.clone().lock_owned().await;
        if let Some(bytes) = shelf.current() {
            return Ok(bytes.clone());
        }
        let published = self.published()?;
        let work = tokio::task::spawn_blocking(move || {
            // The old one first: two would be twice the memory.
            shelf.put_away();
            let bytes = published.chain.snapshot(&published.checkpoint);
            let bytes = bytes.map_err(Error::damaged)?.map(Arc::new);
            shelf.made = bytes.clone().map(|bytes| Made { at: Instant::now(), bytes });
            Ok::<_, Error>(bytes)
        });
        let bytes = work.await.map_err(|e| Error::Us(e.to_string()))??;
        let bytes = bytes.ok_or_else(|| {
            Problem::new(404, "empty", "the log has no entries").cure("its genesis is all of it")
        })?;
        let (kept, this) = (Arc::downgrade(&self.snapshots.0), Arc::downgrade(&bytes));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEPT).await;
                let Some(kept) = kept.upgrade() else { return };
                let mut shelf = kept.lock().await;
                // Another one took its place, and is looked after by its own task.
                let this_one = |made: &Made| this.as_ptr() == Arc::as_ptr(&made.bytes);
                if !shelf.made.as_ref().is_some_and(this_one) {
                    return;
                }
                if shelf.current().is_none() {
                    return shelf.put_away();
                }
            }
        });
        Ok(bytes)
    }

    /// Proof that the log of `to` entries begins with that of `from`, under the newest head.
    pub(crate) fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof, Problem> {
        let size = self.published()?.checkpoint.head().size;
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        let proof = (to <= size).then(|| log.consistency(from, to)).flatten();
        proof.map(ConsistencyProof).ok_or_else(|| {
            Problem::new(404, "no-such-log", format!("the log has {size} entries"))
                .cure("ask for 1 <= from <= to <= its entries")
        })
    }
}
