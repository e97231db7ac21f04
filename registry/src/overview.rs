//! What a ledger has besides devices, read off its state once per block and shared by all who ask.

use crate::Error;
use crate::node::{Node, Published};
use muster_identity::Did;
use muster_identity::cbor::Decode;
use muster_ledger::{
    BatchId, BatchRecord, Chain, GrantId, GrantRecord, OrganisationRecord, StateKey, View as _,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Records of the small kinds, in the order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    pub(crate) organisations: Vec<(Did, OrganisationRecord)>,
    pub(crate) grants: Vec<(GrantId, GrantRecord)>,
    pub(crate) batches: Vec<(BatchId, BatchRecord)>,
    /// Enrolled devices.
    pub(crate) devices: u64,
}

/// The overview made last, and of how many entries. Signing a quiet head anew changes nothing in it.
pub(crate) type Overviews = Arc<Mutex<Option<(u64, Arc<Overview>)>>>;

impl Overview {
    /// Reads the records of these keys, where the ledger has them.
    fn of(chain: &Chain, keys: &BTreeSet<StateKey>) -> Result<Self, Error> {
        let mut all = Self::default();
        for key in keys {
            let Some(bytes) = chain.state().record(key) else { continue };
            match key {
                StateKey::Organisation(did) => all.organisations.push((*did, record(&bytes)?)),
                StateKey::Grant(id) => all.grants.push((*id, record(&bytes)?)),
                StateKey::Batch(id) => all.batches.push((*id, record(&bytes)?)),
                _ => {}
            }
        }
        all.devices = all.batches.iter().map(|(_, batch)| batch.count).sum();
        Ok(all)
    }
}

pub(crate) fn record<T: Decode>(bytes: &[u8]) -> Result<T, Error> {
    T::from_cbor(bytes).map_err(Error::damaged)
}

impl Node {
    /// The newest signed head and its overview. The roster knows the few keys among those of a
    /// million devices. One reads them at a time, off the threads that answer, and those who ask
    /// meanwhile wait for it; it holds the place itself, so that whoever hangs up starts no second
    /// one.
    pub(crate) async fn overview(&self) -> Result<(Arc<Published>, Arc<Overview>), Error> {
        let mut kept = self.overviews.clone().lock_owned().await;
        let published = self.published();
        let size = published.chain.size();
        if let Some((_, overview)) = kept.as_ref().filter(|(of, _)| *of == size) {
            return Ok((published, overview.clone()));
        }
        let keys = self.console.small_keys();
        let read = tokio::task::spawn_blocking(move || {
            let overview = Arc::new(Overview::of(&published.chain, &keys)?);
            *kept = Some((size, overview.clone()));
            Ok((published, overview))
        });
        read.await.map_err(|e| Error::Us(e.to_string()))?
    }
}
