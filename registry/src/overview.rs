//! What a ledger has besides devices, read off its state once per block and shared by all who ask.

use crate::Error;
use crate::node::{Node, Published};
use muster_identity::Did;
use muster_identity::cbor::Decode;
use muster_ledger::{
    BatchId, BatchRecord, Chain, GrantId, GrantRecord, OrganisationRecord, StateKey,
};
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
    fn of(chain: &Chain) -> Result<Self, Error> {
        let mut all = Self::default();
        for (key, bytes) in chain.state().iter() {
            match key {
                StateKey::Organisation(did) => all.organisations.push((did, record(bytes)?)),
                StateKey::Grant(id) => all.grants.push((id, record(bytes)?)),
                StateKey::Batch(id) => all.batches.push((id, record(bytes)?)),
                _ => {}
            }
        }
        all.organisations.sort_by_key(|(did, _)| *did);
        all.grants.sort_by_key(|(id, _)| *id);
        all.batches.sort_by_key(|(id, _)| *id);
        all.devices = all.batches.iter().map(|(_, batch)| batch.count).sum();
        Ok(all)
    }
}

pub(crate) fn record<T: Decode>(bytes: &[u8]) -> Result<T, Error> {
    T::from_cbor(bytes).map_err(Error::damaged)
}

impl Node {
    /// The newest signed head and its overview. Finding the few records among those of a million
    /// devices takes a while: one walk at a time, off the threads that answer, and those who ask
    /// meanwhile wait for it. The walk holds the place itself, so that whoever hangs up starts no
    /// second one.
    pub(crate) async fn overview(&self) -> Result<(Arc<Published>, Arc<Overview>), Error> {
        let mut kept = self.overviews.clone().lock_owned().await;
        let published = self.published();
        let size = published.chain.size();
        if let Some((_, overview)) = kept.as_ref().filter(|(of, _)| *of == size) {
            return Ok((published, overview.clone()));
        }
        let walk = tokio::task::spawn_blocking(move || {
            let overview = Arc::new(Overview::of(&published.chain)?);
            *kept = Some((size, overview.clone()));
            Ok((published, overview))
        });
        walk.await.map_err(|e| Error::Us(e.to_string()))?
    }
}
