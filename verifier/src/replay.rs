use crate::{Authenticated, Claim, Fresh, Reason, Rejected, Verified, limits};
use muster_identity::{Did, sha256};
use muster_ledger::Time;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Which presentations were used: each once per (DID, audience). Bounded in all and per device;
/// when full it refuses, it never forgets one that could still be used.
#[derive(Debug)]
pub struct ReplayMemory {
    /// Presentations made before this second are refused: an earlier memory is lost, and they
    /// may have been in it.
    not_before: u64,
    seen: BTreeMap<Place, Seen>,
    /// Places by the second in which they may be forgotten.
    ends: BTreeMap<u64, Vec<Place>>,
    of_one: BTreeMap<Did, u32>,
    /// The latest `end` that was forgotten. If the clock steps back, what ended before it is
    /// refused: whether it was used is not known any more.
    forgotten: Time,
    latest_iat: u64,
    most: usize,
    most_of_one: u32,
}

/// Hash of DID, audience and `jti`, in words: the first nearly always tells two apart.
type Place = [u64; 4];

#[derive(Debug)]
struct Seen {
    did: Did,
    end: Time,
    at: Time,
    token: [u8; 32],
    request: Option<Box<str>>,
    refusal: Option<Rejected>,
}

/// What the memory says of a claim before anything else is looked at.
#[derive(Debug)]
pub enum Recall {
    /// Not seen, or not by the same request: go on with [`Claim::fresh`].
    New(Claim),
    /// The same request asks again, and was not refused: go on with [`Fresh::authenticate`],
    /// which looks at key and standing again.
    Again(Fresh),
    /// The same request asks again, and was refused.
    Refused(Rejected),
}

impl ReplayMemory {
    /// An empty memory; what was made before `not_before` (Unix seconds) is refused. Give it the
    /// start of the gateway, or a mark that survived: one above every `iat` accepted earlier.
    pub fn new(not_before: u64) -> Self {
        Self::with_limits(not_before, limits::REMEMBERED, limits::REMEMBERED_OF_ONE)
    }

    /// As [`Self::new`], with bounds of its own.
    pub fn with_limits(not_before: u64, most: usize, most_of_one: u32) -> Self {
        Self {
            not_before,
            seen: BTreeMap::new(),
            ends: BTreeMap::new(),
            of_one: BTreeMap::new(),
            forgotten: Time(0),
            latest_iat: 0,
            most,
            most_of_one,
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// The latest `iat` admitted, zero if there was none.
    pub fn latest_iat(&self) -> u64 {
        self.latest_iat
    }

    /// Whether the same request brought the same token a moment ago.
    pub fn recall(&self, claim: Claim, request: Option<&str>, now: Time) -> Recall {
        // Only a request that has an id can be the same.
        let seen = request.and_then(|_| self.seen.get(&place(&claim)));
        match seen {
            Some(seen) if seen.is_same(&claim, request, now) => match seen.refusal {
                Some(refusal) => Recall::Refused(refusal),
                None => Recall::Again(Fresh::again(claim, seen.end)),
            },
            _ => Recall::New(claim),
        }
    }

    /// Hands out the verdict on a presentation, once. It counts as used whatever the verdict.
    pub fn admit(
        &mut self,
        authenticated: Authenticated,
        request: Option<&str>,
        now: Time,
    ) -> Result<Verified, Rejected> {
        self.forget(now);
        let Authenticated { claim, end, outcome } = authenticated;
        let did = *claim.did();
        let refuse = |reason| Err(Rejected::about(did, reason));
        let full = self.seen.len() >= self.most;
        let vacant = match self.seen.entry(place(&claim)) {
            Entry::Vacant(vacant) => vacant,
            Entry::Occupied(seen) if seen.get().is_same(&claim, request, now) => {
                return seen.get().refusal.map_or(outcome, Err);
            }
            Entry::Occupied(_) => return refuse(Reason::Replayed),
        };
        let iat = claim.iat();
        if iat.is_some_and(|iat| iat < self.not_before) || end <= self.forgotten {
            return refuse(Reason::Replayed);
        }
        if full {
            return refuse(Reason::Busy);
        }
        let of_one = self.of_one.entry(did).or_default();
        if *of_one >= self.most_of_one {
            return refuse(Reason::Busy);
        }
        *of_one += 1;
        let request = request.filter(|id| id.len() <= limits::REQUEST_ID_BYTES).map(Box::from);
        // The same request may ask again when the presentation's time is just over.
        let until = end.max(now.plus_ms(limits::SAME_REQUEST_MS));
        let refusal = outcome.as_ref().err().copied();
        let seen = Seen { did, end, at: now, token: *claim.hash(), request, refusal };
        self.ends.entry(until.seconds()).or_default().push(*vacant.key());
        vacant.insert(seen);
        self.latest_iat = self.latest_iat.max(iat.unwrap_or(0));
        outcome
    }

    /// Forgets what cannot be used any more.
    fn forget(&mut self, now: Time) {
        while let Some(entry) = self.ends.first_entry() {
            if *entry.key() >= now.seconds() {
                return;
            }
            for place in entry.remove() {
                let Some(seen) = self.seen.remove(&place) else { continue };
                self.forgotten = self.forgotten.max(seen.end);
                match self.of_one.get_mut(&seen.did) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => drop(self.of_one.remove(&seen.did)),
                }
            }
        }
    }
}

impl Seen {
    /// The same request asks again: same id, same token byte by byte, within the time.
    fn is_same(&self, claim: &Claim, request: Option<&str>, now: Time) -> bool {
        request.is_some()
            && self.request.as_deref() == request
            && self.token == *claim.hash()
            && now >= self.at
            && now.since(self.at) <= limits::SAME_REQUEST_MS
    }
}

fn place(claim: &Claim) -> Place {
    // The DID has a fixed length, and a jti holds no zero byte.
    let (jti, audience) = (claim.jti().as_bytes(), claim.audience().as_bytes());
    let hash = sha256(&[claim.did().digest(), jti, &[0], audience]);
    core::array::from_fn(|i| hash[8 * i..][..8].iter().fold(0, |word, b| word << 8 | u64::from(*b)))
}
