//! Who keeps a row that two uploads have, if one of them holds leaves of another node's batch.

use crate::claims::{BY_OPERATION, Claim};
use crate::reserved::Reservations;
use crate::store::{CheckedRow, Found, Place, Plan};
use muster_api::Problem;
use muster_ledger::{BatchId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The batch can never be ready here.
pub(super) const NEVER: &str = "batch-refused";

/// The batch must wait.
pub(super) const LATER: &str = "batch-later";

/// An announced batch that has rows here already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rival {
    pub(super) batch: BatchId,
    /// Its leaves were promised.
    pub(super) promised: bool,
}

/// What decisions are made by.
pub(super) struct Bench {
    pub(super) batch: BatchId,
    /// It is on the ledger: whatever is only staged makes way.
    pub(super) decided: bool,
    /// Announced batches by the numbers of their uploads.
    pub(super) rivals: BTreeMap<u64, Rival>,
    pub(super) reserved: Arc<Reservations>,
    pub(super) now: Time,
}

impl Bench {
    /// Decides about the rows of one bundle: all of them are staged, or none.
    pub(super) fn judge(&self, found: &Found, rows: &[CheckedRow]) -> Result<Plan, Problem> {
        let upload = found.upload.as_ref().ok_or_else(crate::upload::unknown)?;
        if upload.sealed.is_some() || upload.staged + rows.len() as u64 > upload.rows {
            return Err(later("its leaves are complete"));
        }
        let mut own = BTreeSet::new();
        let mut evict = Vec::new();
        for row in rows {
            for claim in row.claims() {
                if !own.insert(claim) {
                    return Err(never("a key is in it twice"));
                }
                if let Some(from) = self.holder(found, upload.number, &claim)? {
                    evict.push((from, claim));
                }
            }
        }
        let write = (0..rows.len()).collect();
        let added = rows.len() as u64;
        let plan =
            Plan { evict, write, added, now: self.now, leaves_only: true, ..Plan::default() };
        Ok(plan)
    }

    /// The upload that must give a claim up, if there is one.
    fn holder(&self, found: &Found, own: u64, claim: &Claim) -> Result<Option<u64>, Problem> {
        let Some(number) = found.claims.get(claim).copied() else {
            // It is in an operation on its way into a block.
            let entering = !self.decided && self.reserved.has_key(claim);
            return if entering { Err(later("a key is entering the ledger")) } else { Ok(None) };
        };
        if number == BY_OPERATION {
            return Err(never("a key of it entered the ledger by an operation"));
        }
        if number == own {
            return Err(never("a key is in it twice"));
        }
        match found.places.get(&number) {
            // Left over from a power failure.
            None => Ok(None),
            Some(Place::Live(batch)) => Err(never(&format!("batch {batch} has a key of it"))),
            Some(Place::Staged(_)) if self.decided => Ok(Some(number)),
            Some(Place::Staged(_)) => match self.rivals.get(&number) {
                None => Ok(Some(number)),
                Some(rival) if rival.promised => {
                    Err(later(&format!("this node voted for batch {}", rival.batch)))
                }
                Some(rival) if rival.batch < self.batch => {
                    Err(later(&format!("batch {} has a key of it and comes first", rival.batch)))
                }
                Some(_) => Ok(Some(number)),
            },
        }
    }
}

fn never(why: &str) -> Problem {
    Problem::new(409, NEVER, why)
}

fn later(why: &str) -> Problem {
    Problem::new(409, LATER, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Upload;
    use crate::tests::secret;
    use muster_api::Row;
    use muster_identity::cbor::Encode as _;
    use muster_identity::{Did, Inception, Signer as _};
    use muster_ledger::{Evidence, GrantId, Leaf, SerialCommitment, VouchedBy};

    fn upload(number: u64) -> Upload {
        Upload {
            number,
            token: super::super::token(&BatchId([9; 32])),
            organisation: Did::from_digest([1; 32]),
            grant: GrantId([0; 32]),
            model: "m".into(),
            rows: 9,
            rehearsal: false,
            opened: Time(0),
            expires: Time(100),
            active: Time(0),
            staged: 0,
            version: 0,
            sealed: None,
        }
    }

    fn row() -> CheckedRow {
        let leaf = Leaf {
            inception: Inception::from_key(secret(5).public_key()),
            evidence: Evidence::Vouched { by: VouchedBy::Enroller, digest: None },
            serial: SerialCommitment([0; 32]),
            owner_recovery: false,
        };
        let (serial, lot) = (String::new(), None);
        CheckedRow::new(Row { number: 0, leaf: leaf.to_cbor(), serial, lot }, &leaf)
    }

    fn bench(decided: bool, rival: Option<Rival>) -> Bench {
        let rivals = rival.into_iter().map(|rival| (3, rival)).collect();
        let batch = BatchId([5; 32]);
        Bench { batch, decided, rivals, reserved: Arc::default(), now: Time(7) }
    }

    /// What becomes of a row that number 3 has.
    fn met(bench: &Bench, place: Option<Place>) -> Result<Vec<(u64, Claim)>, String> {
        let row = row();
        let mut found = Found::fresh(Some(upload(1)));
        found.claims.insert(row.name, 3);
        found.places.extend(place.map(|place| (3, place)));
        let plan = bench.judge(&found, &[row]);
        plan.map(|plan| plan.evict).map_err(|problem| problem.code().to_owned())
    }

    #[test]
    fn who_keeps_a_row() {
        let evicted = Ok(vec![(3, row().name)]);
        let (later, never) = (Err(LATER.to_owned()), Err(NEVER.to_owned()));
        let staged = || Some(Place::Staged(upload(3)));
        let rival = |first, promised| Some(Rival { batch: BatchId([first; 32]), promised });
        // Left over; uploaded by a client and not announced.
        assert_eq!(met(&bench(false, None), None), Ok(vec![]));
        assert_eq!(met(&bench(false, None), staged()), evicted);
        // Announced: the promise first, then the lower id.
        assert_eq!(met(&bench(false, rival(9, true)), staged()), later);
        assert_eq!(met(&bench(false, rival(9, false)), staged()), evicted);
        assert_eq!(met(&bench(false, rival(1, false)), staged()), later);
        // What is on the ledger comes before whatever is staged, and before nothing else.
        assert_eq!(met(&bench(true, rival(1, true)), staged()), evicted);
        for decided in [false, true] {
            let live = Some(Place::Live(BatchId([7; 32])));
            assert_eq!(met(&bench(decided, None), live), never);
        }
    }

    #[test]
    fn what_is_in_it_twice_is_never_ready() {
        let bench = bench(false, None);
        let code = |found: &Found, rows: &[CheckedRow]| {
            bench.judge(found, rows).map(|_| ()).map_err(|problem| problem.code().to_owned())
        };
        let fresh = Found::fresh(Some(upload(1)));
        assert_eq!(code(&fresh, &[row(), row()]), Err(NEVER.to_owned()));
        assert_eq!(code(&fresh, &[row()]), Ok(()));
        let mut here = Found::fresh(Some(upload(1)));
        here.claims.insert(row().name, 1);
        assert_eq!(code(&here, &[row()]), Err(NEVER.to_owned()));
        here.claims.insert(row().name, BY_OPERATION);
        assert_eq!(code(&here, &[row()]), Err(NEVER.to_owned()));
        let full = Upload { staged: 9, ..upload(1) };
        assert_eq!(code(&Found::fresh(Some(full)), &[row()]), Err(LATER.to_owned()));
    }
}
