//! How devices change hands, and how one that lost its key gets another.

use super::NewKey;
use crate::{DeviceRef, OfferId, Target, Time};
use muster_identity::Did;

/// Offers a device or a batch to another organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferTransfer {
    /// What is offered.
    pub target: Target,
    /// To whom.
    pub to: Did,
    /// The target's change counter.
    pub seq: u64,
    /// From then on nobody can accept.
    pub expires: Time,
}

/// Accepts an offer: from this entry on the old owner is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptTransfer {
    /// What was offered.
    pub target: Target,
    /// By which offer, and so at which count of its changes.
    pub offer: OfferId,
}

/// Ends an offer: by who made it, or by whom it was made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelTransfer {
    /// What was offered.
    pub target: Target,
    /// By which offer.
    pub offer: OfferId,
}

/// Gives a device that lost its key another, as it declared in its inception or signed for at its
/// enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recover {
    /// The device, always with its part: nothing else holds what it declared.
    pub device: DeviceRef,
    /// Its change counter.
    pub seq: u64,
    /// The new key with its own signature.
    pub key: NewKey,
    /// Commitment to the next key, as in an inception.
    pub next_key: Option<[u8; 32]>,
}
