//! What a ledger has besides devices: read off its state once at the start, and kept up with each
//! block, so that nobody who asks has to look through the records of a million devices.

use crate::Error;
use crate::node::{Node, Published};
use muster_identity::Did;
use muster_identity::cbor::Decode;
use muster_ledger::{
    BatchId, BatchRecord, Chain, Changes, GrantId, GrantRecord, OrganisationRecord, StateKey,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records of the small kinds, in the order of their keys.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Overview {
    pub(crate) organisations: BTreeMap<Did, Arc<OrganisationRecord>>,
    pub(crate) grants: BTreeMap<GrantId, Arc<GrantRecord>>,
    pub(crate) batches: BTreeMap<BatchId, Arc<BatchRecord>>,
    /// Enrolled devices.
    pub(crate) devices: u64,
}

impl Overview {
    /// That of a ledger: looks at every record.
    pub(crate) fn of(chain: &Chain) -> Result<Self, Error> {
        let mut all = Self::default();
        for (key, bytes) in chain.state().iter() {
            all.put(&key, bytes)?;
        }
        Ok(all)
    }

    /// What a block makes of it; the same value if the block is about devices alone.
    pub(crate) fn after(self: &Arc<Self>, changes: &Changes) -> Result<Arc<Self>, Error> {
        let small = |key: &StateKey| {
            matches!(key, StateKey::Organisation(_) | StateKey::Grant(_) | StateKey::Batch(_))
        };
        if !changes.0.keys().any(small) {
            return Ok(self.clone());
        }
        let mut next = Self::clone(self);
        for (key, bytes) in &changes.0 {
            next.put(key, bytes)?;
        }
        Ok(Arc::new(next))
    }

    fn put(&mut self, key: &StateKey, bytes: &[u8]) -> Result<(), Error> {
        match key {
            StateKey::Organisation(did) => {
                self.organisations.insert(*did, Arc::new(record(bytes)?));
            }
            StateKey::Grant(id) => {
                self.grants.insert(*id, Arc::new(record(bytes)?));
            }
            StateKey::Batch(id) => {
                let batch: Arc<BatchRecord> = Arc::new(record(bytes)?);
                self.devices += batch.count;
                if let Some(before) = self.batches.insert(*id, batch) {
                    self.devices -= before.count;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Devices that an organisation may enrol: what its grants allow, and of those that were
    /// withdrawn what was used.
    pub(crate) fn granted(&self, organisation: &Did) -> u64 {
        let own = self.grants.values().filter(|grant| grant.organisation == *organisation);
        let counts = own.map(|grant| if grant.withdrawn { grant.used } else { grant.count });
        counts.fold(0, u64::saturating_add)
    }
}

pub(crate) fn record<T: Decode>(bytes: &[u8]) -> Result<T, Error> {
    T::from_cbor(bytes).map_err(Error::damaged)
}

impl Node {
    /// The newest signed head and its overview.
    pub(crate) fn overview(&self) -> Result<(Arc<Published>, Arc<Overview>), Error> {
        let published = self.published()?;
        let overview = published.overview.clone();
        Ok((published, overview))
    }
}
