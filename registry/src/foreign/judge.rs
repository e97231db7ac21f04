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
        let plan = Plan { evict, write, added, now: self.now, leaves_only: true, ..Plan::default() };
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
