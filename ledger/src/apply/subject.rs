//! What an operation is about: a device or batch, who owns it and how it stands.

use super::{Author, Changes, Context, View};
use crate::records::{owner_of, status};
use crate::{
    BatchId, BatchRecord, Capability, DeviceKey, DevicePart, DeviceRecord, DeviceRef,
    EnrolledDevice, Offer, Refusal, Standing, StateKey, Status, Target, Time,
};
use alloc::boxed::Box;
use muster_identity::Did;

/// A device or batch as the state knows it, about to change.
pub(super) enum Subject {
    Device { did: Did, record: Box<DeviceRecord>, batch: BatchRecord },
    Batch { id: BatchId, record: BatchRecord },
}

impl Subject {
    pub(super) fn device(did: Did, record: DeviceRecord, batch: BatchRecord) -> Self {
        Self::Device { did, record: Box::new(record), batch }
    }

    pub(super) fn load(view: &impl View, target: &Target) -> Result<Self, Refusal> {
        match target {
            Target::Device(device) => load_device(view, device)
                .map(|(record, batch)| Self::device(device.did, record, batch)),
            Target::Batch(id) => view
                .batch(id)?
                .map(|record| Self::Batch { id: *id, record })
                .ok_or(Refusal::UnknownBatch(*id)),
        }
    }

    pub(super) fn owner(&self) -> &Did {
        match self {
            Self::Device { record, batch, .. } => owner_of(Some(record), batch),
            Self::Batch { record, .. } => &record.owner,
        }
    }

    pub(super) fn standing(&mut self) -> &mut Standing {
        match self {
            Self::Device { record, .. } => &mut record.standing,
            Self::Batch { record, .. } => &mut record.standing,
        }
    }

    pub(super) fn seq(&self) -> u64 {
        match self {
            Self::Device { record, .. } => record.seq,
            Self::Batch { record, .. } => record.seq,
        }
    }

    /// How many devices it is.
    pub(super) fn devices(&self) -> u64 {
        match self {
            Self::Device { .. } => 1,
            Self::Batch { record, .. } => record.count,
        }
    }

    pub(super) fn offer(&mut self) -> &mut Option<Box<Offer>> {
        match self {
            Self::Device { record, .. } => &mut record.offer,
            Self::Batch { record, .. } => &mut record.offer,
        }
    }

    /// Of a device in its batch, the batch's change counter: a change there is one of the device.
    pub(super) fn batch_seq(&self) -> Option<u64> {
        match self {
            Self::Device { record, batch, .. } => record.left.is_none().then_some(batch.seq),
            Self::Batch { .. } => None,
        }
    }

    /// Its standing, the batch's included.
    pub(super) fn status(&self, time: Time) -> Status {
        match self {
            Self::Device { record, batch, .. } => status(Some(record), batch, time),
            Self::Batch { record, .. } => record.standing.at(time),
        }
    }

    /// Writes it back, one change later. What was offered is offered no more.
    pub(super) fn store(mut self) -> Changes {
        *self.offer() = None;
        self.store_offered()
    }

    /// Writes it back with the offer that it has.
    pub(super) fn store_offered(self) -> Changes {
        let mut changes = Changes::default();
        match self {
            Self::Device { did, mut record, .. } => {
                record.seq += 1;
                changes.put(StateKey::Device(did), &*record);
            }
            Self::Batch { id, mut record } => {
                record.seq += 1;
                changes.put(StateKey::Batch(id), &record);
            }
        }
        changes
    }
}

/// A device's record and its batch's. The first time, the record is made from the device part.
pub(super) fn load_device(
    view: &impl View,
    device: &DeviceRef,
) -> Result<(DeviceRecord, BatchRecord), Refusal> {
    let did = device.did;
    if let Some(record) = view.device(&did)? {
        let batch = view.batch(&record.batch)?.ok_or(Refusal::Corrupt("a device without batch"))?;
        return Ok((record, batch));
    }
    let part = device.part.as_deref().ok_or(Refusal::DevicePartMissing(did))?;
    let batch = view.batch(&part.batch)?.ok_or(Refusal::UnknownBatch(part.batch))?;
    let enrolled = enrolled(&did, part, &batch)?;
    let inception = &enrolled.leaf().inception;
    let record = DeviceRecord {
        batch: part.batch,
        index: part.index,
        seq: 0,
        key: DeviceKey::of(&did, inception.key),
        retired: Default::default(),
        next_key: inception.next_key,
        standing: Standing::default(),
        left: None,
        offer: None,
    };
    Ok((record, batch))
}

/// The device whose part this is, by the batch that the part names.
pub(super) fn enrolled(
    did: &Did,
    part: &DevicePart,
    batch: &BatchRecord,
) -> Result<EnrolledDevice, Refusal> {
    let enrolled = part.verify(batch).ok().filter(|enrolled| enrolled.did() == *did);
    enrolled.ok_or(Refusal::DevicePart(*did))
}

/// The author must be the owner with `operate`.
pub(super) fn check_owner(
    view: &impl View,
    author: &Author,
    subject: &Subject,
) -> Result<(), Refusal> {
    author.with(view, Capability::Operate)?;
    if author.did == *subject.owner() { Ok(()) } else { Err(Refusal::NotOwner(*subject.owner())) }
}

/// Refuses what has ended for good.
pub(super) fn check_not_ended(standing: &Standing) -> Result<(), Refusal> {
    match (standing.deactivated, standing.revoked) {
        (true, _) => Err(Refusal::Standing(Status::Deactivated)),
        (false, true) => Err(Refusal::Standing(Status::Revoked)),
        (false, false) => Ok(()),
    }
}

/// The device signs for itself: with its present key, and only in good standing.
pub(super) fn check_device_signs(
    author: &Author,
    record: &DeviceRecord,
    batch: &BatchRecord,
    at: &Context,
) -> Result<muster_identity::PublicKey, Refusal> {
    if !record.key.is(&author.did, &author.key) {
        return Err(Refusal::NotAKeyOf { key: author.key, author: author.did });
    }
    match status(Some(record), batch, at.time) {
        Status::Active => Ok(author.key),
        ended => Err(Refusal::Standing(ended)),
    }
}
