//! A search, read; and what is found.

use super::asking::DeviceSearch;
use super::cursor::{At, Cursor, Phase};
use super::roster::Which;
use super::stated;
use super::text::{Text, head};
use crate::Error;
use crate::claims::Claim;
use muster_identity::Did;
use muster_ledger::{BatchId, BatchRecord, DeviceKey, DeviceRecord, Status, owner_of};
use std::cmp::Reverse;
use std::sync::Arc;

/// A search, read.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    pub(super) organisation: Option<Did>,
    pub(super) text: Option<Text>,
    pub(super) lot: Option<String>,
    pub(super) which: Which,
}

impl Query {
    pub(super) fn of(search: &DeviceSearch) -> Self {
        Self {
            organisation: search.organisation,
            text: search.text.as_deref().and_then(Text::read),
            lot: search.lot.clone(),
            which: Which {
                model: search.model.clone(),
                owner: search.owner,
                batch: search.batch,
                state: search.state,
            },
        }
    }

    /// The phases that it goes through.
    pub(super) fn phases(&self) -> Vec<Phase> {
        // Lots are private: without an organisation nobody has one.
        if self.lot.is_some() && self.organisation.is_none() {
            return Vec::new();
        }
        let Some(text) = &self.text else { return vec![Phase::Batches] };
        let private = self.organisation.is_some();
        let lot = self.lot.as_ref().is_none_or(|lot| *lot == text.text);
        [
            (Phase::Serials, private && text.may_be_serial()),
            (Phase::Lot, private && text.may_be_lot() && lot),
            (Phase::Dids, text.dids.is_some()),
            (Phase::Keys, !text.keys.is_empty()),
        ]
        .into_iter()
        .filter_map(|(phase, may)| may.then_some(phase))
        .collect()
    }

    /// The lot by which a phase finds devices.
    pub(super) fn lot_of(&self, phase: Phase) -> Option<&str> {
        match phase {
            Phase::Lot => self.text.as_ref().map(|text| text.text.as_str()),
            _ => self.lot.as_deref(),
        }
    }

    /// Whether a device belongs to it, but for its text.
    pub(super) fn admits(&self, found: &Found) -> bool {
        let which = &self.which;
        which.model.as_ref().is_none_or(|model| *model == found.batch.model)
            && which.owner.is_none_or(|owner| owner == found.owner())
            && which.batch.is_none_or(|batch| batch == found.batch_id)
            && which.state.is_none_or(|state| state == found.status)
            && self.lot.as_ref().is_none_or(|lot| found.lot.as_ref() == Some(lot))
    }

    /// The place at which a device is found: that of the first phase that finds it.
    pub(super) fn place(&self, found: &Found) -> Result<Option<Cursor>, Error> {
        let by_batch = At::Batch(Reverse(found.batch.entry), found.name);
        let Some(text) = &self.text else { return Ok(Some(Cursor(Phase::Batches, by_batch))) };
        if let Some(serial) = found.serial.as_ref().filter(|s| s.starts_with(&text.text)) {
            return Ok(Some(Cursor(Phase::Serials, At::Serial(serial.clone()))));
        }
        if found.lot.as_ref() == Some(&text.text) {
            return Ok(Some(Cursor(Phase::Lot, by_batch)));
        }
        if text.is_of(&found.did) {
            return Ok(Some(Cursor(Phase::Dids, At::Name(found.name))));
        }
        if text.keys.is_empty() {
            return Ok(None);
        }
        let mut keys = vec![stated::key_of(&found.leaf)?];
        if let Some(record) = &found.record {
            keys.extend(record.retired.iter().map(|retired| retired.key.to_multicodec()));
            if let DeviceKey::Held(key) = &record.key {
                keys.push(key.to_multicodec());
            }
        }
        let heads = keys.iter().filter(|key| text.is_of_key(key)).filter_map(|key| head(key));
        Ok(heads.min().map(|head| Cursor(Phase::Keys, At::Key(head, found.name))))
    }
}

/// A device that may belong to a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Place of its batch in the log.
    pub(super) entry: u64,
    pub(super) name: Claim,
    /// Its leaf, where it was read with it.
    pub(super) leaf: Option<Vec<u8>>,
    pub(super) at: Cursor,
}

/// A device with all that a search may ask about it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) batch_id: BatchId,
    pub(super) batch: Arc<BatchRecord>,
    pub(super) did: Did,
    pub(super) name: Claim,
    pub(super) leaf: Vec<u8>,
    pub(super) record: Option<DeviceRecord>,
    pub(super) status: Status,
    pub(super) serial: Option<String>,
    pub(super) lot: Option<String>,
    pub(super) at: Cursor,
}

impl Found {
    /// The organisation answerable for it.
    pub(super) fn owner(&self) -> Did {
        *owner_of(self.record.as_ref(), &self.batch)
    }

    /// Whose changes are its own: its batch's, until it left.
    pub(super) fn subjects(&self) -> impl Iterator<Item = [u8; 32]> + use<> {
        let left = self.record.as_ref().is_some_and(|record| record.left.is_some());
        [*self.did.digest()].into_iter().chain((!left).then_some(self.batch_id.0))
    }
}
