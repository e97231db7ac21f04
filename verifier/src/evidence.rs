use crate::RollView;
use muster_identity::Did;
use muster_ledger::{BatchId, BatchRecord, DevicePart, EnrolledDevice, View};

/// What shows that a device was enrolled, where the state holds no record of it.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'a> {
    /// Nothing: the state alone must know it.
    None,
    /// A device part as it came, to be checked.
    Part(&'a DevicePart),
    /// One that was checked before.
    Checked(&'a Enrolment),
}

/// A device part that was checked against a batch of the roll. Only [`Self::check`] makes it.
/// It stays true for ever: a batch's id is the hash of its root, and batches never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    device: EnrolledDevice,
    root: [u8; 32],
    count: u64,
}

/// Why a device part proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceFault {
    /// Its batch is not on the roll: never enrolled, or not known here yet.
    UnknownBatch,
    /// It does not lead to its batch's root, or its leaf is not one that a node may admit.
    False,
    /// The roll cannot be read.
    Damaged,
}

impl Enrolment {
    /// Checks the path to the batch's root and what can be checked of the leaf alone. The
    /// quorum checked the leaf too; here its word is not taken for it.
    pub fn check(part: &DevicePart, roll: RollView<'_, impl View>) -> Result<Self, EvidenceFault> {
        let batch = roll.state.batch(&part.batch).map_err(|_| EvidenceFault::Damaged)?;
        let batch = batch.ok_or(EvidenceFault::UnknownBatch)?;
        let device = part.verify(&batch).map_err(|_| EvidenceFault::False)?;
        // Signed for who enrolled it, whoever owns it now.
        let maker = roll.state.manufacturer(&batch).map_err(|_| EvidenceFault::Damaged)?;
        device.leaf().check(&roll.network, &maker).map_err(|_| EvidenceFault::False)?;
        Ok(Self { device, root: batch.root, count: batch.count })
    }

    /// The device.
    pub fn did(&self) -> Did {
        self.device.did()
    }

    /// Its batch.
    pub fn batch(&self) -> BatchId {
        self.device.batch()
    }

    /// The leaf and its place.
    pub fn device(&self) -> &EnrolledDevice {
        &self.device
    }

    /// Whether it was checked against this very batch, and not one of another network.
    pub(crate) fn is_of(&self, batch: &BatchRecord) -> bool {
        self.root == batch.root && self.count == batch.count
    }
}
