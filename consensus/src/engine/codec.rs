//! The bytes of the engine's messages: deterministic CBOR, strict both ways, for the network, for
//! the engine's own log and for nodes that lag.

mod consensus;
mod parts;
mod sync;

use super::context::{Address, Ctx, Height, Seal, ValueId};
use super::heard::Heard;
use bytes::Bytes;
use malachite::app::types::core::{NilOrVal, Round};
use malachite_codec::Codec as Coding;
use muster_identity::Error;
use muster_identity::cbor::{Reader, Writer};

/// A type that has one encoding here.
pub(crate) trait Wire: Sized {
    /// Appends the value.
    fn write(&self, w: &mut Writer);

    /// Reads one value.
    fn read(r: &mut Reader<'_>) -> Result<Self, Error>;

    /// Whether the value may leave this node.
    fn may_leave(&self) -> bool {
        true
    }

    /// The whole encoding.
    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        self.write(&mut w);
        w.into_bytes()
    }

    /// Reads the whole input; trailing bytes are an error.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let value = Self::read(&mut r)?;
        r.end()?;
        Ok(value)
    }
}

/// What the engine encodes and decodes by. It tells what it reads from peers to whoever waits for
/// a height to begin, because the engine itself is silent between heights.
#[derive(Clone, Default)]
pub(crate) struct Codec {
    heard: Option<Heard>,
}

impl Codec {
    /// A codec of the network.
    pub(crate) fn hearing(heard: Heard) -> Self {
        Self { heard: Some(heard) }
    }
}

macro_rules! coded {
    ($($message:ty => $heard:expr;)+) => {$(
        impl Coding<$message> for Codec {
            type Error = Error;

            fn decode(&self, bytes: Bytes) -> Result<$message, Error> {
                let message = <$message as Wire>::from_bytes(&bytes)?;
                if let Some(heard) = &self.heard {
                    let tell: fn(&Heard, &$message) = $heard;
                    tell(heard, &message);
                }
                Ok(message)
            }

            fn encode(&self, message: &$message) -> Result<Bytes, Error> {
                // A vote or proposal that was not signed, see `signing`.
                if !message.may_leave() {
                    return Err(Error::Signature);
                }
                Ok(message.to_bytes().into())
            }
        }
    )+};
}

use malachite::app::consensus::LivenessMsg;
use malachite::app::streaming::StreamMessage;
use malachite::app::types::core::{PolkaCertificate, ValidatorProof};
use malachite::app::types::{ProposedValue, SignedConsensusMsg};
use malachite_sync::{Request, Response, Status};

coded! {
    super::context::Part => |_, _| ();
    SignedConsensusMsg<Ctx> => |heard, message| heard.consensus(message);
    LivenessMsg<Ctx> => |heard, message| heard.liveness(message);
    StreamMessage<super::context::Part> => |_, _| ();
    ValidatorProof<Ctx> => |_, _| ();
    ProposedValue<Ctx> => |_, _| ();
    PolkaCertificate<Ctx> => |_, _| ();
    Status<Ctx> => |heard, status| heard.status(status);
    Request<Ctx> => |_, _| ();
    Response<Ctx> => |heard, response| heard.response(response);
}

impl malachite_codec::HasEncodedLen<Response<Ctx>> for Codec {
    fn encoded_len(&self, message: &Response<Ctx>) -> Result<usize, Error> {
        Ok(message.to_bytes().len())
    }
}

/// Reads every kind of message that a peer or the disk may give; the number says which.
/// Returns whether it was accepted, and panics if it then has a second encoding.
pub(crate) fn reads(kind: u8, bytes: &[u8]) -> bool {
    fn one<T: Wire>(bytes: &[u8]) -> bool {
        T::from_bytes(bytes).is_ok_and(|value| {
            assert_eq!(value.to_bytes(), bytes, "a message with two encodings");
            true
        })
    }
    match kind % 8 {
        0 => one::<SignedConsensusMsg<Ctx>>(bytes),
        1 => one::<LivenessMsg<Ctx>>(bytes),
        2 => one::<StreamMessage<super::context::Part>>(bytes),
        3 => one::<ValidatorProof<Ctx>>(bytes),
        4 => one::<ProposedValue<Ctx>>(bytes),
        5 => one::<Status<Ctx>>(bytes),
        6 => one::<Request<Ctx>>(bytes),
        _ => one::<Response<Ctx>>(bytes),
    }
}

impl Wire for Height {
    fn write(&self, w: &mut Writer) {
        w.uint(self.0);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self(r.uint()?))
    }
}

/// 0 is no round, n + 1 is round n.
impl Wire for Round {
    fn write(&self, w: &mut Writer) {
        w.uint(self.as_u32().map_or(0, |round| u64::from(round) + 1));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(match r.uint_max(u64::from(u32::MAX) + 1)? {
            0 => Self::Nil,
            // In range by the bound above.
            n => Self::new((n - 1) as u32),
        })
    }
}

/// A round that a message is in: a message in no round means nothing.
fn read_in_round(r: &mut Reader<'_>) -> Result<Round, Error> {
    match Round::read(r)? {
        Round::Nil => Err(r.fault("a message of no round")),
        round => Ok(round),
    }
}

impl Wire for Address {
    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self(r.array_of()?))
    }
}

impl Wire for ValueId {
    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self(r.array_of()?))
    }
}

impl Wire for Seal {
    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self(r.array_of()?))
    }
}

/// An empty byte string is nil.
impl Wire for NilOrVal<ValueId> {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Nil => w.bytes(&[]),
            Self::Val(id) => w.bytes(&id.0),
        };
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let bytes = r.bytes(32)?;
        if bytes.is_empty() {
            return Ok(Self::Nil);
        }
        let id = bytes.try_into().map_err(|_| r.fault("a value id has 32 bytes"))?;
        Ok(Self::Val(ValueId(id)))
    }
}

/// An array of values, at most `max`.
fn read_list<T: Wire>(r: &mut Reader<'_>, max: usize) -> Result<Vec<T>, Error> {
    let n = r.array(max)?;
    (0..n).map(|_| T::read(r)).collect()
}

fn write_list<T: Wire>(w: &mut Writer, items: &[T]) {
    w.array(items.len());
    for item in items {
        item.write(w);
    }
}

#[cfg(test)]
mod tests;
