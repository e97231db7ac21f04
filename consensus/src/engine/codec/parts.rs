//! The bytes of proposals on their way, and the proof of a validator about its node.

use super::{Wire, read_in_round};
use crate::engine::context::{Address, Ctx, Height, Part, PartsHead, Seal, ValueId};
use crate::engine::limits;
use malachite::app::streaming::{StreamContent, StreamId, StreamMessage};
use malachite::app::types::core::{Round, ValidatorProof};
use muster_identity::Error;
use muster_identity::cbor::{Reader, Writer};

impl Wire for PartsHead {
    fn write(&self, w: &mut Writer) {
        w.array(7);
        self.height.write(w);
        self.round.write(w);
        self.pol_round.write(w);
        self.proposer.write(w);
        self.value.write(w);
        w.uint(self.bytes.into());
        self.seal.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(7)?;
        Ok(Self {
            height: Height::read(r)?,
            round: read_in_round(r)?,
            pol_round: Round::read(r)?,
            proposer: Address::read(r)?,
            value: ValueId::read(r)?,
            // In range: the bound is below 2^32.
            bytes: r.uint_max(limits::PROPOSAL_BYTES as u64)? as u32,
            seal: Seal::read(r)?,
        })
    }
}

impl Wire for Part {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        match self {
            Self::Head(head) => head.write(w.uint(1)),
            Self::Piece(bytes) => {
                w.uint(2).bytes(bytes);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        match r.uint()? {
            1 => Ok(Self::Head(PartsHead::read(r)?)),
            2 => Ok(Self::Piece(r.bytes(limits::PIECE_BYTES)?.to_vec())),
            _ => Err(r.fault("a part is a head (1) or a piece (2)")),
        }
    }
}

/// An array of two is the end of the stream.
impl Wire for StreamMessage<Part> {
    fn write(&self, w: &mut Writer) {
        let part = self.content.as_data();
        w.array(2 + usize::from(part.is_some()));
        w.bytes(&self.stream_id.to_bytes()).uint(self.sequence);
        if let Some(part) = part {
            part.write(w);
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let items = r.array(3)?;
        if items < 2 {
            return Err(r.fault("a message of a stream has two or three items"));
        }
        let id = StreamId::new(r.bytes(limits::STREAM_ID_BYTES)?.to_vec().into());
        let sequence = r.uint_max(limits::PIECES)?;
        let content =
            if items == 3 { StreamContent::Data(Part::read(r)?) } else { StreamContent::Fin };
        Ok(Self::new(id, sequence, content))
    }
}

impl Wire for ValidatorProof<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(3).bytes(&self.public_key).bytes(&self.peer_id);
        self.signature.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(3)?;
        let key = r.value::<muster_identity::PublicKey>()?.to_multicodec();
        let peer = r.bytes(limits::PEER_ID_BYTES)?.to_vec();
        Ok(Self::new(key, peer, Seal::read(r)?))
    }
}
