//! Batches whose leaves are not here: they were enrolled after the backup that was put back. The
//! ledger has their entries and roots, so they are held, revoked and proved as before; what needs
//! a leaf (device, part, receipt, resolution) waits until somebody enrols their file once more.

use crate::Error;
use crate::node::Node;
use crate::store::{Flip, Store, Upload};
use muster_api::Problem;
use muster_ledger::{BatchId, Chain, Enrol, StateKey};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The batches that a warning names, at most.
const NAMED: usize = 10;

/// Which they are, and whether the operator lives with it.
pub(crate) struct Lost {
    batches: Mutex<BTreeSet<BatchId>>,
    accepted: bool,
    /// Whether peers may have the leaves.
    alone: bool,
}

/// The batches of a ledger whose leaves are not in its store.
pub(crate) async fn find(store: &dyn Store, chain: &Chain) -> Result<BTreeSet<BatchId>, Error> {
    let here: BTreeSet<BatchId> = store.batch_ids().await?.into_iter().collect();
    let all = chain.state().iter().filter_map(|(key, _)| match key {
        StateKey::Batch(id) => Some(id),
        _ => None,
    });
    Ok(all.filter(|id| !here.contains(id)).collect())
}

impl Lost {
    /// Says what is lost, if anything is.
    pub(crate) fn new(batches: BTreeSet<BatchId>, accepted: bool, alone: bool) -> Self {
        if !batches.is_empty() && alone {
            let named: Vec<_> = batches.iter().take(NAMED).map(BatchId::to_string).collect();
            tracing::warn!(
                "the leaves of {} batches are not here: {}{}; enrol their files again to bring \
                 them back{}",
                batches.len(),
                named.join(", "),
                if batches.len() > NAMED { ", ..." } else { "" },
                if accepted { "" } else { "; until then no other batch is enrolled" },
            );
        }
        Self { batches: Mutex::new(batches), accepted, alone }
    }

    fn batches(&self) -> MutexGuard<'_, BTreeSet<BatchId>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The leaves of a decided batch are not here.
    pub(crate) fn add(&self, batch: BatchId) {
        self.batches().insert(batch);
    }

    /// They are.
    pub(crate) fn remove(&self, batch: &BatchId) {
        self.batches().remove(batch);
    }

    /// Whether this batch lacks its leaves.
    pub(crate) fn contains(&self, batch: &BatchId) -> bool {
        self.batches().contains(batch)
    }

    /// Some of them.
    pub(crate) fn first(&self, count: usize) -> Vec<BatchId> {
        self.batches().iter().take(count).copied().collect()
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.batches().len()
    }

    /// Refuses a new enrolment: whether its devices and keys are on the ledger already, nobody can
    /// tell while leaves are missing.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let batches = self.batches();
        match batches.first() {
            Some(_) if !self.alone => {
                let title = "the leaves of some batches are still being fetched from peers: whether \
                    these devices are on the ledger already cannot be told";
                Err(Problem::new(503, "leaves-missing", title).cure("try again later"))
            }
            Some(first) if !self.accepted => {
                let title = format!(
                    "the leaves of {} batches were lost, such as {first}: whether these devices \
                     are on the ledger already cannot be told",
                    batches.len()
                );
                Err(Problem::new(409, "leaves-lost", title).cure(
                    "enrol the files of those batches again, which brings their leaves back; or \
                     start the node with --accept-lost-leaves",
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Node {
    /// If a sealed upload holds the leaves of a batch that lost them, it becomes that batch: the
    /// root, which the entry on the ledger signs, says that they are the same.
    pub(crate) async fn bring_back(
        &self,
        upload: &Upload,
        count: u64,
        root: [u8; 32],
    ) -> Result<bool, Problem> {
        let enrol = Enrol { grant: upload.grant, model: upload.model.clone(), count, root };
        let batch = enrol.batch(&self.network);
        if upload.rehearsal || !self.lost.contains(&batch) {
            return Ok(false);
        }
        // Held so that nobody takes rows out of it meanwhile.
        let _held = self.reserved.upload(upload.number).ok_or_else(crate::upload::under_way)?;
        let flip = Flip { upload: upload.number, batch, count, root };
        self.store.flip(flip).await?;
        self.console.found(&flip);
        self.lost.remove(&batch);
        tracing::info!("the leaves of batch {batch} are back");
        Ok(true)
    }
}
