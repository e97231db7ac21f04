use crate::{Authenticated, Claim, Fresh, Reason, Rejected, Verified, limits};
use muster_identity::{Did, sha256};
use muster_ledger::Time;
use std::collections::BTreeMap;

/// Which presentations were used: each once per (DID, audience). Bounded in all and per device;
/// when full it refuses, it never forgets one that could still be used.
#[derive(Debug)]
pub struct ReplayMemory {
    /// Presentations made before this second are refused: an earlier memory is lost, and they
    /// may have been in it.
    not_before: u64,
    /// By device: few of one are remembered at a time, and one descent finds them and counts them.
    seen: BTreeMap<Did, Vec<Seen>>,
    len: usize,
    /// Devices by the second in which one of their presentations may be forgotten.
    ends: BTreeMap<u64, Vec<Did>>,
    /// The latest `end` that was forgotten. If the clock steps back, what ended before it is
    /// refused: whether it was used is not known any more.
    forgotten: Time,
    latest_iat: u64,
    most: usize,
    most_of_one: u32,
}

/// Hash of `jti` and audience.
type Place = [u8; 32];

#[derive(Debug)]
struct Seen {
    place: Place,
    end: Time,
    /// From this second on it may be forgotten.
    until: u64,
    /// Who may ask again, if the request had an id.
    again: Option<Box<Again>>,
}

/// The request that brought a presentation, and what it was answered.
#[derive(Debug)]
struct Again {
    request: Box<str>,
    at: Time,
    token: [u8; 32],
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
            len: 0,
            ends: BTreeMap::new(),
            forgotten: Time(0),
            latest_iat: 0,
            most,
            most_of_one,
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The latest `iat` admitted, zero if there was none.
    pub fn latest_iat(&self) -> u64 {
        self.latest_iat
    }

    /// Whether the same request brought the same token a moment ago.
    pub fn recall(&self, claim: Claim, request: Option<&str>, now: Time) -> Recall {
        match self.again(&claim, request, now) {
            Some((Again { refusal: Some(refusal), .. }, _)) => Recall::Refused(*refusal),
            Some((_, end)) => Recall::Again(Fresh::again(claim, end)),
            None => Recall::New(claim),
        }
    }

    fn again(&self, claim: &Claim, request: Option<&str>, now: Time) -> Option<(&Again, Time)> {
        // Only a request that has an id can be the same.
        let (request, place) = (request?, place(claim));
        let seen = self.seen.get(claim.did())?.iter().find(|seen| seen.place == place)?;
        let again = seen.again.as_deref().filter(|again| again.is_same(claim, request, now))?;
        Some((again, seen.end))
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
        let place = place(&claim);
        let of_one = self.seen.get_mut(&did);
        let used = of_one.as_ref().and_then(|of_one| of_one.iter().find(|s| s.place == place));
        if let Some(used) = used {
            let same = |again: &&Again| request.is_some_and(|id| again.is_same(&claim, id, now));
            return match used.again.as_deref().filter(same) {
                Some(again) => again.refusal.map_or(outcome, Err),
                None => refuse(Reason::Replayed),
            };
        }
        let iat = claim.iat();
        if iat.is_some_and(|iat| iat < self.not_before) || end <= self.forgotten {
            return refuse(Reason::Replayed);
        }
        let number = of_one.as_ref().map_or(0, |of_one| of_one.len());
        if self.len >= self.most || number >= self.most_of_one as usize {
            return refuse(Reason::Busy);
        }
        let request = request.filter(|id| id.len() <= limits::REQUEST_ID_BYTES);
        let again = request.map(|request| {
            let (refusal, token) = (outcome.as_ref().err().copied(), *claim.hash());
            Box::new(Again { request: request.into(), at: now, token, refusal })
        });
        // The same request may ask again when the presentation's time is just over.
        let until = end.max(now.plus_ms(limits::SAME_REQUEST_MS)).seconds();
        let seen = Seen { place, end, until, again };
        match of_one {
            Some(of_one) => of_one.push(seen),
            // Most devices have one at a time.
            None => drop(self.seen.insert(did, vec![seen])),
        }
        self.len += 1;
        self.ends.entry(until).or_default().push(did);
        self.latest_iat = self.latest_iat.max(iat.unwrap_or(0));
        outcome
    }

    /// Forgets what cannot be used any more.
    fn forget(&mut self, now: Time) {
        while let Some(entry) = self.ends.first_entry() {
            if *entry.key() >= now.seconds() {
                return;
            }
            let second = *entry.key();
            for did in entry.remove() {
                let Some(of_one) = self.seen.get_mut(&did) else { continue };
                let before = of_one.len();
                of_one.retain(|seen| {
                    let stays = seen.until != second;
                    if !stays {
                        self.forgotten = self.forgotten.max(seen.end);
                    }
                    stays
                });
                self.len -= before - of_one.len();
                if of_one.is_empty() {
                    self.seen.remove(&did);
                }
            }
        }
    }
}

impl Again {
    /// The same request asks again: same id, same token byte by byte, within the time.
    fn is_same(&self, claim: &Claim, request: &str, now: Time) -> bool {
        *self.request == *request
            && self.token == *claim.hash()
            && now >= self.at
            && now.since(self.at) <= limits::SAME_REQUEST_MS
    }
}

fn place(claim: &Claim) -> Place {
    // A jti holds no zero byte.
    sha256(&[claim.jti().as_bytes(), &[0], claim.audience().as_bytes()])
}
