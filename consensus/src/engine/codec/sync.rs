//! What nodes that lag ask for, and what is kept of a decision.

use super::{Wire, read_in_round, read_list, write_list};
use crate::engine::context::{Address, Ctx, Height, Seal, ValueId};
use crate::engine::limits;
use malachite::app::types::PeerId;
use malachite::app::types::core::{ExtendedCommitCertificate, ExtendedCommitSignature};
use malachite_sync::{RawDecidedValue, Request, Response, Status, ValueRequest, ValueResponse};
use muster_identity::Error;
use muster_identity::cbor::{Reader, Writer};

/// Votes carry no extensions, so neither do their signatures in a certificate.
impl Wire for ExtendedCommitSignature<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        self.address.write(w);
        self.signature.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        Ok(Self::new(Address::read(r)?, Seal::read(r)?, None))
    }
}

impl Wire for ExtendedCommitCertificate<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(4);
        self.height.write(w);
        self.round.write(w);
        self.value_id.write(w);
        write_list(w, &self.commit_signatures);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(4)?;
        Ok(Self {
            height: Height::read(r)?,
            round: read_in_round(r)?,
            value_id: ValueId::read(r)?,
            commit_signatures: read_list(r, limits::SIGNATURES)?,
        })
    }
}

impl Wire for Status<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(3).bytes(&self.peer_id.to_bytes());
        self.tip_height.write(w);
        self.history_min_height.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(3)?;
        let peer = r.bytes(limits::PEER_ID_BYTES)?;
        let peer_id = PeerId::from_bytes(peer).map_err(|_| r.fault("not a peer id"))?;
        if peer_id.to_bytes() != peer {
            return Err(r.fault("a peer id with two encodings"));
        }
        Ok(Self { peer_id, tip_height: Height::read(r)?, history_min_height: Height::read(r)? })
    }
}

impl Wire for Request<Ctx> {
    fn write(&self, w: &mut Writer) {
        let Self::ValueRequest(request) = self;
        w.array(2);
        request.range.start().write(w);
        request.range.end().write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        let (start, end) = (Height::read(r)?, Height::read(r)?);
        Ok(Self::ValueRequest(ValueRequest::new(start..=end)))
    }
}

impl Wire for RawDecidedValue<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(2).bytes(&self.value_bytes);
        self.certificate.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        let bytes = r.bytes(limits::PROPOSAL_BYTES)?.to_vec();
        Ok(Self::new(bytes.into(), ExtendedCommitCertificate::read(r)?))
    }
}

impl Wire for Response<Ctx> {
    fn write(&self, w: &mut Writer) {
        let Self::ValueResponse(response) = self;
        w.array(2);
        response.start_height.write(w);
        write_list(w, &response.values);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        let start = Height::read(r)?;
        let values = read_list(r, limits::ANSWER_HEIGHTS)?;
        Ok(Self::ValueResponse(ValueResponse::new(start, values)))
    }
}
