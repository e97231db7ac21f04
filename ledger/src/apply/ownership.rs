//! How devices change hands, and how one that lost its key gets another.

use super::governance::count_ended;
use super::subject::{Subject, check_owner, enrolled, load_device};
use super::{Author, Changes, Consent, Context, View, check_seq, claim};
use crate::{
    AcceptTransfer, CancelTransfer, Capability, DeviceKey, Leaf, Left, Offer, OfferId,
    OfferTransfer, Recover, Refusal, Retired, RetiredKey, Status, limits,
};
use alloc::boxed::Box;
use muster_identity::Recovery;

/// What is given away is as gone as what is revoked: it counts among what one signature may end.
pub(super) fn offer(
    view: &impl View,
    author: &Author,
    offer: &OfferTransfer,
    consent: Consent,
    id: OfferId,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut subject = Subject::load(view, &offer.target)?;
    check_owner(view, author, &subject)?;
    check_seq(subject.seq(), offer.seq)?;
    check_active(&subject, at)?;
    let refuse = |why| Err(Refusal::Organisation { organisation: offer.to, why });
    if offer.to == author.did {
        return refuse("it is the owner already");
    }
    if !view.organisation(&offer.to)?.is_some_and(|o| o.is_admitted()) {
        return refuse("it is none of this network's");
    }
    if offer.expires <= at.time {
        return Err(Refusal::Limit("an offer ends in the future"));
    }
    if offer.expires.since(at.time) > limits::OFFER_LIFETIME_MS {
        return Err(Refusal::Limit("an offer ends within 30 days"));
    }
    let batch = subject.batch_seq();
    if let Some(open) = subject.offer()
        && open.expires > at.time
        && open.batch == batch
    {
        let why = "it stands: end it before another is made";
        return Err(Refusal::Offer { offer: open.id, why });
    }
    let counted = count_ended(view, author, subject.devices(), consent, at)?;
    *subject.offer() = Some(Box::new(Offer { id, to: offer.to, expires: offer.expires, batch }));
    Ok(subject.store_offered().and(counted))
}

/// From this entry on the old owner is out: what it may is asked of the record.
pub(super) fn accept(
    view: &impl View,
    author: &Author,
    accept: &AcceptTransfer,
    at: &Context,
) -> Result<Changes, Refusal> {
    author.with(view, Capability::Operate)?;
    let mut subject = Subject::load(view, &accept.target)?;
    let offer = offered(&mut subject, accept.offer)?;
    let refuse = |why| Err(Refusal::Offer { offer: accept.offer, why });
    if offer.to != author.did {
        return refuse("it is made to another organisation");
    }
    if offer.expires <= at.time {
        return refuse("it has expired");
    }
    if offer.batch != subject.batch_seq() {
        return refuse(OVER);
    }
    check_active(&subject, at)?;
    match &mut subject {
        Subject::Device { record, .. } => {
            let entry = record.left.map_or(at.index, |left| left.entry);
            record.left = Some(Left { owner: author.did, entry });
        }
        Subject::Batch { record, .. } => record.owner = author.did,
    }
    Ok(subject.store())
}

pub(super) fn cancel(
    view: &impl View,
    author: &Author,
    cancel: &CancelTransfer,
) -> Result<Changes, Refusal> {
    author.with(view, Capability::Operate)?;
    let mut subject = Subject::load(view, &cancel.target)?;
    let offer = offered(&mut subject, cancel.offer)?;
    if author.did != offer.to && author.did != *subject.owner() {
        let why = "only who made it, or to whom it was made, ends it";
        return Err(Refusal::Offer { offer: cancel.offer, why });
    }
    Ok(subject.store())
}

const OVER: &str = "it is not open: accepted, ended, or void because its target changed";

/// The offer that a target has, if it is this one.
fn offered(subject: &mut Subject, id: OfferId) -> Result<Offer, Refusal> {
    let offer = subject.offer().as_deref().filter(|offer| offer.id == id).copied();
    offer.ok_or(Refusal::Offer { offer: id, why: OVER })
}

/// Only active things transfer, so no hold of an old owner comes along.
fn check_active(subject: &Subject, at: &Context) -> Result<(), Refusal> {
    match subject.status(at.time) {
        Status::Active => Ok(()),
        other => Err(Refusal::Standing(other)),
    }
}

/// The one way in which a key comes in without the one before: the device declared it, in the
/// inception that its DID is the hash of, or under its possession signature. Holds stay.
pub(super) fn recover(
    view: &impl View,
    author: &Author,
    recover: &Recover,
    at: &Context,
) -> Result<Changes, Refusal> {
    let did = recover.device.did;
    let (mut record, batch) = load_device(view, &recover.device)?;
    let part = recover.device.part.as_deref();
    let part =
        part.ok_or(Refusal::Limit("a recovery carries the device part: it declares who may"))?;
    if part.batch != record.batch {
        return Err(Refusal::DevicePart(did));
    }
    let device = enrolled(&did, part, &batch)?;
    let (leaf, new) = (device.leaf(), recover.key.key);
    let old = record.key.given(leaf.inception.key);
    let by_key = match leaf.inception.recovery {
        Some(Recovery::Key(key)) => author.did == did && author.key == key,
        _ => false,
    };
    if !by_key && !owner_may(leaf, at, view.manufacturer(&batch)?) {
        return Err(Refusal::NoRecovery(did));
    }
    // One place stays free, so that the last key can still be revoked.
    if record.retired.len() + 1 >= limits::RETIRED_KEYS {
        return Err(Refusal::Limit("a device has had its 128 keys"));
    }
    if old == Some(new) || record.retired.iter().any(|k| k.key == new) {
        return Err(Refusal::KeyUsed(new));
    }
    let seq = record.seq;
    match (old, record.retired.last_mut()) {
        (Some(key), _) => record.retired.push(RetiredKey { key, why: Retired::Recovered }),
        // Revoked before, which ends a key no less: what is told of it is that another followed.
        (None, Some(last)) => last.why = Retired::Recovered,
        (None, None) => return Err(Refusal::Corrupt("a device without a key that had none")),
    }
    record.key = DeviceKey::Held(new);
    record.next_key = recover.next_key;
    let subject = Subject::device(did, record, batch);
    if !by_key {
        check_owner(view, author, &subject)?;
    }
    match subject.status(at.time) {
        Status::Active | Status::Held => {}
        ended => return Err(Refusal::Standing(ended)),
    }
    check_seq(seq, recover.seq)?;
    let mut changes = Changes::default();
    claim(view, &mut changes, &new, &did)?;
    changes.extend(subject.store());
    Ok(changes)
}

/// Whether the present owner may: by the inception, or by a leaf that the device's own possession
/// signature covers.
fn owner_may(leaf: &Leaf, at: &Context, manufacturer: muster_identity::Did) -> bool {
    leaf.inception.recovery == Some(Recovery::Owner)
        || leaf.owner_recovery && leaf.check(&at.network, &manufacturer).is_ok()
}
