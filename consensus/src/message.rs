//! What nodes say to each other besides the votes of the engine (`docs/formats/exchange.md`).

use crate::limits;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Error, PublicKey, Signature};
use muster_ledger::limits::{LEAF_BYTES, NOTE_BYTES, OPERATION_BYTES};
use muster_ledger::{BatchId, Time};

/// Bytes of an entry beyond its operation: height, time and heads of CBOR.
const ENTRY_FRAME_BYTES: usize = 32;

/// What a node tells others. Nothing of it is believed: whoever hears it checks it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// An operation that waits for a block: a signed operation's bytes.
    Operation(Vec<u8>),
    /// A validator has the leaves of a batch, checked them, and says so by its signature.
    Ready {
        /// The batch.
        batch: BatchId,
        /// Until when it promises to vote for no batch that clashes.
        until: Time,
        /// Who promises.
        validator: PublicKey,
        /// By this key, over the text domain `muster/ready/1`.
        signature: Signature,
    },
    /// A checkpoint note with the line of one validator.
    Cosignature(String),
    /// A validator is alive at a slot of the heartbeat and has a head of this size.
    Beat {
        /// Size of its log.
        size: u64,
        /// The slot.
        time: Time,
        /// Who says so.
        validator: PublicKey,
        /// By this key: a beat that anybody could make up would let a liar choose the time.
        signature: Signature,
    },
    /// Where a node stands.
    Status(Status),
}

/// Where a node stands. Told on connecting and every second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Height of its last decided block.
    pub height: u64,
    /// Entries of its log.
    pub size: u64,
    /// Whether operations wait at it.
    pub pending: bool,
    /// Port of its engine, zero if it has none.
    pub engine_port: u16,
}

/// What a node asks another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Entries of the log and the newest published checkpoint.
    Feed {
        /// Place of the first entry.
        from: u64,
        /// At most as many; fewer may come.
        count: u64,
    },
    /// Leaves of a batch.
    Bundle {
        /// The batch.
        batch: BatchId,
        /// Which 256 of its leaves.
        index: u64,
    },
    /// The operations that wait for a block.
    Pending,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// It is not here; also the answer to what was told.
    None,
    /// Too much was asked: later.
    Busy,
    /// Entries of the log.
    Feed {
        /// Bytes of entries in order.
        entries: Vec<Vec<u8>>,
        /// The newest published checkpoint note, empty if there is none yet.
        checkpoint: String,
    },
    /// Leaves of a batch.
    Bundle {
        /// 256 of them, fewer at the end of a batch.
        leaves: Vec<Vec<u8>>,
        /// From the root of these leaves to the root of the batch.
        path: Vec<[u8; 32]>,
    },
    /// Bytes of signed operations that wait.
    Pending(Vec<Vec<u8>>),
}

/// One request on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Something told, in the order in which it was said.
    Told(Vec<Message>),
    /// Something asked.
    Asked(Request),
}

impl Response {
    /// Whether this may answer such a request.
    #[cfg(feature = "nodes")]
    pub(crate) fn answers(&self, request: &Request) -> bool {
        match (request, self) {
            (_, Self::None | Self::Busy) => true,
            (Request::Feed { count, .. }, Self::Feed { entries, .. }) => {
                entries.len() as u64 <= *count
            }
            (Request::Bundle { .. }, Self::Bundle { .. }) => true,
            (Request::Pending, Self::Pending(_)) => true,
            _ => false,
        }
    }
}

impl Encode for Message {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Operation(bytes) => w.array(2).uint(0).bytes(bytes),
            Self::Ready { batch, until, validator, signature } => {
                w.array(5).uint(1).value(batch).value(until).value(validator).bytes(&signature.0)
            }
            Self::Cosignature(note) => w.array(2).uint(2).text(note),
            Self::Beat { size, time, validator, signature } => {
                w.array(5).uint(3).uint(*size).value(time).value(validator).bytes(&signature.0)
            }
            Self::Status(status) => w
                .array(5)
                .uint(4)
                .uint(status.height)
                .uint(status.size)
                .bool(status.pending)
                .uint(status.engine_port.into()),
        };
    }
}

impl Decode for Message {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let parts = r.array(5)?;
        let message = match (r.uint()?, parts) {
            (0, 2) => Self::Operation(r.bytes(OPERATION_BYTES)?.to_vec()),
            (1, 5) => Self::Ready {
                batch: r.value()?,
                until: r.value()?,
                validator: r.value()?,
                signature: Signature(r.array_of()?),
            },
            (2, 2) => Self::Cosignature(r.string(NOTE_BYTES)?),
            (3, 5) => Self::Beat {
                size: r.uint()?,
                time: r.value()?,
                validator: r.value()?,
                signature: Signature(r.array_of()?),
            },
            (4, 5) => Self::Status(Status {
                height: r.uint()?,
                size: r.uint()?,
                pending: r.bool()?,
                engine_port: u16::try_from(r.uint_max(u16::MAX.into())?).unwrap_or_default(),
            }),
            _ => return Err(r.fault("no message of this version")),
        };
        Ok(message)
    }
}

impl Encode for Request {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Feed { from, count } => w.array(3).uint(0).uint(*from).uint(*count),
            Self::Bundle { batch, index } => w.array(3).uint(1).value(batch).uint(*index),
            Self::Pending => w.array(1).uint(2),
        };
    }
}

impl Decode for Request {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let parts = r.array(3)?;
        match (r.uint()?, parts) {
            (0, 3) => Ok(Self::Feed { from: r.uint()?, count: r.uint()? }),
            (1, 3) => Ok(Self::Bundle { batch: r.value()?, index: r.uint()? }),
            (2, 1) => Ok(Self::Pending),
            _ => Err(r.fault("no request of this version")),
        }
    }
}

impl Encode for Response {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::None => w.array(1).uint(0),
            Self::Busy => w.array(1).uint(1),
            Self::Feed { entries, checkpoint } => {
                w.array(3).uint(2);
                strings(w, entries).text(checkpoint)
            }
            Self::Bundle { leaves, path } => {
                w.array(3).uint(3);
                strings(w, leaves).list(path)
            }
            Self::Pending(operations) => {
                w.array(2).uint(4);
                strings(w, operations)
            }
        };
    }
}

impl Decode for Response {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let parts = r.array(3)?;
        match (r.uint()?, parts) {
            (0, 1) => Ok(Self::None),
            (1, 1) => Ok(Self::Busy),
            (2, 3) => Ok(Self::Feed {
                entries: read_strings(r, limits::FEED_PAGE, OPERATION_BYTES + ENTRY_FRAME_BYTES)?,
                checkpoint: r.string(NOTE_BYTES)?,
            }),
            (3, 3) => Ok(Self::Bundle {
                leaves: read_strings(r, limits::BUNDLE_LEAVES, LEAF_BYTES)?,
                path: r.list(limits::BUNDLE_PATH)?,
            }),
            (4, 2) => {
                Ok(Self::Pending(read_strings(r, limits::PENDING_OPERATIONS, OPERATION_BYTES)?))
            }
            _ => Err(r.fault("no answer of this version")),
        }
    }
}

impl Encode for Frame {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Told(messages) => w.array(2).uint(0).list(messages),
            Self::Asked(request) => w.array(2).uint(1).value(request),
        };
    }
}

impl Decode for Frame {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        match r.uint()? {
            0 => Ok(Self::Told(r.list(limits::TOLD_AT_ONCE)?)),
            1 => Ok(Self::Asked(r.value()?)),
            _ => Err(r.fault("neither told nor asked")),
        }
    }
}

fn strings<'w>(w: &'w mut Writer, items: &[Vec<u8>]) -> &'w mut Writer {
    w.array(items.len());
    for item in items {
        w.bytes(item);
    }
    w
}

fn read_strings(r: &mut Reader<'_>, most: usize, bytes: usize) -> Result<Vec<Vec<u8>>, Error> {
    let n = r.array(most)?;
    (0..n).map(|_| Ok(r.bytes(bytes)?.to_vec())).collect()
}
