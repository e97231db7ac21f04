//! Receipts. The *device part* ties a device to its batch's root, for ever. The *batch part*
//! ties the batch to a checkpoint. Together they answer "was it enrolled?" with the genesis
//! file alone; neither says whether the device is in good standing now.

use crate::merkle::{self, Hash, leaf_hash};
use crate::{
    Action, BatchId, BatchRecord, Checkpoint, Enrol, Entry, Error, Genesis, Leaf, Network,
    NoteFault, QuorumCheckpoint, ValidatorSet, VerifiedOperation, limits,
};
use alloc::{string::String, vec::Vec};
use muster_identity::Did;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};

/// A device's leaf and the path to its batch's root.
///
/// CBOR map: 1 batch, 2 index, 3 leaf (its bytes), 4 path (one byte string).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePart {
    /// The batch.
    pub batch: BatchId,
    /// Place of the leaf.
    pub index: u64,
    /// The leaf's bytes, as they were hashed.
    pub leaf: Vec<u8>,
    /// From the leaf to the root.
    pub path: Vec<Hash>,
}

/// A device whose leaf was proved to be in a batch. Only [`DevicePart::verify`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledDevice {
    did: Did,
    batch: BatchId,
    index: u64,
    leaf: Leaf,
}

impl EnrolledDevice {
    /// The device.
    pub fn did(&self) -> Did {
        self.did
    }

    /// Its batch.
    pub fn batch(&self) -> BatchId {
        self.batch
    }

    /// Place of its leaf.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Its leaf.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }
}

impl DevicePart {
    /// Checks the path against the batch of the state.
    pub fn verify(&self, batch: &BatchRecord) -> Result<EnrolledDevice, Error> {
        self.verify_against(&batch.root, batch.count)
    }

    fn verify_against(&self, root: &Hash, count: u64) -> Result<EnrolledDevice, Error> {
        let hash = merkle::root_from_path(leaf_hash(&self.leaf), self.index, count, &self.path)?;
        if hash != *root {
            return Err(Error::Path);
        }
        // Whoever let the batch in had seen each key sign.
        let leaf = Leaf::from_cbor_again(&self.leaf)?;
        Ok(EnrolledDevice { did: leaf.did(), batch: self.batch, index: self.index, leaf })
    }
}

/// Proof that an entry is in the log: the entry, its path, and a checkpoint. It acknowledges an
/// operation, and for the enrolment of a batch it is the *batch part* of its devices' receipts.
///
/// CBOR map: 1 index in the log, 2 entry (its bytes), 3 path (one byte string), 4 note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryProof {
    /// Place of the entry in the log.
    pub index: u64,
    /// The entry's bytes, as they were hashed.
    pub entry: Vec<u8>,
    /// From the entry to the log's root.
    pub path: Vec<Hash>,
    /// The checkpoint's note.
    pub checkpoint: String,
}

/// Both parts: CBOR map 1 device part, 2 batch part, each as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The device's part.
    pub device: DevicePart,
    /// The batch's part.
    pub batch: EntryProof,
}

/// An entry that was proved to be in the log. Only [`EntryProof::verify`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry {
    /// Place in the log.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
    /// Its operation.
    pub operation: VerifiedOperation,
    /// The checkpoint it stands under.
    pub checkpoint: QuorumCheckpoint,
}

impl EntryProof {
    /// Checks the quorum's signatures, the path and the operation's own signature.
    pub fn verify(
        &self,
        network: &Network,
        validators: &ValidatorSet,
    ) -> Result<VerifiedEntry, ReceiptFault> {
        let part = |part, error: Error| ReceiptFault::Part { part, error };
        let checkpoint = Checkpoint::parse(&self.checkpoint)?.verify(network, validators)?;
        let head = checkpoint.head();
        let root =
            merkle::root_from_path(leaf_hash(&self.entry), self.index, head.size, &self.path)
                .map_err(|e| part("log path", e))?;
        if root != head.log_root {
            return Err(part("log path", Error::Path));
        }
        let entry = Entry::from_cbor(&self.entry).map_err(|e| part("entry", e.into()))?;
        let operation = entry.operation.verify().map_err(|e| part("entry", e))?;
        Ok(VerifiedEntry { index: self.index, entry, operation, checkpoint })
    }
}

/// Why a receipt is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptFault {
    /// A part that cannot be read or does not lead to its root.
    #[error("{part}: {error}")]
    Part {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        error: Error,
    },
    /// The checkpoint is not one of this network's quorum.
    #[error(transparent)]
    Checkpoint(#[from] NoteFault),
    /// The entry does not enrol the batch the device part names.
    #[error("batch part: {0}")]
    Entry(&'static str),
}

/// A receipt that was checked: the device, the enrolment, and the checkpoint it stands under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedReceipt {
    /// The device.
    pub device: EnrolledDevice,
    /// The organisation that enrolled it.
    pub manufacturer: Did,
    /// The enrolment.
    pub enrol: Enrol,
    /// The log entry's height and time.
    pub entry: Entry,
    /// The checkpoint.
    pub checkpoint: QuorumCheckpoint,
}

impl Receipt {
    /// Checks everything, from the genesis file alone: while the network has the validators that
    /// it began with.
    pub fn verify(&self, genesis: &Genesis) -> Result<VerifiedReceipt, ReceiptFault> {
        self.verify_under(&genesis.network(), &genesis.validators)
    }

    /// Checks everything, by validators that the caller knows to be the present ones.
    pub fn verify_under(
        &self,
        network: &Network,
        validators: &ValidatorSet,
    ) -> Result<VerifiedReceipt, ReceiptFault> {
        let network = *network;
        let part = |part, error: Error| ReceiptFault::Part { part, error };
        let proved = self.batch.verify(&network, validators)?;
        let operation = proved.operation.operation();
        let Action::Enrol(enrol) = &operation.action else {
            return Err(ReceiptFault::Entry("the entry enrols nothing"));
        };
        if enrol.batch(&network) != self.device.batch {
            return Err(ReceiptFault::Entry("the entry enrols another batch"));
        }
        let device = self
            .device
            .verify_against(&enrol.root, enrol.count)
            .map_err(|e| part("device part", e))?;
        let manufacturer = operation.author;
        device.leaf.check(&network, &manufacturer).map_err(|e| part("leaf", e))?;
        let enrol = enrol.clone();
        let VerifiedEntry { entry, checkpoint, .. } = proved;
        Ok(VerifiedReceipt { device, manufacturer, enrol, entry, checkpoint })
    }
}

impl Encode for DevicePart {
    fn encode(&self, w: &mut Writer) {
        w.map(4).uint(1).value(&self.batch).uint(2).uint(self.index);
        w.uint(3).bytes(&self.leaf).uint(4);
        merkle::encode_path(w, &self.path);
    }
}

impl Decode for DevicePart {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        let mut m = r.map()?;
        let part = Self {
            batch: m.required(1)?.value()?,
            index: m.required(2)?.uint_max(limits::BATCH_DEVICES)?,
            leaf: m.required(3)?.bytes(limits::LEAF_BYTES)?.to_vec(),
            path: merkle::decode_path(m.required(4)?)?,
        };
        m.end()?;
        Ok(part)
    }
}

impl Encode for EntryProof {
    fn encode(&self, w: &mut Writer) {
        w.map(4).uint(1).uint(self.index).uint(2).bytes(&self.entry).uint(3);
        merkle::encode_path(w, &self.path);
        w.uint(4).text(&self.checkpoint);
    }
}

impl Decode for EntryProof {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        let mut m = r.map()?;
        let part = Self {
            index: m.required(1)?.uint()?,
            entry: m.required(2)?.bytes(limits::OPERATION_BYTES + 64)?.to_vec(),
            path: merkle::decode_path(m.required(3)?)?,
            checkpoint: m.required(4)?.string(limits::NOTE_BYTES)?,
        };
        m.end()?;
        Ok(part)
    }
}

impl Encode for Receipt {
    fn encode(&self, w: &mut Writer) {
        w.map(2).uint(1).value(&self.device).uint(2).value(&self.batch);
    }
}

impl Decode for Receipt {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        let mut m = r.map()?;
        let receipt = Self { device: m.required(1)?.value()?, batch: m.required(2)?.value()? };
        m.end()?;
        Ok(receipt)
    }
}
