//! Votes, proposals and certificates.

use super::{Wire, read_in_round, read_list, write_list};
use crate::engine::context::{Address, Ctx, Height, Proposal, Seal, ValueId, Vote};
use crate::engine::limits;
use malachite::app::consensus::LivenessMsg;
use malachite::app::types::core::{
    NilOrVal, PolkaCertificate, PolkaSignature, Round, RoundCertificate, RoundCertificateType,
    RoundSignature, SignedMessage, Validity, VoteType,
};
use malachite::app::types::{ProposedValue, SignedConsensusMsg};
use muster_identity::Error;
use muster_identity::cbor::{Reader, Writer};

impl Wire for VoteType {
    fn write(&self, w: &mut Writer) {
        w.uint(match self {
            Self::Prevote => 1,
            Self::Precommit => 2,
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        match r.uint()? {
            1 => Ok(Self::Prevote),
            2 => Ok(Self::Precommit),
            _ => Err(r.fault("a vote is a prevote (1) or a precommit (2)")),
        }
    }
}

impl Wire for Vote {
    fn write(&self, w: &mut Writer) {
        w.array(5);
        self.kind.write(w);
        self.height.write(w);
        self.round.write(w);
        self.value.write(w);
        self.validator.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(5)?;
        Ok(Self {
            kind: VoteType::read(r)?,
            height: Height::read(r)?,
            round: read_in_round(r)?,
            value: NilOrVal::read(r)?,
            validator: Address::read(r)?,
        })
    }
}

impl Wire for Proposal {
    fn write(&self, w: &mut Writer) {
        w.array(5);
        self.height.write(w);
        self.round.write(w);
        self.value.write(w);
        self.pol_round.write(w);
        self.proposer.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(5)?;
        Ok(Self {
            height: Height::read(r)?,
            round: read_in_round(r)?,
            value: ValueId::read(r)?,
            pol_round: Round::read(r)?,
            proposer: Address::read(r)?,
        })
    }
}

impl<T: Wire> Wire for SignedMessage<Ctx, T> {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        self.message.write(w);
        self.signature.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        Ok(Self::new(T::read(r)?, Seal::read(r)?))
    }

    fn may_leave(&self) -> bool {
        self.signature != Seal::WITHHELD
    }
}

impl Wire for SignedConsensusMsg<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        match self {
            Self::Vote(vote) => vote.write(w.uint(1)),
            Self::Proposal(proposal) => proposal.write(w.uint(2)),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        match r.uint()? {
            1 => Ok(Self::Vote(SignedMessage::read(r)?)),
            2 => Ok(Self::Proposal(SignedMessage::read(r)?)),
            _ => Err(r.fault("a message is a vote (1) or a proposal (2)")),
        }
    }

    fn may_leave(&self) -> bool {
        match self {
            Self::Vote(vote) => vote.may_leave(),
            Self::Proposal(proposal) => proposal.may_leave(),
        }
    }
}

impl Wire for LivenessMsg<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        match self {
            Self::Vote(vote) => vote.write(w.uint(1)),
            Self::PolkaCertificate(certificate) => certificate.write(w.uint(2)),
            Self::SkipRoundCertificate(certificate) => certificate.write(w.uint(3)),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        match r.uint()? {
            1 => Ok(Self::Vote(SignedMessage::read(r)?)),
            2 => Ok(Self::PolkaCertificate(PolkaCertificate::read(r)?)),
            3 => Ok(Self::SkipRoundCertificate(RoundCertificate::read(r)?)),
            _ => Err(r.fault("a message is a vote (1) or a certificate (2, 3)")),
        }
    }

    fn may_leave(&self) -> bool {
        match self {
            Self::Vote(vote) => vote.may_leave(),
            _ => true,
        }
    }
}

impl Wire for PolkaSignature<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        self.address.write(w);
        self.signature.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(2)?;
        Ok(Self::new(Address::read(r)?, Seal::read(r)?))
    }
}

impl Wire for PolkaCertificate<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(4);
        self.height.write(w);
        self.round.write(w);
        self.value_id.write(w);
        write_list(w, &self.polka_signatures);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(4)?;
        Ok(Self {
            height: Height::read(r)?,
            round: read_in_round(r)?,
            value_id: ValueId::read(r)?,
            polka_signatures: read_list(r, limits::SIGNATURES)?,
        })
    }
}

impl Wire for RoundSignature<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(4);
        self.vote_type.write(w);
        self.value_id.write(w);
        self.address.write(w);
        self.signature.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(4)?;
        let (kind, value) = (VoteType::read(r)?, NilOrVal::read(r)?);
        Ok(Self::new(kind, value, Address::read(r)?, Seal::read(r)?))
    }
}

impl Wire for RoundCertificate<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(4);
        self.height.write(w);
        self.round.write(w);
        w.uint(match self.cert_type {
            RoundCertificateType::Skip => 1,
            RoundCertificateType::Precommit => 2,
        });
        write_list(w, &self.round_signatures);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(4)?;
        Ok(Self {
            height: Height::read(r)?,
            round: read_in_round(r)?,
            cert_type: match r.uint()? {
                1 => RoundCertificateType::Skip,
                2 => RoundCertificateType::Precommit,
                _ => return Err(r.fault("a round is left by skipping (1) or by precommits (2)")),
            },
            round_signatures: read_list(r, limits::ROUND_VOTES)?,
        })
    }
}

impl Wire for ProposedValue<Ctx> {
    fn write(&self, w: &mut Writer) {
        w.array(6);
        self.height.write(w);
        self.round.write(w);
        self.valid_round.write(w);
        self.proposer.write(w);
        self.value.write(w);
        w.bool(self.validity.is_valid());
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.tuple(6)?;
        Ok(Self {
            height: Height::read(r)?,
            round: read_in_round(r)?,
            valid_round: Round::read(r)?,
            proposer: Address::read(r)?,
            value: ValueId::read(r)?,
            validity: Validity::from_bool(r.bool()?),
        })
    }
}
