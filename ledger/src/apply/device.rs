use super::governance::count_ended;
use super::members::{check_organisations, for_all};
use super::subject::{Subject, check_device_signs, check_not_ended, check_owner, load_device};
use super::{Author, Changes, Consent, Context, View, check_seq, claim};
use crate::{
    Capability, Deactivate, DeviceKey, Hold, HoldRecord, Matter, Power, Refusal, Release, Retired,
    RetiredKey, Revoke, RevokeKey, Rotate, Status, limits,
};
use muster_identity::sha256;

/// The author must have the power named by a hold.
fn check_power(
    view: &impl View,
    author: &Author,
    subject: &Subject,
    power: Power,
    consent: Consent,
) -> Result<(), Refusal> {
    match power {
        Power::Owner => check_owner(view, author, subject),
        Power::Incident => author.with(view, Capability::Gateway).map(drop),
        Power::Governance => {
            let members = view.members()?;
            for_all(view, author, &members, consent, Capability::Approve)?;
            check_organisations(&members, &view.rules()?, Matter::Hold, consent)
        }
    }
}

pub(super) fn hold(
    view: &impl View,
    author: &Author,
    hold: &Hold,
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut subject = Subject::load(view, &hold.target)?;
    check_power(view, author, &subject, hold.power, consent)?;
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
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut subject = Subject::load(view, &release.target)?;
    let found = subject.standing().holds.iter().position(|h| h.id == release.hold);
    let place = found.ok_or(Refusal::UnknownHold(release.hold))?;
    let placed = subject.standing().holds[place].clone();
    if consent == Consent::Others && placed.power != Power::Governance {
        return Err(Refusal::Limit("only a hold by the network's power is released by proposal"));
    }
    check_power(view, author, &subject, placed.power, consent)?;
    if !may_release(view, author, &placed)? {
        return Err(Refusal::OtherPower);
    }
    check_seq(subject.seq(), release.seq)?;
    let standing = subject.standing();
    check_not_ended(standing)?;
    standing.holds.remove(place);
    standing.released = at.index + 1;
    Ok(subject.store())
}

/// Whether a hold is of the power that its releaser has. The owner's power goes with what is owned,
/// the network's is of all its organisations together, a gateway's is that of its organisation.
fn may_release(view: &impl View, author: &Author, placed: &HoldRecord) -> Result<bool, Refusal> {
    let own = placed.by == author.did;
    Ok(match placed.power {
        Power::Owner => true,
        Power::Incident => own,
        Power::Governance if own || view.members()?.are_several() => true,
        Power::Governance => !view.organisation(&placed.by)?.is_some_and(|o| o.is_admitted()),
    })
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
    let subject = Subject::device(revoke.device.did, record, batch);
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
    changes.extend(Subject::device(did, record, batch).store());
    Ok(changes)
}
