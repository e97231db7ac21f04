use super::governance::count_ended;
use super::{Author, Changes, Consent, Context, View, check_seq, claim};
use crate::records::status;
use crate::{
    BatchId, BatchRecord, Capability, Deactivate, DeviceKey, DeviceRecord, DeviceRef, Hold,
    HoldRecord, Power, Refusal, Release, Retired, RetiredKey, Revoke, RevokeKey, Rotate, Standing,
    StateKey, Status, Target, limits,
};
use muster_identity::{Did, sha256};

/// A device or batch as the state knows it, about to change.
enum Subject {
    Device { did: Did, record: DeviceRecord, batch: BatchRecord },
    Batch { id: BatchId, record: BatchRecord },
}

impl Subject {
    fn load(view: &impl View, target: &Target) -> Result<Self, Refusal> {
        match target {
            Target::Device(device) => load_device(view, device)
                .map(|(record, batch)| Self::Device { did: device.did, record, batch }),
            Target::Batch(id) => view
                .batch(id)?
                .map(|record| Self::Batch { id: *id, record })
                .ok_or(Refusal::UnknownBatch(*id)),
        }
    }

    fn owner(&self) -> &Did {
        match self {
            Self::Device { batch, .. } => &batch.owner,
            Self::Batch { record, .. } => &record.owner,
        }
    }

    fn standing(&mut self) -> &mut Standing {
        match self {
            Self::Device { record, .. } => &mut record.standing,
            Self::Batch { record, .. } => &mut record.standing,
        }
    }

    fn seq(&self) -> u64 {
        match self {
            Self::Device { record, .. } => record.seq,
            Self::Batch { record, .. } => record.seq,
        }
    }

    /// How many devices it is.
    fn devices(&self) -> u64 {
        match self {
            Self::Device { .. } => 1,
            Self::Batch { record, .. } => record.count,
        }
    }

    /// Writes it back, one change later.
    fn store(self) -> Changes {
        let mut changes = Changes::default();
        match self {
            Self::Device { did, mut record, .. } => {
                record.seq += 1;
                changes.put(StateKey::Device(did), &record);
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
fn load_device(
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
    let enrolled = part
        .verify(&batch)
        .ok()
        .filter(|enrolled| enrolled.did() == did)
        .ok_or(Refusal::DevicePart(did))?;
    let inception = &enrolled.leaf().inception;
    let record = DeviceRecord {
        batch: part.batch,
        index: part.index,
        seq: 0,
        key: DeviceKey::of(&did, inception.key),
        retired: Default::default(),
        next_key: inception.next_key,
        standing: Standing::default(),
    };
    Ok((record, batch))
}

/// The author must be the owner with `operate`.
fn check_owner(view: &impl View, author: &Author, subject: &Subject) -> Result<(), Refusal> {
    author.with(view, Capability::Operate)?;
    if author.did == *subject.owner() { Ok(()) } else { Err(Refusal::NotOwner(*subject.owner())) }
}

/// The author must have the power named by a hold.
fn check_power(
    view: &impl View,
    author: &Author,
    subject: &Subject,
    power: Power,
) -> Result<(), Refusal> {
    match power {
        Power::Owner => check_owner(view, author, subject),
        Power::Incident => author.with(view, Capability::Gateway).map(drop),
        Power::Governance => author.with(view, Capability::Approve).map(drop),
    }
}

/// Refuses what has ended for good.
fn check_not_ended(standing: &Standing) -> Result<(), Refusal> {
    match (standing.deactivated, standing.revoked) {
        (true, _) => Err(Refusal::Standing(Status::Deactivated)),
        (false, true) => Err(Refusal::Standing(Status::Revoked)),
        (false, false) => Ok(()),
    }
}

pub(super) fn hold(
    view: &impl View,
    author: &Author,
    hold: &Hold,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut subject = Subject::load(view, &hold.target)?;
    check_power(view, author, &subject, hold.power)?;
    let standing = subject.standing();
    check_not_ended(standing)?;
    if hold.seen > at.index {
        return Err(Refusal::Limit("a hold cannot have seen a log that does not exist yet"));
    }
    if hold.seen < standing.released {
        return Err(Refusal::ReleasedSince { released: standing.released, seen: hold.seen });
    }
    if hold.until.is_some_and(|until| until <= at.time) {
        return Err(Refusal::Limit("a hold ends in the future"));
    }
    if hold.power == Power::Incident {
        let until = hold.until.ok_or(Refusal::Limit("an incident hold needs an end"))?;
        if until.since(at.time) > limits::INCIDENT_HOLD_MS {
            return Err(Refusal::Limit("an incident hold ends within 7 days"));
        }
    }
    if standing.holds.iter().any(|h| h.id == hold.id) {
        return Err(Refusal::HoldExists(hold.id));
    }
    // Holds that ran out make room; they changed nothing any more.
    standing.holds.retain(|h| h.until.is_none_or(|until| at.time < until));
    let of_this_power = standing.holds.iter().filter(|h| h.power == hold.power).count();
    if of_this_power >= limits::HOLDS_OF_ONE_POWER {
        return Err(Refusal::Limit("at most 4 holds of one power on one target"));
    }
    standing.holds.push(HoldRecord {
        id: hold.id,
        by: author.did,
        power: hold.power,
        until: hold.until,
    });
    Ok(subject.store())
}

pub(super) fn release(
    view: &impl View,
    author: &Author,
    release: &Release,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut subject = Subject::load(view, &release.target)?;
    let found = subject.standing().holds.iter().position(|h| h.id == release.hold);
    let place = found.ok_or(Refusal::UnknownHold(release.hold))?;
    let placed = subject.standing().holds[place].clone();
    check_power(view, author, &subject, placed.power)?;
    if placed.by != author.did {
        return Err(Refusal::OtherPower);
    }
    check_seq(subject.seq(), release.seq)?;
    let standing = subject.standing();
    check_not_ended(standing)?;
    standing.holds.remove(place);
    standing.released = at.index + 1;
    Ok(subject.store())
}

pub(super) fn revoke(
    view: &impl View,
    author: &Author,
    revoke: &Revoke,
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut subject = Subject::load(view, &revoke.target)?;
    check_owner(view, author, &subject)?;
    check_not_ended(subject.standing())?;
    let counted = count_ended(view, author, subject.devices(), consent, at)?;
    subject.standing().revoked = true;
    Ok(subject.store().and(counted))
}

pub(super) fn deactivate(
    view: &impl View,
    author: &Author,
    deactivate: &Deactivate,
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut subject = Subject::load(view, &deactivate.target)?;
    let by_owner = match &subject {
        Subject::Device { did, record, batch } if *did == author.did => {
            check_device_signs(author, record, batch, at)?;
            false
        }
        _ => check_owner(view, author, &subject).map(|()| true)?,
    };
    if subject.standing().deactivated {
        return Err(Refusal::Standing(Status::Deactivated));
    }
    // A device that ends itself is nobody's decision about a fleet.
    let counted = match by_owner {
        true => count_ended(view, author, subject.devices(), consent, at)?,
        false => Changes::default(),
    };
    subject.standing().deactivated = true;
    Ok(subject.store().and(counted))
}

pub(super) fn revoke_key(
    view: &impl View,
    author: &Author,
    revoke: &RevokeKey,
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let (mut record, batch) = load_device(view, &revoke.device)?;
    // Without its present key a device is as good as revoked.
    let mut ended = 0;
    if record.key.is(&revoke.device.did, &revoke.key) {
        ended = 1;
        record.key = DeviceKey::Ended;
        record.retired.push(RetiredKey { key: revoke.key, why: Retired::Revoked });
    } else {
        match record.retired.iter_mut().find(|k| k.key == revoke.key) {
            Some(retired) if retired.why == Retired::Rotated => retired.why = Retired::Revoked,
            _ => return Err(Refusal::UnknownKey(revoke.key)),
        }
    }
    let subject = Subject::Device { did: revoke.device.did, record, batch };
    check_owner(view, author, &subject)?;
    let counted = count_ended(view, author, ended, consent, at)?;
    Ok(subject.store().and(counted))
}

pub(super) fn rotate(
    view: &impl View,
    author: &Author,
    rotate: &Rotate,
    at: &Context,
) -> Result<Changes, Refusal> {
    let (mut record, batch) = load_device(view, &rotate.device)?;
    let did = rotate.device.did;
    if author.did != did {
        return Err(Refusal::UnknownAuthor(author.did));
    }
    let old = check_device_signs(author, &record, &batch, at)?;
    check_seq(record.seq, rotate.seq)?;
    let new = rotate.key.key;
    if record.next_key.is_some_and(|digest| digest != sha256(&[&new.to_multicodec()])) {
        return Err(Refusal::NextKey);
    }
    if new == old || record.retired.iter().any(|k| k.key == new) {
        return Err(Refusal::KeyUsed(new));
    }
    // One place stays free, so that the last key can still be revoked.
    if record.retired.len() + 1 >= limits::RETIRED_KEYS {
        return Err(Refusal::Limit("a device has had its 128 keys"));
    }
    record.retired.push(RetiredKey { key: old, why: Retired::Rotated });
    // Never its own again: that one would be among the retired.
    record.key = DeviceKey::Held(new);
    record.next_key = rotate.next_key;
    let mut changes = Changes::default();
    claim(view, &mut changes, &new, &did)?;
    changes.extend(Subject::Device { did, record, batch }.store());
    Ok(changes)
}

/// The device signs for itself: with its present key, and only in good standing.
fn check_device_signs(
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
