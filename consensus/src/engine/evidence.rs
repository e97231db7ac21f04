//! What a validator signed twice.

use super::codec::Wire;
use super::context::{Address, Ctx};
use malachite::app::types::core::{SignedProposal, SignedVote};
use malachite::app::types::{MisbehaviorEvidence, SignedConsensusMsg};
use muster_identity::PublicKey;

/// Two signed messages of one validator for one height, round and step that say different things.
/// Both are in the encoding of the engine's messages, with their signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Whose signatures they are.
    pub validator: PublicKey,
    /// The height.
    pub height: u64,
    /// Whether they are votes; else proposals.
    pub votes: bool,
    /// One of them.
    pub first: Vec<u8>,
    /// The other.
    pub second: Vec<u8>,
}

impl Evidence {
    /// All that the engine saw at a height.
    pub(crate) fn all(seen: MisbehaviorEvidence<Ctx>) -> Vec<Self> {
        let mut all = Vec::new();
        for (address, pairs) in seen.votes {
            let pair = |(a, b): (SignedVote<Ctx>, SignedVote<Ctx>)| {
                let height = a.message.height.0;
                (height, SignedConsensusMsg::Vote(a), SignedConsensusMsg::Vote(b))
            };
            all.extend(pairs.into_iter().filter_map(|p| Self::of(&address, true, pair(p))));
        }
        for (address, pairs) in seen.proposals {
            let pair = |(a, b): (SignedProposal<Ctx>, SignedProposal<Ctx>)| {
                let height = a.message.height.0;
                (height, SignedConsensusMsg::Proposal(a), SignedConsensusMsg::Proposal(b))
            };
            all.extend(pairs.into_iter().filter_map(|p| Self::of(&address, false, pair(p))));
        }
        all
    }

    fn of(
        address: &Address,
        votes: bool,
        (height, first, second): (u64, SignedConsensusMsg<Ctx>, SignedConsensusMsg<Ctx>),
    ) -> Option<Self> {
        let (first, second) = (first.to_bytes(), second.to_bytes());
        Some(Self { validator: address.key()?, height, votes, first, second })
    }
}
