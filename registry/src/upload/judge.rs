use super::checking::refused;
use super::unknown;
use crate::claims::{BY_OPERATION, Claim};
use crate::mempool::Reservations;
use crate::store::{CheckedRow, DirectoryRow, Found, Place, Plan, Upload};
use muster_api::{Problem, RowVerdict, Verdict};
use muster_identity::Did;
use muster_ledger::{Chain, Refusal, Time, View as _};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Decides about the rows of one request. Pure: what the store found goes in, a plan comes out.
pub(super) struct Bench {
    pub(super) chain: Chain,
    pub(super) reserved: Arc<Reservations>,
    pub(super) now: Time,
    pub(super) rows: Vec<CheckedRow>,
}

/// What one row meets.
enum Ruling {
    /// It is staged; it takes these along.
    Write { evict: Vec<(u64, Did)>, forget: Vec<Did>, adds: bool },
    /// It is enrolled already, exactly so.
    Already,
    /// It is refused.
    Refused(&'static str, String),
}

/// Whose a number is, seen from an upload.
enum Holder<'f> {
    /// Nobody's: left over from a power failure.
    Nobody,
    /// A live batch of the same organisation.
    Ours,
    /// A live batch of another organisation.
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
    found: &'f Found,
    upload: &'f Upload,
    claims: BTreeMap<Claim, u64>,
    by_did: BTreeMap<Did, DirectoryRow>,
    by_serial: BTreeMap<String, DirectoryRow>,
}

impl Bench {
    /// The plan.
    pub(super) fn judge(&self, found: &Found) -> Result<Plan, Problem> {
        let upload = found.upload.as_ref().ok_or_else(unknown)?;
        if upload.sealed.is_some() || self.reserved.has_upload(upload.number) {
            return Err(Problem::new(409, "sealed", "the upload is sealed")
                .cure("open another one for further rows"));
        }
        let mut docket = Docket {
            found,
            upload,
            claims: found.claims.clone(),
            by_did: found.by_did.clone(),
            by_serial: found.by_serial.clone(),
        };
        let mut plan = Plan::default();
        for (place, row) in self.rows.iter().enumerate() {
            let ruling = self.rule(&docket, row)?;
            plan.verdicts.push(ruling.verdict(row.row.number));
            if let Ruling::Write { evict, forget, adds } = ruling {
                plan.added += u64::from(adds);
                docket.write(row);
                // A row sent twice in one request counts once, as it was sent last.
                plan.write.retain(|earlier| self.rows[*earlier].did != row.did);
                plan.write.push(place);
                plan.evict.extend(evict);
                plan.forget.extend(forget);
            }
        }
        if upload.staged + plan.added > upload.rows {
            let title = format!("the upload was opened for {} rows", upload.rows);
            return Err(Problem::new(409, "too-many-rows", title).cure("open a larger one"));
        }
        Ok(plan)
    }

    /// `known`: the private directory says that the organisation brought it.
    fn holder<'f>(
        &self,
        docket: &Docket<'f>,
        number: u64,
        known: bool,
    ) -> Result<Holder<'f>, Refusal> {
        let upload = docket.upload;
        if number == upload.number {
            return Ok(Holder::Here);
        }
        Ok(match docket.found.places.get(&number) {
            None if number == BY_OPERATION => Holder::Ours,
            None => Holder::Nobody,
            Some(Place::Live(batch)) => match self.chain.state().batch(batch)? {
                Some(record) if record.owner == upload.organisation => Holder::Ours,
                Some(_) => Holder::Theirs,
                // Committed, and not signed yet.
                None if known => Holder::Ours,
                None => Holder::Theirs,
            },
            Some(Place::Staged(other)) => {
                let over = other.expires <= self.now;
                let rehearsed = other.rehearsal && !upload.rehearsal;
                let older = other.organisation == upload.organisation
                    && other.number < upload.number
                    && other.rehearsal == upload.rehearsal;
                let held = self.reserved.has_upload(other.number);
                if !held && (over || rehearsed || older) {
                    Holder::Yielding(other)
                } else {
                    Holder::Elsewhere
                }
            }
        })
    }

    fn rule(&self, docket: &Docket<'_>, row: &CheckedRow) -> Result<Ruling, Refusal> {
        let refuse = |code, why: &str| Ok(Ruling::Refused(code, why.into()));
        let mine = docket.by_did.get(&row.did);
        let same_serial = mine.is_none_or(|d| d.serial == row.row.serial);
        let mut evict = Vec::new();
        let mut adds = true;
        match docket.claims.get(&row.did_claim) {
            Some(number) => match self.holder(docket, *number, mine.is_some())? {
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
                Holder::Yielding(other) => evict.push((other.number, row.did)),
                Holder::Nobody => {}
            },
            None => {
                if self.reserved.has_key(&row.key_claim) {
                    return refuse("duplicate-key", "the key is entering the ledger just now");
                }
                if let Some(number) = docket.claims.get(&row.key_claim) {
                    match self.holder(docket, *number, false)? {
                        Holder::Ours | Holder::Here => {
                            return refuse("duplicate-key", "another device has the key");
                        }
                        Holder::Theirs => {
                            return refuse(
                                "enrolled-elsewhere",
                                "another organisation has the key",
                            );
                        }
                        Holder::Elsewhere | Holder::Yielding(_) => {
                            return refuse(
                                "uploading-elsewhere",
                                "another open upload has the key",
                            );
                        }
                        Holder::Nobody => {}
                    }
                }
            }
        }
        let mut forget: Vec<Did> =
            mine.filter(|d| d.serial != row.row.serial).map(|d| d.did).into_iter().collect();
        if let Some(other) = docket.by_serial.get(&row.row.serial).filter(|d| d.did != row.did) {
            match self.holder(docket, other.upload, true)? {
                Holder::Yielding(from) => evict.push((from.number, other.did)),
                Holder::Nobody => forget.push(other.did),
                _ => {
                    return refuse("duplicate-serial", "another device has the serial number");
                }
            }
        }
        Ok(Ruling::Write { evict, forget, adds })
    }
}

impl Docket<'_> {
    /// Notes a row that will be written.
    fn write(&mut self, row: &CheckedRow) {
        let number = self.upload.number;
        self.claims.insert(row.did_claim, number);
        self.claims.insert(row.key_claim, number);
        let entry = DirectoryRow {
            did: row.did,
            organisation: self.upload.organisation,
            serial: row.row.serial.clone(),
            lot: row.row.lot.clone(),
            upload: number,
            row: row.row.number,
        };
        if let Some(before) = self.by_did.insert(row.did, entry.clone()) {
            self.by_serial.remove(&before.serial);
        }
        self.by_serial.insert(row.row.serial.clone(), entry);
    }
}

impl Ruling {
    fn verdict(&self, row: u64) -> RowVerdict {
        let good = |verdict| RowVerdict { row, verdict, code: None, detail: None };
        match self {
            Self::Write { .. } => good(Verdict::Staged),
            Self::Already => good(Verdict::Already),
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

    fn upload(number: u64, organisation: u8, expires: u64) -> Upload {
        Upload {
            number,
            organisation: Did::from_digest([organisation; 32]),
            grant: GrantId([0; 32]),
            model: "m".into(),
            rows: 9,
            rehearsal: false,
            opened: Time(0),
            expires: Time(expires),
            staged: 0,
            version: 0,
            sealed: None,
        }
    }

    /// The verdict on a row whose DID or key is somewhere already.
    fn verdict(by_key: bool, number: u64, place: Option<Place>) -> String {
        let leaf = Leaf {
            inception: Inception::from_key(secret(9).public_key()),
            evidence: Evidence::Vouched { by: VouchedBy::Enroller, digest: None },
            serial: SerialCommitment([0; 32]),
            owner_recovery: false,
        };
        let row = Row { number: 1, leaf: leaf.to_cbor(), serial: "s".into(), lot: None };
        let row = CheckedRow::new(row, &leaf);
        let claim = if by_key { row.key_claim } else { row.did_claim };
        let found = Found {
            upload: Some(upload(5, 1, 99)),
            claims: BTreeMap::from([(claim, number)]),
            places: place.into_iter().map(|place| (number, place)).collect(),
            by_did: BTreeMap::new(),
            by_serial: BTreeMap::new(),
        };
        let chain = Chain::new(&genesis());
        let bench = Bench { chain, reserved: Arc::default(), now: Time(50), rows: vec![row] };
        let mut plan = bench.judge(&found).unwrap();
        plan.verdicts
            .remove(0)
            .code
            .unwrap_or_else(|| format!("staged, {} evicted", plan.evict.len()))
    }

    #[test]
    fn rows_of_other_organisations() {
        let live = || Some(Place::Live(BatchId([3; 32])));
        let staged = |organisation, expires| Some(Place::Staged(upload(4, organisation, expires)));
        assert_eq!(verdict(false, 3, live()), "enrolled-elsewhere");
        assert_eq!(verdict(true, 3, live()), "enrolled-elsewhere");
        assert_eq!(verdict(false, 4, staged(2, 99)), "uploading-elsewhere");
        assert_eq!(verdict(true, 4, staged(2, 99)), "uploading-elsewhere");
        assert_eq!(verdict(false, 4, staged(2, 50)), "staged, 1 evicted");
        assert_eq!(verdict(false, 4, staged(1, 99)), "staged, 1 evicted");
        assert_eq!(verdict(true, BY_OPERATION, None), "duplicate-key");
        // Left over from a power failure: nobody's.
        assert_eq!(verdict(false, 77, None), "staged, 0 evicted");
    }
}
