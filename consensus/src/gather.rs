//! Signatures of validators over heads, gathered until a quorum has signed one.

use crate::limits;
use muster_identity::cbor::Writer;
use muster_identity::{PublicKey, Signature, Signer, SignerError};
use muster_ledger::{Checkpoint, Network, Time, ValidatorSet};
use std::collections::{BTreeMap, BTreeSet};

/// Lines of heads: those of this node's ledger, and of heads that it has not reached yet.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// By size and time, and of those the different ones that validators signed.
    heads: BTreeMap<(u64, Time), Vec<Signed>>,
}

/// A head, and whose good signatures it has.
#[derive(Debug)]
struct Signed {
    checkpoint: Checkpoint,
    by: BTreeSet<PublicKey>,
}

impl Signed {
    fn has_quorum(&self, set: &ValidatorSet) -> bool {
        set.0.iter().filter(|key| self.by.contains(key)).count() >= set.quorum()
    }
}

/// A signature that is not good under a name that is. Honest nodes check what they tell on, so
/// whoever says this makes it up, or wastes the others' time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forged;

/// Two heads of one size that one validator signed, with other roots: proof that it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TwoHeads {
    pub(crate) validator: PublicKey,
    pub(crate) notes: [String; 2],
}

impl Gather {
    /// Takes a checkpoint with good signatures only, and whose they are. Tells of each validator
    /// that has signed another ledger of the same size.
    pub(crate) fn add(&mut self, fresh: &Checkpoint, signers: &[PublicKey]) -> Vec<TwoHeads> {
        if signers.is_empty() {
            return Vec::new();
        }
        let head = *fresh.head();
        let mut liars = Vec::new();
        let another = |other: &&Signed| !other.checkpoint.head().same_ledger(&head);
        for other in self.of_size(head.size).filter(another) {
            for validator in signers.iter().filter(|key| other.by.contains(key)) {
                let only = ValidatorSet(vec![*validator]);
                let notes = [&other.checkpoint, fresh].map(|note| note.only(&only).to_note());
                liars.push(TwoHeads { validator: *validator, notes });
            }
        }
        // Of each validator one ledger of a size counts: a liar cannot crowd the others out.
        let honest = |key: &&PublicKey| !liars.iter().any(|liar| liar.validator == **key);
        let honest: BTreeSet<_> = signers.iter().filter(honest).copied().collect();
        if honest.is_empty() {
            return liars;
        }
        let fresh = match honest.len() == signers.len() {
            true => fresh.clone(),
            false => fresh.only(&ValidatorSet(honest.iter().copied().collect())),
        };
        let known = self.heads.entry((head.size, head.time)).or_default();
        match known.iter_mut().find(|known| *known.checkpoint.head() == head) {
            Some(known) => {
                known.checkpoint.join(&fresh);
                known.by.extend(honest);
            }
            None => known.push(Signed { checkpoint: fresh, by: honest }),
        }
        // What lies furthest ahead goes first: a liar may have made it up.
        while self.heads.len() > limits::GATHERED_HEADS {
            self.heads.pop_last();
        }
        liars
    }

    fn of_size(&self, size: u64) -> impl Iterator<Item = &Signed> {
        self.heads.range((size, Time(0))..=(size, Time(u64::MAX))).flat_map(|(_, all)| all)
    }

    /// The latest head of at most this size that a quorum of each of the sets signed.
    pub(crate) fn quorum(&self, size: u64, sets: &[&ValidatorSet]) -> Option<&Checkpoint> {
        let reached = self.heads.range(..=(size, Time(u64::MAX))).rev();
        let whole = |signed: &&Signed| sets.iter().all(|set| signed.has_quorum(set));
        reached.flat_map(|(_, all)| all).find(whole).map(|signed| &signed.checkpoint)
    }

    /// Forgets heads below a size, and those of the size that are older than a time.
    pub(crate) fn sweep(&mut self, size: u64, time: Time) {
        self.heads = self.heads.split_off(&(size, time));
    }
}

/// What a validator signs when it would sign its head again with a later time: CBOR
/// `["muster/beat/1", network, size, time]`.
fn message(network: &Network, size: u64, time: Time) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(4).text("muster/beat/1").value(network).uint(size).value(&time);
    w.into_bytes()
}

/// A validator's word that its clock says so. A head is signed with a time only after a quorum
/// gave its word, so a clock that is wrong signs nothing that others will not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    /// Size of its ledger.
    pub(crate) size: u64,
    /// The time, a multiple of the heartbeat.
    pub(crate) time: Time,
    /// Who.
    pub(crate) validator: PublicKey,
    /// Over it.
    pub(crate) signature: Signature,
}

impl Beat {
    /// Signs.
    pub(crate) fn sign(
        network: &Network,
        size: u64,
        time: Time,
        signer: &dyn Signer,
    ) -> Result<Self, SignerError> {
        let signature = signer.sign(&message(network, size, time))?;
        Ok(Self { size, time, validator: signer.public_key(), signature })
    }
}

/// Beats of the present head.
#[derive(Debug, Default)]
pub(crate) struct Beats(BTreeMap<(u64, Time), BTreeSet<PublicKey>>);

impl Beats {
    /// Takes a beat of a validator: whether a quorum has given its word for that size and time.
    /// None: it is no validator's, or nothing new.
    pub(crate) fn add(
        &mut self,
        network: &Network,
        validators: &ValidatorSet,
        beat: &Beat,
    ) -> Result<Option<bool>, Forged> {
        if !validators.0.contains(&beat.validator) {
            return Ok(None);
        }
        let known = self.0.get(&(beat.size, beat.time));
        let known = known.is_some_and(|keys| keys.contains(&beat.validator));
        let text = message(network, beat.size, beat.time);
        if known {
            return Ok(None);
        }
        beat.validator.verify(&text, &beat.signature).map_err(|_| Forged)?;
        // One beat of each validator counts: its last.
        for keys in self.0.values_mut() {
            keys.remove(&beat.validator);
        }
        self.0.retain(|_, keys| !keys.is_empty());
        let keys = self.0.entry((beat.size, beat.time)).or_default();
        keys.insert(beat.validator);
        Ok(Some(keys.len() >= validators.quorum()))
    }
}

/// The time of the heartbeat that a clock has passed by a moment, so that clocks which differ by
/// less than that agree.
pub(crate) fn slot(now: Time) -> Time {
    let heartbeat = muster_ledger::limits::HEARTBEAT_MS;
    Time(now.0.saturating_sub(limits::BEAT_DELAY_MS) / heartbeat * heartbeat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::{Algorithm, SecretKey};
    use muster_ledger::{Head, cosign};
    use zeroize::Zeroizing;

    const NETWORK: Network = Network([7; 32]);

    fn keys() -> (Vec<SecretKey>, ValidatorSet) {
        let key = |n| SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new([n; 32])).unwrap();
        let mut keys: Vec<_> = (1..=4).map(key).collect();
        keys.sort_by_key(|key| key.public_key());
        let set = ValidatorSet(keys.iter().map(|key| key.public_key()).collect());
        (keys, set)
    }

    fn head(size: u64, time: u64) -> Head {
        Head {
            network: NETWORK,
            size,
            log_root: [1; 32],
            height: size,
            time: Time(time),
            state_root: [2; 32],
            validators: keys().1.hash(),
        }
    }

    fn add(gather: &mut Gather, set: &ValidatorSet, head: &Head, key: &SecretKey) -> Vec<TwoHeads> {
        let (fresh, signers) = cosign(head, key).unwrap().signed_only(set);
        gather.add(&fresh, &signers)
    }

    #[test]
    fn a_quorum_of_lines_makes_a_checkpoint() {
        let (keys, set) = keys();
        let mut gather = Gather::default();
        for key in &keys[..3] {
            assert!(gather.quorum(5, &[&set]).is_none());
            assert!(add(&mut gather, &set, &head(5, 10), key).is_empty());
        }
        assert_eq!(gather.quorum(5, &[&set]).unwrap().head(), &head(5, 10));
        // Each set must have signed, where there are two.
        let other = ValidatorSet(vec![keys[3].public_key()]);
        assert!(gather.quorum(5, &[&set, &other]).is_none());
        // The same ledger at a later time is no lie; the later one counts once it is whole.
        for key in &keys[..3] {
            assert!(add(&mut gather, &set, &head(5, 20), key).is_empty());
        }
        assert_eq!(gather.quorum(5, &[&set]).unwrap().head().time, Time(20));
        gather.sweep(5, Time(20));
        assert_eq!(gather.heads.len(), 1);
        gather.sweep(6, Time(0));
        assert!(gather.heads.is_empty());
    }

    #[test]
    fn who_signs_two_ledgers_of_one_size_is_shown() {
        let (keys, set) = keys();
        let mut gather = Gather::default();
        assert!(add(&mut gather, &set, &head(5, 10), &keys[0]).is_empty());
        let forged = Head { log_root: [9; 32], ..head(5, 11) };
        assert!(add(&mut gather, &set, &forged, &keys[1]).is_empty());
        let liars = add(&mut gather, &set, &forged, &keys[0]);
        assert_eq!(liars.len(), 1);
        assert_eq!(liars[0].validator, keys[0].public_key());
        for note in &liars[0].notes {
            let note = Checkpoint::parse(note).unwrap();
            assert_eq!(note.signers(&set), [keys[0].public_key()]);
        }
    }

    #[test]
    fn heads_that_nobody_reached_do_not_fill_the_memory() {
        let (keys, set) = keys();
        let mut gather = Gather::default();
        for size in 0..limits::GATHERED_HEADS as u64 + 9 {
            add(&mut gather, &set, &head(size, 1), &keys[0]);
        }
        assert_eq!(gather.heads.len(), limits::GATHERED_HEADS);
        let stranger =
            SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new([99; 32])).unwrap();
        let mut gather = Gather::default();
        add(&mut gather, &set, &head(1, 1), &stranger);
        assert!(gather.heads.is_empty());
    }

    #[test]
    fn a_wrong_clock_does_not_sign_alone() {
        let (keys, set) = keys();
        let mut beats = Beats::default();
        let mut beat = |key, time| {
            let beat = Beat::sign(&NETWORK, 5, Time(time), key).unwrap();
            beats.add(&NETWORK, &set, &beat).unwrap()
        };
        assert_eq!(beat(&keys[0], 3_600_000), Some(false));
        assert_eq!(beat(&keys[1], 10_000), Some(false));
        assert_eq!(beat(&keys[2], 10_000), Some(false));
        assert_eq!(beat(&keys[2], 10_000), None, "twice is once");
        assert_eq!(beat(&keys[3], 10_000), Some(true));
        assert_eq!(slot(Time(29_999)), Time(20_000));
        assert_eq!(slot(Time(30_000 + limits::BEAT_DELAY_MS)), Time(30_000));
    }
}
