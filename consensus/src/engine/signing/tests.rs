use super::*;
use crate::engine::context::Address;
use muster_identity::{Algorithm, SecretKey};

const HERE: Network = Network([7; 32]);
const VALUE: ValueId = ValueId([3; 32]);

fn sign(folder: &tempfile::TempDir) -> (Sign, Address, PublicKey) {
    let secret = zeroize::Zeroizing::new([1; 32]);
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &secret).expect("a key");
    let public = muster_identity::Signer::public_key(&key);
    let state = SignState::open(&folder.path().join("sign-state"), Height(0)).expect("opens");
    (Sign::new(HERE, Arc::new(key), state), Address::of(&public).expect("Ed25519"), public)
}

fn vote(validator: Address, value: NilOrVal<ValueId>) -> Vote {
    Vote { kind: VoteType::Prevote, height: Height(5), round: Round::new(0), value, validator }
}

#[tokio::test]
async fn a_signature_holds_in_its_place_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sign, me, key) = sign(&folder);
    let signed = sign.sign_vote(vote(me, NilOrVal::Val(VALUE))).await.expect("signs");
    assert!(Verify(HERE).vote(&signed));
    assert!(!Verify(Network([8; 32])).vote(&signed), "another network");
    for changed in [
        Vote { kind: VoteType::Precommit, ..signed.message.clone() },
        Vote { height: Height(6), ..signed.message.clone() },
        Vote { round: Round::new(1), ..signed.message.clone() },
        Vote { value: NilOrVal::Nil, ..signed.message.clone() },
        Vote { validator: Address([9; 32]), ..signed.message.clone() },
    ] {
        assert!(
            !Verify(HERE).vote(&SignedVote::new(changed.clone(), signed.signature)),
            "{changed:?}"
        );
    }
    let (height, round, pol_round) = (Height(5), Round::new(0), Round::Nil);
    let head = PartsHead {
        height,
        round,
        pol_round,
        proposer: me,
        value: VALUE,
        bytes: 9,
        seal: Seal::WITHHELD,
    };
    let head = sign.head(head).await;
    assert!(Verify(HERE).head(&head));
    assert!(!Verify(HERE).head(&PartsHead { bytes: 8, ..head.clone() }));
    // The same fields under another domain: the head's signature is none of the proposal's.
    let proposal = Proposal { height, round, value: VALUE, pol_round, proposer: me };
    let verdict = Verify(HERE).verify_signed_proposal(&proposal, &head.seal, &key).await;
    assert!(verdict.expect("verifies").is_invalid());
    let proposal = sign.sign_proposal(proposal).await.expect("signs");
    let verdict =
        Verify(HERE).verify_signed_proposal(&proposal.message, &proposal.signature, &key).await;
    assert!(verdict.expect("verifies").is_valid());
    let proof = sign.sign_validator_proof(key.to_multicodec(), vec![1, 2]).await.expect("signs");
    assert!(Verify(HERE).verify_validator_proof(&proof).await.expect("verifies").is_valid());
    let other = ValidatorProof { peer_id: vec![1, 3], ..proof };
    assert!(Verify(HERE).verify_validator_proof(&other).await.expect("verifies").is_invalid());
}

#[tokio::test]
async fn a_contradiction_is_not_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sign, me, _) = sign(&folder);
    let first = sign.sign_vote(vote(me, NilOrVal::Val(VALUE))).await.expect("signs");
    let second = sign.sign_vote(vote(me, NilOrVal::Nil)).await.expect("no failure of the signer");
    assert_eq!(second.signature, Seal::WITHHELD);
    assert!(!Verify(HERE).vote(&second));
    let again = sign.sign_vote(vote(me, NilOrVal::Val(VALUE))).await.expect("signs");
    assert_eq!(again, first);
}

#[test]
fn the_signed_text_is_the_documented_one() {
    let vote = vote(Address([9; 32]), NilOrVal::Val(VALUE));
    let text = text(VOTE, &HERE, |w| vote.write(w));
    // Array of 3: the domain, the network, array of 5: prevote, height, round + 1, value, validator.
    let expected = [
        &b"\x83\x6dmuster/vote/1\x58\x20"[..],
        &[7; 32],
        b"\x85\x01\x05\x01\x58\x20",
        &[3; 32],
        b"\x58\x20",
        &[9; 32],
    ]
    .concat();
    assert_eq!(text, expected);
}
