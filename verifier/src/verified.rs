use crate::standing::Known;
use crate::{Policy, Reason, Rejected, RollView};
use muster_identity::{Did, PublicKey};
use muster_ledger::{BatchId, DeviceKey, Status, Time, View};

/// A device that proved who it is, was never seen to do so by this presentation before, and is
/// in good standing by a roll that is young enough. Only a passed check makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    did: Did,
    owner: Did,
    batch: BatchId,
    model: String,
    key: PublicKey,
    roll_age_ms: u64,
    stale: bool,
    checkpoint_time: Time,
    shown: Shown,
}

/// What a device showed, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// SHA-256 of the presentation.
    pub(crate) presentation: [u8; 32],
    /// Whether it answered a nonce.
    pub(crate) nonce: bool,
}

impl Verified {
    pub(crate) fn new(
        did: Did,
        key: PublicKey,
        known: Known,
        roll: RollView<'_, impl View>,
        stale: bool,
        shown: Shown,
    ) -> Self {
        let (owner, batch, model) = (*known.owner(), known.batch_id, known.batch.model);
        let (roll_age_ms, checkpoint_time) = (roll.age_ms, roll.checkpoint_time);
        Self { did, owner, batch, model, key, roll_age_ms, stale, checkpoint_time, shown }
    }

    /// The device.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The organisation answerable for it.
    pub fn owner(&self) -> &Did {
        &self.owner
    }

    /// Its batch.
    pub fn batch(&self) -> &BatchId {
        &self.batch
    }

    /// Its model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The key that signed.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// How old the roll was by which it was judged.
    pub fn roll_age_ms(&self) -> u64 {
        self.roll_age_ms
    }

    /// Whether that roll was older than it should be, and the device let through all the same
    /// because the policy lists its class.
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// The time of that roll's checkpoint.
    pub fn checkpoint_time(&self) -> Time {
        self.checkpoint_time
    }

    /// SHA-256 of the presentation.
    pub fn presentation(&self) -> &[u8; 32] {
        &self.shown.presentation
    }

    pub(crate) fn shown(&self) -> Shown {
        self.shown
    }

    /// Its standing: `Active`, or it would not be here.
    pub fn status(&self) -> Status {
        Status::Active
    }

    /// Asks again by a later roll, without a presentation: whether a session that this verdict
    /// opened may go on. The key must still be the device's present one.
    pub fn still(
        &self,
        roll: RollView<'_, impl View>,
        policy: &Policy,
        path: Option<&str>,
    ) -> Result<Self, Rejected> {
        Self::again(self.did, self.key, self.batch, self.shown, roll, policy, path)
    }

    /// The verdict on a device whose presentation was verified before, by the roll of now.
    pub(crate) fn again(
        did: Did,
        key: PublicKey,
        batch: BatchId,
        shown: Shown,
        roll: RollView<'_, impl View>,
        policy: &Policy,
        path: Option<&str>,
    ) -> Result<Self, Rejected> {
        let refuse = |reason| Rejected::about(did, reason);
        let known = Known::find_again(&did, key, batch, roll).map_err(refuse)?;
        let own = || DeviceKey::Own.is(&did, &key);
        known.key(|named| *named == key, own).map_err(refuse)?;
        let rules = known.rules(policy, path);
        if rules.nonce_required && !shown.nonce {
            return Err(refuse(Reason::NonceRequired));
        }
        let stale = known.check(roll, rules).map_err(refuse)?;
        Ok(Self::new(did, key, known, roll, stale, shown))
    }
}
