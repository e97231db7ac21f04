//! What validators sign, and how it is verified.
//!
//! Every signed text is a CBOR array of its domain, the network and the message, so that no
//! signature means anything in another place.

use super::codec::Wire;
use super::context::{Ctx, Height, PartsHead, Proposal, Seal, ValueId, Vote};
use super::sign_state::{SignState, Step};
use malachite::app::types::core::{
    NilOrVal, Round, SignedExtension, SignedMessage, SignedProposal, SignedVote, ValidatorProof,
    VoteExtensionScope, VoteType,
};
use malachite_signing::{Error, Signer, VerificationResult, Verifier};
use muster_identity::cbor::Writer;
use muster_identity::{PublicKey, Signature};
use muster_ledger::Network;
use std::sync::{Arc, Mutex};

const VOTE: &str = "muster/vote/1";
const PROPOSAL: &str = "muster/proposal/1";
const PARTS: &str = "muster/parts/1";
const VALIDATOR_PROOF: &str = "muster/validator-proof/1";

/// What is signed of a message.
fn text(domain: &str, network: &Network, message: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(3).text(domain).value(network);
    message(&mut w);
    w.into_bytes()
}

fn head_text(network: &Network, head: &PartsHead) -> Vec<u8> {
    let unsigned = PartsHead { seal: Seal::WITHHELD, ..head.clone() };
    text(PARTS, network, |w| unsigned.write(w))
}

fn proof_text(network: &Network, key: &[u8], peer: &[u8]) -> Vec<u8> {
    text(VALIDATOR_PROOF, network, |w| {
        w.bytes(&ValidatorProof::<Ctx>::signing_bytes(key, peer));
    })
}

/// Verifies by the one signature rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verify(pub(crate) Network);

impl Verify {
    fn check(text: &[u8], seal: &Seal, key: &PublicKey) -> VerificationResult {
        match key.verify(text, &Signature(seal.0)) {
            Ok(()) => VerificationResult::Valid,
            Err(_) => VerificationResult::Invalid,
        }
    }

    /// Whether a vote is its validator's.
    pub(crate) fn vote(&self, vote: &SignedVote<Ctx>) -> bool {
        let text = text(VOTE, &self.0, |w| vote.message.write(w));
        let key = vote.message.validator.key();
        key.is_some_and(|key| Self::check(&text, &vote.signature, &key).is_valid())
    }

    /// Whether the head of a proposal's bytes is its proposer's.
    pub(crate) fn head(&self, head: &PartsHead) -> bool {
        let key = head.proposer.key();
        key.is_some_and(|key| Self::check(&head_text(&self.0, head), &head.seal, &key).is_valid())
    }
}

#[async_trait::async_trait]
impl Verifier<Ctx> for Verify {
    async fn verify_signed_vote(
        &self,
        vote: &Vote,
        seal: &Seal,
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(Self::check(&text(VOTE, &self.0, |w| vote.write(w)), seal, key))
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &Proposal,
        seal: &Seal,
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(Self::check(&text(PROPOSAL, &self.0, |w| proposal.write(w)), seal, key))
    }

    async fn verify_signed_vote_extension(
        &self,
        _: &VoteExtensionScope<Ctx>,
        _: &(),
        _: &Seal,
        _: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        // Votes carry none.
        Ok(VerificationResult::Invalid)
    }

    async fn verify_validator_proof(
        &self,
        proof: &ValidatorProof<Ctx>,
    ) -> Result<VerificationResult, Error> {
        let text = proof_text(&self.0, &proof.public_key, &proof.peer_id);
        Ok(match proof.decoded_public_key() {
            Ok(key) => Self::check(&text, &proof.signature, &key),
            Err(_) => VerificationResult::Invalid,
        })
    }
}

/// A validator's key with the memory of what it signed.
#[derive(Clone)]
pub(crate) struct Sign {
    network: Network,
    key: Arc<dyn muster_identity::Signer>,
    state: Arc<Mutex<SignState>>,
}

impl Sign {
    pub(crate) fn new(
        network: Network,
        key: Arc<dyn muster_identity::Signer>,
        state: SignState,
    ) -> Self {
        Self { network, key, state: Arc::new(Mutex::new(state)) }
    }

    /// Signs, or withholds the signature. The engine treats a failing signer as the end of itself
    /// (`Error::UnexpectedResume`), but drops a vote of its own whose signature does not verify,
    /// before its log and before its count; and the codec lets no such message out. So a withheld
    /// signature is a vote not cast, and nothing more.
    async fn seal(
        &self,
        step: Option<(Height, Round, Step, NilOrVal<ValueId>)>,
        text: Vec<u8>,
    ) -> Seal {
        let this = self.clone();
        let signing = tokio::task::spawn_blocking(move || {
            if let Some((height, round, step, value)) = step {
                let mut state = this.state.lock().unwrap_or_else(|e| e.into_inner());
                if let Err(reason) = state.allow(height, round, step, value) {
                    tracing::warn!(%height, %round, %reason, "a signature is withheld");
                    return Seal::WITHHELD;
                }
            }
            match this.key.sign(&text) {
                Ok(signature) => Seal(signature.0),
                Err(error) => {
                    tracing::error!(%error, "the validator key cannot sign; no vote is cast");
                    Seal::WITHHELD
                }
            }
        });
        // A task that was dropped belongs to a node that stops.
        signing.await.unwrap_or(Seal::WITHHELD)
    }

    /// The head of a proposal's bytes, signed.
    pub(crate) async fn head(&self, mut head: PartsHead) -> PartsHead {
        head.seal = self.seal(None, head_text(&self.network, &head)).await;
        head
    }
}

#[async_trait::async_trait]
impl Signer<Ctx> for Sign {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<Ctx, Vote>, Error> {
        let text = text(VOTE, &self.network, |w| vote.write(w));
        let step = match vote.kind {
            VoteType::Prevote => Step::Prevote,
            VoteType::Precommit => Step::Precommit,
        };
        let seal = self.seal(Some((vote.height, vote.round, step, vote.value)), text).await;
        Ok(SignedVote::new(vote, seal))
    }

    async fn sign_proposal(
        &self,
        proposal: Proposal,
    ) -> Result<SignedMessage<Ctx, Proposal>, Error> {
        let text = text(PROPOSAL, &self.network, |w| proposal.write(w));
        let (height, round) = (proposal.height, proposal.round);
        let step = (height, round, Step::Proposal, NilOrVal::Val(proposal.value));
        let seal = self.seal(Some(step), text).await;
        Ok(SignedProposal::new(proposal, seal))
    }

    async fn sign_vote_extension(
        &self,
        _: VoteExtensionScope<Ctx>,
        _: (),
    ) -> Result<SignedExtension<Ctx>, Error> {
        Ok(SignedExtension::new((), Seal::WITHHELD))
    }

    async fn sign_validator_proof(
        &self,
        key: Vec<u8>,
        peer: Vec<u8>,
    ) -> Result<ValidatorProof<Ctx>, Error> {
        let seal = self.seal(None, proof_text(&self.network, &key, &peer)).await;
        Ok(ValidatorProof::new(key, peer, seal))
    }
}

#[cfg(test)]
mod tests;
