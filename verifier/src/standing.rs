//! What the roll says of a device: its key, its owner, and whether it is in good standing.

use crate::{Enrolment, Evidence, EvidenceFault, Policy, Reason, RollView, Rules};
use muster_identity::{Did, PublicKey};
use muster_ledger::{
    BatchId, BatchRecord, DeviceKey, DeviceRecord, Retired, View, owner_of, status,
};

/// A device as the roll knows it.
pub(crate) struct Known {
    record: Option<DeviceRecord>,
    /// Of the record, or of the leaf where there is none.
    key: DeviceKey,
    pub(crate) batch_id: BatchId,
    pub(crate) batch: BatchRecord,
}

impl Known {
    /// Looks a device up. A record of the state replaces the leaf's key; without one the leaf
    /// speaks, and only with evidence.
    pub(crate) fn find(
        did: &Did,
        evidence: Evidence<'_>,
        roll: RollView<'_, impl View>,
    ) -> Result<Self, Reason> {
        if let Some(record) = roll.state.device(did).map_err(|_| Reason::Damaged)? {
            let batch = batch(&record.batch, roll)?.ok_or(Reason::Damaged)?;
            let (key, batch_id) = (record.key, record.batch);
            return Ok(Self { record: Some(record), key, batch_id, batch });
        }
        let checked;
        let enrolment = match evidence {
            Evidence::None => return Err(Reason::UnknownDevice),
            Evidence::Checked(enrolment) => enrolment,
            Evidence::Part(part) => {
                checked = Enrolment::check(part, roll)?;
                &checked
            }
        };
        if enrolment.did() != *did {
            return Err(Reason::BadDevicePart);
        }
        let batch_id = enrolment.batch();
        let batch = batch(&batch_id, roll)?.ok_or(Reason::UnknownDevice)?;
        if !enrolment.is_of(&batch) {
            return Err(Reason::BadDevicePart);
        }
        let key = DeviceKey::Held(enrolment.device().leaf().inception.key);
        Ok(Self { record: None, key, batch_id, batch })
    }

    /// As [`Self::find`], for a device whose enrolment with this key and batch was checked.
    pub(crate) fn find_again(
        did: &Did,
        key: PublicKey,
        batch_id: BatchId,
        roll: RollView<'_, impl View>,
    ) -> Result<Self, Reason> {
        if roll.state.device(did).map_err(|_| Reason::Damaged)?.is_some() {
            return Self::find(did, Evidence::None, roll);
        }
        let batch = batch(&batch_id, roll)?.ok_or(Reason::UnknownDevice)?;
        Ok(Self { record: None, key: DeviceKey::Held(key), batch_id, batch })
    }

    /// The present key, if `names` recognises it; none if it is the device's own and `names_own`
    /// recognises that by the DID; else why what they recognise is not the present key.
    pub(crate) fn key(
        &self,
        names: impl Fn(&PublicKey) -> bool,
        names_own: impl Fn() -> bool,
    ) -> Result<Option<PublicKey>, Reason> {
        match self.key {
            DeviceKey::Held(key) if names(&key) => return Ok(Some(key)),
            // The DID is the hash of this key's inception: nobody but the device has such a key.
            DeviceKey::Own if names_own() => return Ok(None),
            _ => {}
        }
        let retired = self.record.iter().flat_map(|record| &record.retired);
        match retired.into_iter().find(|retired| names(&retired.key)).map(|retired| retired.why) {
            // A key that was recovered from may be in a thief's hands.
            Some(Retired::Revoked | Retired::Recovered) => Err(Reason::KeyRevoked),
            Some(Retired::Rotated) | None => Err(Reason::WrongKey),
        }
    }

    /// The organisation answerable for it.
    pub(crate) fn owner(&self) -> &Did {
        owner_of(self.record.as_ref(), &self.batch)
    }

    /// What is asked of it.
    pub(crate) fn rules(&self, policy: &Policy, path: Option<&str>) -> Rules {
        policy.rules(self.owner(), &self.batch_id, &self.batch.model, path)
    }

    /// Refuses what is not in good standing, or cannot be known to be; says whether the roll is
    /// older than it should be.
    pub(crate) fn check(
        &self,
        roll: RollView<'_, impl View>,
        rules: Rules,
    ) -> Result<bool, Reason> {
        // An old roll cannot say "yes"; its "no" stays true where it is for good, and a hold is
        // refused either way.
        let standing = status(self.record.as_ref(), &self.batch, roll.checkpoint_time);
        if let Some(refusal) = Reason::of_status(standing) {
            return Err(refusal);
        }
        rules.check(roll.age_ms)
    }
}

fn batch(id: &BatchId, roll: RollView<'_, impl View>) -> Result<Option<BatchRecord>, Reason> {
    roll.state.batch(id).map_err(|_| Reason::Damaged)
}

impl From<EvidenceFault> for Reason {
    fn from(fault: EvidenceFault) -> Self {
        match fault {
            EvidenceFault::UnknownBatch => Self::UnknownDevice,
            EvidenceFault::False => Self::BadDevicePart,
            EvidenceFault::Damaged => Self::Damaged,
        }
    }
}
