use super::*;
use crate::engine::context::{Part, PartsHead, Proposal, Vote};
use malachite::app::streaming::{StreamContent, StreamId};
use malachite::app::types::PeerId;
use malachite::app::types::core::{
    ExtendedCommitCertificate, ExtendedCommitSignature, PolkaSignature, RoundCertificate,
    RoundCertificateType, RoundSignature, SignedProposal, SignedVote, Validity, VoteType,
};
use malachite_sync::{RawDecidedValue, ValueRequest, ValueResponse};
use std::fmt::Debug;

const SEAL: Seal = Seal([7; 64]);
const ID: ValueId = ValueId([3; 32]);
const WHO: Address = Address([9; 32]);

fn vote(kind: VoteType, value: NilOrVal<ValueId>) -> SignedVote<Ctx> {
    let (height, round) = (Height(300), Round::new(2));
    SignedVote::new(Vote { kind, height, round, value, validator: WHO }, SEAL)
}

fn proposal() -> SignedProposal<Ctx> {
    let (height, round, pol_round) = (Height(1), Round::new(u32::MAX), Round::Nil);
    SignedProposal::new(Proposal { height, round, value: ID, pol_round, proposer: WHO }, SEAL)
}

fn certificate(height: u64) -> ExtendedCommitCertificate<Ctx> {
    ExtendedCommitCertificate {
        height: Height(height),
        round: Round::new(0),
        value_id: ID,
        commit_signatures: vec![ExtendedCommitSignature::new(WHO, SEAL, None)],
    }
}

/// Comes back as it was; and no shortened, lengthened or changed form of it is another form of
/// the same value.
fn comes_back<T: Wire + PartialEq + Debug>(value: T) {
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(&value));
    for cut in 0..bytes.len() {
        assert!(T::from_bytes(&bytes[..cut]).is_err(), "{cut} of {} bytes", bytes.len());
    }
    assert!(T::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "a byte behind the end");
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 0x20;
        if let Ok(read) = T::from_bytes(&other) {
            assert_ne!(read, value, "byte {at} says nothing");
            assert_eq!(read.to_bytes(), other, "byte {at}: two encodings");
        }
    }
}

#[test]
fn messages_of_consensus_come_back() {
    comes_back(SignedConsensusMsg::Vote(vote(VoteType::Prevote, NilOrVal::Nil)));
    comes_back(SignedConsensusMsg::Vote(vote(VoteType::Precommit, NilOrVal::Val(ID))));
    comes_back(SignedConsensusMsg::<Ctx>::Proposal(proposal()));
    comes_back(LivenessMsg::Vote(vote(VoteType::Precommit, NilOrVal::Nil)));
    let polka = PolkaCertificate {
        height: Height(u64::MAX),
        round: Round::new(0),
        value_id: ID,
        polka_signatures: vec![PolkaSignature::new(WHO, SEAL); 3],
    };
    comes_back(polka.clone());
    comes_back(LivenessMsg::PolkaCertificate(polka));
    let of = |kind, value| RoundSignature::new(kind, value, WHO, SEAL);
    for cert_type in [RoundCertificateType::Skip, RoundCertificateType::Precommit] {
        comes_back(LivenessMsg::SkipRoundCertificate(RoundCertificate::<Ctx> {
            height: Height(24),
            round: Round::new(23),
            cert_type,
            round_signatures: vec![
                of(VoteType::Prevote, NilOrVal::Nil),
                of(VoteType::Precommit, NilOrVal::Val(ID)),
            ],
        }));
    }
    for validity in [Validity::Valid, Validity::Invalid] {
        comes_back(ProposedValue::<Ctx> {
            height: Height(5),
            round: Round::new(1),
            valid_round: Round::new(0),
            proposer: WHO,
            value: ID,
            validity,
        });
    }
}

#[test]
fn parts_and_proofs_come_back() {
    let id = || StreamId::new(vec![1; 16].into());
    let head = PartsHead {
        height: Height(7),
        round: Round::new(1),
        pol_round: Round::new(0),
        proposer: WHO,
        value: ID,
        bytes: 70_000,
        seal: SEAL,
    };
    let head = StreamContent::Data(Part::Head(head));
    comes_back(StreamMessage::new(id(), 0, head));
    let piece = StreamContent::Data(Part::Piece(vec![5; 300]));
    comes_back(StreamMessage::new(id(), 1, piece));
    comes_back(StreamMessage::<Part>::new(id(), 2, StreamContent::Fin));
    let key = muster_identity::SecretKey::from_bytes(
        muster_identity::Algorithm::Ed25519,
        &zeroize::Zeroizing::new([1; 32]),
    );
    let key = muster_identity::Signer::public_key(&key.expect("a key"));
    comes_back(ValidatorProof::<Ctx>::new(key.to_multicodec(), vec![4; 38], SEAL));
}

#[test]
fn what_nodes_that_lag_ask_comes_back() {
    // The identity multihash of an Ed25519 key in protobuf (libp2p peer ids).
    let peer = [&[0, 36, 8, 1, 18, 32][..], &[6; 32]].concat();
    let peer_id = PeerId::from_bytes(&peer).expect("a peer id");
    let (tip_height, history_min_height) = (Height(9), Height(1));
    comes_back(Status::<Ctx> { peer_id, tip_height, history_min_height });
    comes_back(Request::<Ctx>::ValueRequest(ValueRequest::new(Height(1)..=Height(500))));
    let value = |height| RawDecidedValue::new(vec![height as u8; 40].into(), certificate(height));
    let response = ValueResponse::new(Height(4), vec![value(4), value(5)]);
    comes_back(Response::<Ctx>::ValueResponse(response));
}

#[test]
fn bounds_are_kept() {
    let piece = |bytes| {
        let part = StreamContent::Data(Part::Piece(vec![0; bytes]));
        StreamMessage::new(StreamId::new(vec![1].into()), 1, part).to_bytes()
    };
    let most = crate::engine::limits::PIECE_BYTES;
    assert!(reads(2, &piece(most)));
    assert!(!reads(2, &piece(most + 1)));
    let nowhere = Vote {
        kind: VoteType::Prevote,
        height: Height(1),
        round: Round::Nil,
        value: NilOrVal::Nil,
        validator: WHO,
    };
    let nowhere = SignedConsensusMsg::<Ctx>::Vote(SignedVote::new(nowhere, SEAL));
    assert!(!reads(0, &nowhere.to_bytes()), "a vote in no round");
}

#[test]
fn a_message_without_signature_does_not_leave() {
    let mut withheld = vote(VoteType::Precommit, NilOrVal::Val(ID));
    withheld.signature = Seal::WITHHELD;
    let codec = Codec::default();
    assert!(codec.encode(&SignedConsensusMsg::Vote(withheld.clone())).is_err());
    assert!(codec.encode(&LivenessMsg::Vote(withheld)).is_err());
    assert!(codec.encode(&LivenessMsg::Vote(vote(VoteType::Prevote, NilOrVal::Nil))).is_ok());
}
