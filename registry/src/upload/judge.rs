use super::checking::refused;
use super::unknown;
use crate::claims::{BY_OPERATION, Claim};
use crate::reserved::Reservations;
use crate::store::{
    CheckedRow, Clash, Clashes, DirectoryRow, Found, Place, Plan, Settlement, Upload,
};
use muster_api::{Problem, RowVerdict, Verdict, limits};
use muster_identity::Did;
use muster_ledger::{BatchRecord, Chain, Refusal, Time, View as _};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What decisions are made by: the state, and what operations under way hold on to.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) chain: Chain,
    pub(super) reserved: Arc<Reservations>,
    pub(super) now: Time,
}

/// What one row meets.
enum Ruling {
    /// It is staged; it takes these along.
    Write { evict: Vec<(u64, Claim)>, forget: Vec<Claim>, adds: bool },
    /// It is enrolled already, exactly so.
    Already,
    /// It is refused.
    Refused(&'static str, String),
}

/// Whose a number is, seen from an upload.
enum Holder<'f> {
    /// Nobody's: left over from a power failure.
    Nobody,
    /// A live batch that the same organisation enrolled.
    Ours,
    /// A live batch that another organisation enrolled.
    Theirs,
    /// This very upload.
    Here,
    /// An upload whose rows may be taken over.
    Yielding(&'f Upload),
    /// An upload that keeps its rows.
    Elsewhere,
}

/// What the request knows about rows so far: what was found, and what it decided itself.
struct Docket<'f> {
    upload: &'f Upload,
    places: &'f BTreeMap<u64, Place>,
    claims: BTreeMap<Claim, u64>,
    by_name: BTreeMap<Claim, DirectoryRow>,
}

impl Bench {
    /// Decides about the rows of one request. Pure: what the store found goes in, a plan comes
    /// out. Their serial numbers are judged when the upload is sealed.
    pub(super) fn judge(&self, found: &Found, rows: &[CheckedRow]) -> Result<Plan, Problem> {
        let upload = found.upload.as_ref().ok_or_else(unknown)?;
        if upload.sealed.is_some() || self.reserved.has_upload(upload.number) {
            return Err(Problem::new(409, "sealed", "the upload is sealed")
                .cure("open another one for further rows"));
        }
        let mut plan = Plan { now: self.now, ..Plan::default() };
        if found.fresh && !self.reserved.any_key() {
            plan.added = rows.len() as u64;
            plan.write = (0..rows.len()).collect();
            plan.verdicts = rows.iter().map(|row| staged(row.row.number)).collect();
        } else {
            self.judge_each(found, upload, rows, &mut plan)?;
        }
        if upload.staged + plan.added > upload.rows {
            let title = format!("the upload was opened for {} rows", upload.rows);
            return Err(Problem::new(409, "too-many-rows", title).cure("open a larger one"));
        }
        Ok(plan)
    }

    fn judge_each(
        &self,
        found: &Found,
        upload: &Upload,
        rows: &[CheckedRow],
        plan: &mut Plan,
    ) -> Result<(), Refusal> {
        let (claims, by_name) = (found.claims.clone(), found.by_name.clone());
        let mut docket = Docket { upload, places: &found.places, claims, by_name };
        // Where the row of a name stands in the plan.
        let mut writes: BTreeMap<Claim, usize> = BTreeMap::new();
        for (place, row) in rows.iter().enumerate() {
            let ruling = self.rule(&docket, row)?;
            plan.verdicts.push(ruling.verdict(row.row.number));
            if let Ruling::Write { evict, forget, adds } = ruling {
                plan.added += u64::from(adds);
                docket.write(row);
                // A row sent twice in one request counts once, as it was sent last.
                writes.insert(row.name, place);
                plan.evict.extend(evict);
                plan.forget.extend(forget);
            }
        }
        plan.write = writes.into_values().collect();
        Ok(())
    }

    fn manufacturer(&self, batch: &BatchRecord) -> Result<Did, Refusal> {
        self.chain.state().manufacturer(batch)
    }

    /// `known`: the private directory says that the organisation brought it.
    fn holder<'f>(
        &self,
        upload: &Upload,
        places: &'f BTreeMap<u64, Place>,
        number: u64,
        known: bool,
    ) -> Result<Holder<'f>, Refusal> {
        if number == upload.number {
            return Ok(Holder::Here);
        }
        Ok(match places.get(&number) {
            None if number == BY_OPERATION => Holder::Ours,
            None => Holder::Nobody,
            // Whoever brought it once: a batch that changed hands since is no less enrolled.
            Some(Place::Live(batch)) => match self.chain.state().batch(batch)? {
                Some(record) if self.manufacturer(&record)? == upload.organisation => Holder::Ours,
                Some(_) => Holder::Theirs,
                // Committed, and not signed yet.
                None if known => Holder::Ours,
                None => Holder::Theirs,
            },
            Some(Place::Staged(other)) => {
                let over = other.expires <= self.now;
                let rehearsed = other.rehearsal && !upload.rehearsal;
                // An importer that was cut off, and has lost its journal, is not in its own way for
                // ever; one that is at work keeps its rows.
                let older = other.organisation == upload.organisation
                    && other.number < upload.number
                    && self.now.since(other.active) > limits::UPLOAD_IDLE_MS
                    && other.rehearsal == upload.rehearsal
                    // What is sealed may be signed at any moment.
                    && other.sealed.is_none();
                let held = self.reserved.has_upload(other.number);
                // Leaves that another node brought, and of which nobody speaks any more.
                let left = other.is_foreign();
                if !held && (over || rehearsed || older || left) {
                    Holder::Yielding(other)
                } else {
                    Holder::Elsewhere
                }
            }
        })
    }

    fn rule(&self, docket: &Docket<'_>, row: &CheckedRow) -> Result<Ruling, Refusal> {
        let refuse = |code, why: &str| Ok(Ruling::Refused(code, why.into()));
        let holder = |number, known| self.holder(docket.upload, docket.places, number, known);
        let mine = docket.by_name.get(&row.name);
        let same_serial = mine.is_none_or(|d| d.serial == row.row.serial);
        let mut evict = Vec::new();
        let (mut adds, mut unknown) = (true, false);
        match docket.claims.get(&row.name) {
            // A key that came by an operation goes by the name of the device it would make.
            Some(&BY_OPERATION) => {
                return refuse("duplicate-key", "the key entered the ledger by an operation");
            }
            Some(number) => match holder(*number, mine.is_some())? {
                Holder::Ours if same_serial => return Ok(Ruling::Already),
                Holder::Ours => {
                    return refuse("duplicate-key", "the key is enrolled under another serial");
                }
                Holder::Theirs => {
                    return refuse("enrolled-elsewhere", "another organisation enrolled the key");
                }
                Holder::Elsewhere => {
                    return refuse("uploading-elsewhere", "another open upload has the key");
                }
                Holder::Here => match mine {
                    Some(before) if before.row != row.row.number && same_serial => {
                        let why = format!("row {} is the same device", before.row);
                        return Ok(Ruling::Refused("duplicate-row", why));
                    }
                    Some(before) if before.row != row.row.number => {
                        let why = format!("row {} has the key under another serial", before.row);
                        return Ok(Ruling::Refused("duplicate-key", why));
                    }
                    // The same row once more, perhaps mended.
                    _ => adds = false,
                },
                Holder::Yielding(other) => evict.push((other.number, row.name)),
                Holder::Nobody => unknown = true,
            },
            None if self.reserved.has_key(&row.name) => {
                return refuse("duplicate-key", "the key is entering the ledger just now");
            }
            None => unknown = true,
        }
        // Another inception with the same key is another DID, and the same key.
        if let Some(key) = row.key.filter(|_| unknown) {
            if self.reserved.has_key(&key) {
                return refuse("duplicate-key", "the key is entering the ledger just now");
            }
            if let Some(number) = docket.claims.get(&key) {
                match holder(*number, false)? {
                    Holder::Ours | Holder::Here => {
                        return refuse("duplicate-key", "another device has the key");
                    }
                    Holder::Theirs => {
                        return refuse("enrolled-elsewhere", "another organisation has the key");
                    }
                    Holder::Elsewhere | Holder::Yielding(_) => {
                        return refuse("uploading-elsewhere", "another open upload has the key");
                    }
                    Holder::Nobody => {}
                }
            }
        }
        let mended = mine.filter(|d| d.serial != row.row.serial);
        let forget = mended.map(|d| d.name).into_iter().collect();
        Ok(Ruling::Write { evict, forget, adds })
    }

    /// Decides whose a serial number is that two devices have.
    pub(super) fn settle(&self, found: &Clashes) -> Result<Settlement, Refusal> {
        let mut settlement = Settlement::default();
        for clash in &found.clashes {
            let Clash { ours, name, upload } = clash;
            // They come by serial number and row: the one before may have taken it.
            let taken = settlement.take.last().is_some_and(|last| last.serial == ours.serial);
            let holder = match upload {
                _ if taken => Holder::Here,
                None => Holder::Nobody,
                Some(number) => self.holder(&found.upload, &found.places, *number, true)?,
            };
            match holder {
                Holder::Nobody => settlement.take.push(ours.clone()),
                Holder::Yielding(from) => {
                    settlement.evict.push((from.number, *name));
                    settlement.take.push(ours.clone());
                }
                Holder::Ours | Holder::Theirs | Holder::Here | Holder::Elsewhere => {
                    let why = "another device has the serial number";
                    settlement.verdicts.push(refused(ours.row, "duplicate-serial", why));
                    settlement.refuse.push(ours.name);
                }
            }
        }
        Ok(settlement)
    }
}

impl Docket<'_> {
    /// Notes a row that will be written.
    fn write(&mut self, row: &CheckedRow) {
        let upload = self.upload.number;
        for claim in row.claims() {
            self.claims.insert(claim, upload);
        }
        let entry = DirectoryRow {
            name: row.name,
            serial: row.row.serial.clone(),
            lot: row.row.lot.clone(),
            upload,
            row: row.row.number,
        };
        self.by_name.insert(row.name, entry);
    }
}

fn staged(row: u64) -> RowVerdict {
    RowVerdict { row, verdict: Verdict::Staged, code: None, detail: None }
}

impl Ruling {
    fn verdict(&self, row: u64) -> RowVerdict {
        match self {
            Self::Write { .. } => staged(row),
            Self::Already => RowVerdict { verdict: Verdict::Already, ..staged(row) },
            Self::Refused(code, why) => refused(row, code, why.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{genesis, secret};
    use muster_api::Row;
    use muster_identity::cbor::Encode as _;
    use muster_identity::{Inception, Signer as _};
    use muster_ledger::{BatchId, Evidence, GrantId, Leaf, SerialCommitment, VouchedBy};

    /// An upload that nobody touched since the beginning has been idle for long enough.
    const NOW: u64 = limits::UPLOAD_IDLE_MS + 1;

    fn upload(number: u64, organisation: u8, expires: u64) -> Upload {
        Upload {
            number,
            token: [0; 32],
            organisation: Did::from_digest([organisation; 32]),
            grant: GrantId([0; 32]),
            model: "m".into(),
            rows: 9,
            rehearsal: false,
            opened: Time(0),
            expires: Time(expires),
            active: Time(0),
            staged: 0,
            version: 0,
            sealed: None,
        }
    }

    /// The verdict on a row whose DID or key is somewhere already.
    fn verdict(by_key: bool, number: u64, place: Option<Place>) -> String {
        let next_key = by_key.then_some([7; 32]);
        let leaf = Leaf {
            inception: Inception { next_key, ..Inception::from_key(secret(9).public_key()) },
            evidence: Evidence::Vouched { by: VouchedBy::Enroller, digest: None },
            serial: SerialCommitment([0; 32]),
            owner_recovery: false,
        };
        let row = Row { number: 1, leaf: leaf.to_cbor(), serial: "s".into(), lot: None };
        let row = CheckedRow::new(row, &leaf);
        let claim = if by_key { row.key.expect("a key of another name") } else { row.name };
        let found = Found {
            upload: Some(upload(5, 1, NOW + 1)),
            claims: BTreeMap::from([(claim, number)]),
            places: place.into_iter().map(|place| (number, place)).collect(),
            by_name: BTreeMap::new(),
            fresh: false,
        };
        let chain = Chain::new(&genesis());
        let bench = Bench { chain, reserved: Arc::default(), now: Time(NOW) };
        let mut plan = bench.judge(&found, &[row]).unwrap();
        plan.verdicts
            .remove(0)
            .code
            .unwrap_or_else(|| format!("staged, {} evicted", plan.evict.len()))
    }

    #[test]
    fn rows_of_other_organisations() {
        let live = || Some(Place::Live(BatchId([3; 32])));
        let (late, over) = (NOW + 1, NOW);
        let staged = |organisation, expires| Some(Place::Staged(upload(4, organisation, expires)));
        assert_eq!(verdict(false, 3, live()), "enrolled-elsewhere");
        assert_eq!(verdict(true, 3, live()), "enrolled-elsewhere");
        assert_eq!(verdict(false, 4, staged(2, late)), "uploading-elsewhere");
        assert_eq!(verdict(true, 4, staged(2, late)), "uploading-elsewhere");
        assert_eq!(verdict(false, 4, staged(2, over)), "staged, 1 evicted");
        assert_eq!(verdict(false, 4, staged(1, late)), "staged, 1 evicted");
        assert_eq!(verdict(true, BY_OPERATION, None), "duplicate-key");
        // Left over from a power failure: nobody's.
        assert_eq!(verdict(false, 77, None), "staged, 0 evicted");
    }
}
