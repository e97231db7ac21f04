//! The types that the BFT engine works with.
//!
//! A value is its id alone, SHA-256 of the proposal's bytes: votes, certificates and the engine's
//! log stay small, and the bytes travel and are stored beside them.

use malachite::app::types::core::{
    self as bft, NilOrVal, Round, SignedExtension, SigningScheme, VoteType, VotingPower,
};
use muster_identity::{PublicKey, sha256};
use std::fmt;

/// One height of consensus decides one block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Height(pub(crate) u64);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl bft::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

/// A validator's address: the 32 bytes of its Ed25519 key. Whoever holds an address can verify.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(pub(crate) [u8; 32]);

impl Address {
    /// The address of nobody: what a node without a validator key calls itself.
    pub(crate) const NOBODY: Self = Self([0; 32]);

    /// The address of a validator key, or `None` for a key that no validator may have.
    pub(crate) fn of(key: &PublicKey) -> Option<Self> {
        key.raw().try_into().ok().map(Self)
    }

    /// The key, if the address is one.
    pub(crate) fn key(&self) -> Option<PublicKey> {
        PublicKey::ed25519(self.0).ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl bft::Address for Address {}

/// What is decided on: SHA-256 of a proposal's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ValueId(pub(crate) [u8; 32]);

impl ValueId {
    /// The id of a proposal.
    pub(crate) fn of(proposal: &[u8]) -> Self {
        Self(sha256(&[proposal]))
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Eight bytes tell proposals apart in a log.
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueId({self})")
    }
}

impl bft::Value for ValueId {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

/// A validator, which has one vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validator {
    pub(crate) address: Address,
    pub(crate) key: PublicKey,
}

impl bft::Validator<Ctx> for Validator {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> VotingPower {
        1
    }
}

/// The validators of a height, in the order of the ledger: ascending keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValidatorSet(pub(crate) Vec<Validator>);

impl ValidatorSet {
    /// The set of the ledger. Its decoder lets only Ed25519 keys in.
    pub(crate) fn of(set: &muster_ledger::ValidatorSet) -> Self {
        let one = |key: &PublicKey| Some(Validator { address: Address::of(key)?, key: *key });
        Self(set.0.iter().filter_map(one).collect())
    }

    /// Who proposes: the turn passes with every height and every round.
    pub(crate) fn proposer(&self, height: Height, round: Round) -> &Validator {
        let turn = height.0.wrapping_add(u64::from(round.as_u32().unwrap_or(0)));
        &self.0[(turn % self.0.len() as u64) as usize]
    }

    /// How many validators are at least one honest one: more than a third.
    pub(crate) fn one_honest(&self) -> usize {
        self.0.len() / 3 + 1
    }
}

impl bft::ValidatorSet<Ctx> for ValidatorSet {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        self.0.len() as VotingPower
    }

    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        self.0.iter().find(|v| v.address == *address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }
}

/// A prevote or precommit. Votes carry no extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) kind: VoteType,
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) value: NilOrVal<ValueId>,
    pub(crate) validator: Address,
}

impl bft::Vote<Ctx> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<ValueId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<ValueId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.validator
    }

    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        None
    }

    fn extend(self, _: SignedExtension<Ctx>) -> Self {
        self
    }
}

/// The proposer's message: which value it proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) value: ValueId,
    pub(crate) pol_round: Round,
    pub(crate) proposer: Address,
}

impl bft::Proposal<Ctx> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &ValueId {
        &self.value
    }

    fn take_value(self) -> ValueId {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Address {
        &self.proposer
    }
}

/// What travels of a proposal's bytes: first what they are, signed; then pieces of them. Only the
/// first is signed: the id in it is a hash of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// What follows.
    Head(PartsHead),
    /// A piece of the bytes.
    Piece(Vec<u8>),
}

/// What a proposer says of the bytes that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartsHead {
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) pol_round: Round,
    pub(crate) proposer: Address,
    pub(crate) value: ValueId,
    pub(crate) bytes: u32,
    pub(crate) seal: Seal,
}

impl bft::ProposalPart<Ctx> for Part {
    fn is_first(&self) -> bool {
        matches!(self, Self::Head(_))
    }

    fn is_last(&self) -> bool {
        // The stream says where it ends.
        false
    }
}

/// A signature. All zero is none: what a node holds of a vote that it may not cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seal(pub(crate) [u8; 64]);

impl Seal {
    /// No signature. No message with it leaves the node, and no node accepts one.
    pub(crate) const WITHHELD: Self = Self([0; 64]);
}

/// Ed25519 by the one signature rule of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheme;

impl SigningScheme for Scheme {
    type DecodingError = muster_identity::Error;
    type Signature = Seal;
    type PublicKey = PublicKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Seal, Self::DecodingError> {
        let bytes = bytes.try_into().map_err(|_| muster_identity::Error::Signature)?;
        Ok(Seal(bytes))
    }

    fn encode_signature(signature: &Seal) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, Self::DecodingError> {
        Ok(PublicKey::from_multicodec(bytes)?)
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.to_multicodec()
    }
}

/// The context of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ctx;

impl bft::Context for Ctx {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = ValidatorSet;
    type Timeouts = bft::LinearTimeouts;
    type Value = ValueId;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Scheme;

    fn select_proposer<'a>(
        &self,
        set: &'a ValidatorSet,
        height: Height,
        round: Round,
    ) -> &'a Validator {
        set.proposer(height, round)
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: ValueId,
        pol_round: Round,
        proposer: Address,
    ) -> Proposal {
        Proposal { height, round, value, pol_round, proposer }
    }

    fn new_prevote(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<ValueId>,
        validator: Address,
    ) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, validator }
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<ValueId>,
        validator: Address,
    ) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, validator }
    }
}
