//! Votes that the leaves of a batch are here and were checked. They travel beside consensus, so
//! that a batch of a million devices costs it a few hundred bytes.

use crate::gather::Forged;
use crate::limits;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{PublicKey, Signature, Signer, SignerError};
use muster_ledger::{BatchId, Network, Time, ValidatorSet};
use std::collections::BTreeMap;

/// What a validator signs: CBOR `["muster/ready/1", network, batch, until]`. A promise: until the
/// ledger is past that time, the validator votes for no batch that shares a key with this one.
fn message(network: &Network, batch: &BatchId, until: Time) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(4).text("muster/ready/1").value(network).value(batch).value(&until);
    w.into_bytes()
}

/// One validator's vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadyVote {
    /// Whose leaves were checked.
    pub(crate) batch: BatchId,
    /// How long the promise holds: no later block counts the vote.
    pub(crate) until: Time,
    /// Who votes.
    pub(crate) validator: PublicKey,
    /// Over the promise.
    pub(crate) signature: Signature,
}

impl ReadyVote {
    /// Signs a promise.
    pub(crate) fn sign(
        network: &Network,
        batch: BatchId,
        until: Time,
        signer: &dyn Signer,
    ) -> Result<Self, SignerError> {
        let signature = signer.sign(&message(network, &batch, until))?;
        Ok(Self { batch, until, validator: signer.public_key(), signature })
    }
}

/// The votes for one batch, as a proposal shows them: CBOR `[batch, [[index, until, signature], ...]]`,
/// by the place of each validator in its set, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadyProof {
    pub(crate) batch: BatchId,
    pub(crate) votes: Vec<(u64, Time, Signature)>,
}

impl ReadyProof {
    /// Whether more than two thirds of the validators promise it for a block of this time.
    pub(crate) fn holds(&self, network: &Network, validators: &ValidatorSet, time: Time) -> bool {
        let ascending = self.votes.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let good = |(index, until, signature): &(u64, Time, Signature)| {
            let key = usize::try_from(*index).ok().and_then(|index| validators.0.get(index));
            let text = message(network, &self.batch, *until);
            *until >= time && key.is_some_and(|key| key.verify(&text, signature).is_ok())
        };
        ascending
            && self.votes.len() >= validators.quorum()
            && self.votes.iter().filter(|vote| good(vote)).count() >= validators.quorum()
    }
}

impl Encode for ReadyProof {
    fn encode(&self, w: &mut Writer) {
        w.array(2).value(&self.batch).array(self.votes.len());
        for (index, until, signature) in &self.votes {
            w.array(3).uint(*index).value(until).bytes(&signature.0);
        }
    }
}

impl Decode for ReadyProof {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        r.tuple(2)?;
        let batch = r.value()?;
        let n = r.array(muster_ledger::limits::VALIDATORS)?;
        let votes = (0..n)
            .map(|_| {
                r.tuple(3)?;
                Ok((r.uint()?, r.value()?, Signature(r.array_of()?)))
            })
            .collect::<Result<_, muster_identity::Error>>()?;
        Ok(Self { batch, votes })
    }
}

/// The votes that are known.
#[derive(Debug, Default)]
pub(crate) struct ReadyVotes(BTreeMap<BatchId, BTreeMap<PublicKey, (Time, Signature)>>);

impl ReadyVotes {
    /// Takes a vote of a validator; whether it says more than what was known. The signature of a
    /// vote that is known is not checked again, and one that is bad makes it forged.
    pub(crate) fn add(
        &mut self,
        network: &Network,
        validators: &ValidatorSet,
        vote: &ReadyVote,
    ) -> Result<bool, Forged> {
        if !validators.0.contains(&vote.validator) {
            return Ok(false);
        }
        let known = self.0.get(&vote.batch).and_then(|votes| votes.get(&vote.validator));
        if known.is_some_and(|(until, _)| *until >= vote.until)
            || (known.is_none() && self.of(&vote.validator) >= limits::READY_OF_A_VALIDATOR)
        {
            return Ok(false);
        }
        let text = message(network, &vote.batch, vote.until);
        vote.validator.verify(&text, &vote.signature).map_err(|_| Forged)?;
        let votes = self.0.entry(vote.batch).or_default();
        votes.insert(vote.validator, (vote.until, vote.signature));
        Ok(true)
    }

    /// Batches that one validator voted for.
    fn of(&self, validator: &PublicKey) -> usize {
        self.0.values().filter(|votes| votes.contains_key(validator)).count()
    }

    /// Until when a validator promised a batch.
    pub(crate) fn until(&self, batch: &BatchId, validator: &PublicKey) -> Option<Time> {
        self.0.get(batch)?.get(validator).map(|(until, _)| *until)
    }

    /// How many validators promised a batch, for a block of this time.
    pub(crate) fn count(&self, batch: &BatchId, time: Time) -> usize {
        let votes = self.0.get(batch).into_iter().flat_map(BTreeMap::values);
        votes.filter(|(until, _)| *until >= time).count()
    }

    /// All votes of one validator.
    pub(crate) fn of_validator(&self, validator: &PublicKey) -> Vec<ReadyVote> {
        let vote = |(batch, votes): (&BatchId, &BTreeMap<PublicKey, (Time, Signature)>)| {
            let (until, signature) = *votes.get(validator)?;
            Some(ReadyVote { batch: *batch, until, validator: *validator, signature })
        };
        self.0.iter().filter_map(vote).collect()
    }

    /// What a proposal of this time shows for a batch, if enough promised it.
    pub(crate) fn proof(
        &self,
        batch: &BatchId,
        validators: &ValidatorSet,
        time: Time,
    ) -> Option<ReadyProof> {
        let known = self.0.get(batch)?;
        let votes: Vec<_> = (0..)
            .zip(&validators.0)
            .filter_map(|(index, key)| known.get(key).map(|(until, s)| (index, *until, *s)))
            .filter(|(_, until, _)| *until >= time)
            .collect();
        (votes.len() >= validators.quorum()).then_some(ReadyProof { batch: *batch, votes })
    }

    /// Forgets votes that no block after this time can count, and those for batches that are over.
    pub(crate) fn sweep(&mut self, time: Time, over: impl Fn(&BatchId) -> bool) {
        for votes in self.0.values_mut() {
            votes.retain(|_, (until, _)| *until >= time);
        }
        self.0.retain(|batch, votes| !votes.is_empty() && !over(batch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::{Algorithm, SecretKey};
    use zeroize::Zeroizing;

    const NETWORK: Network = Network([7; 32]);
    const BATCH: BatchId = BatchId([1; 32]);

    fn keys() -> (Vec<SecretKey>, ValidatorSet) {
        let key = |n| SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new([n; 32])).unwrap();
        let mut keys: Vec<_> = (1..=4).map(key).collect();
        keys.sort_by_key(|key| key.public_key());
        let set = ValidatorSet(keys.iter().map(|key| key.public_key()).collect());
        (keys, set)
    }

    fn vote(key: &SecretKey, until: u64) -> ReadyVote {
        ReadyVote::sign(&NETWORK, BATCH, Time(until), key).unwrap()
    }

    #[test]
    fn more_than_two_thirds_promise_a_batch() {
        let (keys, set) = keys();
        let mut votes = ReadyVotes::default();
        for (n, key) in keys.iter().take(3).enumerate() {
            assert!(votes.proof(&BATCH, &set, Time(5)).is_none(), "{n} votes");
            assert_eq!(votes.add(&NETWORK, &set, &vote(key, 10)), Ok(true));
            assert_eq!(votes.add(&NETWORK, &set, &vote(key, 10)), Ok(false), "known already");
        }
        let proof = votes.proof(&BATCH, &set, Time(10)).unwrap();
        assert!(proof.holds(&NETWORK, &set, Time(10)));
        assert_eq!(ReadyProof::from_cbor(&proof.to_cbor()).unwrap(), proof);
        // A promise is over, of another network, of another batch, or counted twice.
        assert!(!proof.holds(&NETWORK, &set, Time(11)));
        assert!(votes.proof(&BATCH, &set, Time(11)).is_none());
        assert!(!proof.holds(&Network([8; 32]), &set, Time(10)));
        let other = ReadyProof { batch: BatchId([2; 32]), ..proof.clone() };
        assert!(!other.holds(&NETWORK, &set, Time(10)));
        let mut twice = proof.clone();
        twice.votes[2] = twice.votes[1];
        assert!(!twice.holds(&NETWORK, &set, Time(10)));
        let mut forged = proof;
        forged.votes[0].2.0[9] ^= 1;
        assert!(!forged.holds(&NETWORK, &set, Time(10)));
        votes.sweep(Time(11), |_| false);
        assert!(votes.0.is_empty());
    }

    #[test]
    fn strangers_and_forgers_have_no_vote() {
        let (keys, set) = keys();
        let mut votes = ReadyVotes::default();
        let stranger =
            SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new([99; 32])).unwrap();
        assert_eq!(votes.add(&NETWORK, &set, &vote(&stranger, 10)), Ok(false));
        let forged = ReadyVote { validator: keys[0].public_key(), ..vote(&stranger, 10) };
        assert_eq!(votes.add(&NETWORK, &set, &forged), Err(Forged));
        let later = ReadyVote { until: Time(99), ..vote(&keys[0], 10) };
        assert_eq!(votes.add(&NETWORK, &set, &later), Err(Forged));
        // One validator cannot fill the memory of the others.
        let many = |n: usize| {
            let mut batch = [0; 32];
            batch[..8].copy_from_slice(&(n as u64).to_be_bytes());
            ReadyVote::sign(&NETWORK, BatchId(batch), Time(10), &keys[0]).unwrap()
        };
        let taken = (0..limits::READY_OF_A_VALIDATOR + 9)
            .filter(|n| votes.add(&NETWORK, &set, &many(*n)) == Ok(true))
            .count();
        assert_eq!(taken, limits::READY_OF_A_VALIDATOR);
    }
}
