use crate::{Error, SignedOperation, Time, limits};
use alloc::vec::Vec;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};

/// Operations that enter the log together. Block times strictly increase.
///
/// CBOR: `[height, time, [operation, ...]]`, each operation as a byte string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its place, from 1; the genesis is height 0.
    pub height: u64,
    /// Its time.
    pub time: Time,
    /// One operation or more.
    pub operations: Vec<SignedOperation>,
}

/// One entry of the log: CBOR `[height, time, operation]`. Its bytes are what the log hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Height of its block.
    pub height: u64,
    /// Time of its block.
    pub time: Time,
    /// The operation.
    pub operation: SignedOperation,
}

impl Block {
    /// The block's log entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.operations.iter().map(|operation| Entry {
            height: self.height,
            time: self.time,
            operation: operation.clone(),
        })
    }

    /// Puts consecutive entries back into blocks.
    pub fn from_entries(entries: impl IntoIterator<Item = Entry>) -> Result<Vec<Self>, Error> {
        let mut blocks: Vec<Self> = Vec::new();
        for entry in entries {
            match blocks.last_mut() {
                Some(block) if block.height == entry.height => {
                    if block.time != entry.time {
                        return Err(Error::Bound("one block with two times"));
                    }
                    block.operations.push(entry.operation);
                }
                _ => blocks.push(Self {
                    height: entry.height,
                    time: entry.time,
                    operations: Vec::from([entry.operation]),
                }),
            }
        }
        Ok(blocks)
    }
}

impl Encode for Block {
    fn encode(&self, w: &mut Writer) {
        w.array(3).uint(self.height).value(&self.time).array(self.operations.len());
        for operation in &self.operations {
            w.bytes(&operation.0);
        }
    }
}

impl Decode for Block {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        r.tuple(3)?;
        let (height, time) = (r.uint()?, r.value()?);
        let n = r.array(limits::BLOCK_OPERATIONS)?;
        let operations = (0..n)
            .map(|_| Ok(SignedOperation(r.bytes(limits::OPERATION_BYTES)?.to_vec())))
            .collect::<Result<Vec<_>, muster_identity::Error>>()?;
        if operations.is_empty() {
            return Err(r.fault("a block has at least one operation"));
        }
        Ok(Self { height, time, operations })
    }
}

impl Encode for Entry {
    fn encode(&self, w: &mut Writer) {
        w.array(3).uint(self.height).value(&self.time).bytes(&self.operation.0);
    }
}

impl Decode for Entry {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        r.tuple(3)?;
        Ok(Self {
            height: r.uint()?,
            time: r.value()?,
            operation: SignedOperation(r.bytes(limits::OPERATION_BYTES)?.to_vec()),
        })
    }
}
