//! Streams the rows of one batch to the node and takes its verdicts.

use crate::batches::Batch;
use crate::enrolment::{Enrolment, expect};
use crate::journal::{Journal, Past, Record, Told};
use crate::limits::{REQUESTS_IN_FLIGHT, SIGNATURE_LIFETIME_MS};
use crate::rows::{Rows, State, spooling};
use crate::sorted::{Merge, Sorted};
use crate::{Error, RowFault};
use data_encoding::HEXLOWER;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use muster_api::{Verdict, limits};
use muster_ledger::{Network, UploadRequest};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The rows of one request.
struct Part {
    /// Their numbers, and the DID of the last.
    numbers: Vec<u32>,
    last: String,
    body: Vec<u8>,
}

/// Cuts the rows of a batch into requests.
struct Parts<'s> {
    merge: Merge<'s>,
    batch: u16,
    rows: usize,
}

/// Bytes of one request, with room for what stands around its rows.
const BODY: usize = limits::UPLOAD_BYTES - (64 << 10);

impl Parts<'_> {
    fn next(&mut self, rows: &Rows) -> Result<Option<Part>, Error> {
        let (mut numbers, mut bytes, mut size) = (Vec::new(), Vec::new(), 0);
        let mut last = None;
        while numbers.len() < self.rows && size < BODY {
            let Some((place, row)) = self.merge.next().transpose().map_err(spooling)? else {
                break;
            };
            if place.batch > self.batch {
                break;
            }
            if place.batch < self.batch
                || rows.rows[place.row as usize].state != State::Ready(self.batch)
            {
                continue;
            }
            size += row.len();
            numbers.push(place.row);
            bytes.push(row);
            last = Some(place.did);
        }
        let Some(last) = last else { return Ok(None) };
        let body = muster_api::Rows::join(bytes.iter().map(Vec::as_slice));
        Ok(Some(Part { numbers, last: HEXLOWER.encode(last.digest()), body }))
    }
}

impl Enrolment {
    /// Stages a batch: goes on with the upload of an earlier run, or opens one. False: the node does
    /// not have that upload any more.
    pub(crate) async fn stage(
        &self,
        network: Network,
        rows: &mut Rows,
        batch: &mut Batch,
        past: Past,
        journal: &mut Option<Journal>,
        done: &mut (dyn FnMut(&Rows, u64) + Send),
    ) -> Result<bool, Error> {
        let leaves = rows.leaves.clone();
        if let Some(upload) = &past.upload {
            batch.upload = Some(upload.clone());
            let replayed = replay(&leaves, rows, batch, &past)?;
            done(rows, replayed);
        }
        if past.signed.is_some() {
            return Ok(true);
        }
        let upload = match &batch.upload {
            Some(upload) => upload.clone(),
            None => self.open(network, batch, journal).await?,
        };
        let resumed = past.upload.is_some();
        let merge = leaves.read().map_err(spooling)?;
        let at_once = batch.at_once.clamp(1, limits::UPLOAD_ROWS);
        let mut parts = Parts { merge, batch: batch.number, rows: at_once };
        let mut flying = FuturesOrdered::new();
        let mut known = past.last.unwrap_or_default();
        loop {
            while flying.len() < REQUESTS_IN_FLIGHT
                && let Some(part) = parts.next(rows)?
            {
                let upload = &upload;
                flying.push_back(async move {
                    let Part { numbers, last, body } = part;
                    let send = || self.client.upload_rows(upload, body.clone());
                    (numbers, last, self.patiently(send).await)
                });
            }
            let Some((numbers, last, answer)) = flying.next().await else { break };
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if resumed && is_gone(&error) => return Ok(false),
                Err(error) => return Err(error),
            };
            expect("verdicts", &numbers.len(), &answer.verdicts.len())?;
            let (mut already, mut refused) = (Vec::new(), Vec::new());
            for (number, verdict) in numbers.iter().zip(answer.verdicts) {
                expect("the row of a verdict", &u64::from(*number), &verdict.row)?;
                match verdict.verdict {
                    Verdict::Staged => {
                        rows.set(*number as usize, State::Staged(batch.number));
                    }
                    Verdict::Already => {
                        rows.set(*number as usize, State::Already);
                        already.push(*number);
                    }
                    Verdict::Refused => {
                        refused.push(Told::new(*number, verdict.code, verdict.detail));
                    }
                }
            }
            tell(rows, &refused);
            if let Some(journal) = journal
                && last > known
            {
                known.clone_from(&last);
                let batch = batch.number;
                journal.note(&Record::Staged { batch, last, already, refused })?;
            }
            done(rows, numbers.len() as u64);
        }
        Ok(true)
    }

    async fn open(
        &self,
        network: Network,
        batch: &mut Batch,
        journal: &mut Option<Journal>,
    ) -> Result<String, Error> {
        let request = || UploadRequest {
            network,
            organisation: self.organisation,
            valid_until: self.host.now().plus_ms(SIGNATURE_LIFETIME_MS),
            grant: batch.grant,
            model: batch.model.clone(),
            rows: batch.rows,
            rehearsal: self.dry_run,
            nonce: self.host.random(),
        };
        // Signed anew for each attempt: a request opens one upload, whatever became of it.
        let open = || async {
            let request = request();
            match self.signed(move |signer| request.sign(signer)).await {
                Ok(signed) => self.client.open_upload(signed).await.map(Ok),
                Err(error) => Ok(Err(error)),
            }
        };
        let opened = match self.patiently(open).await {
            Ok(signed) => signed,
            Err(error) => Err(error),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(self.explain(error, batch.grant, batch.rows).await),
        };
        batch.upload = Some(opened.upload.clone());
        batch.at_once = opened.rows_per_request;
        if let Some(journal) = journal {
            let (batch, upload) = (batch.number, opened.upload.clone());
            journal.note(&Record::Opened { batch, upload })?;
        }
        Ok(opened.upload)
    }
}

/// Whether the node does not have the upload any more.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(error.code(), "unknown-upload" | "expired-upload")
}

/// Notes what the node refused.
pub(crate) fn tell(rows: &mut Rows, refused: &[Told]) {
    for Told { row, code, detail } in refused {
        rows.told(*row as usize, RowFault::by_node(code.clone(), detail.clone()));
    }
}

/// Gives the rows of a batch what an earlier run did for them; gives how many are staged. Before a
/// signature only what is staged is believed, since the root tells: other rows are sent again.
fn replay(leaves: &Arc<Sorted>, rows: &mut Rows, batch: &Batch, past: &Past) -> Result<u64, Error> {
    let other: BTreeSet<u32> =
        past.already.iter().copied().chain(past.refused.iter().map(|told| told.row)).collect();
    let (mut staged, ready) = (0, State::Ready(batch.number));
    for leaf in leaves.read().map_err(spooling)? {
        let (place, _) = leaf.map_err(spooling)?;
        let answered = past.signed.is_some()
            || past.last.as_ref().is_some_and(|last| HEXLOWER.encode(place.did.digest()) <= *last);
        if place.batch > batch.number || (place.batch == batch.number && !answered) {
            break;
        }
        let row = place.row as usize;
        if place.batch == batch.number
            && rows.rows[row].state == ready
            && !other.contains(&place.row)
        {
            rows.set(row, State::Staged(batch.number));
            staged += 1;
        }
    }
    if past.signed.is_some() {
        let is_ready = |rows: &Rows, row: u32| {
            rows.rows.get(row as usize).is_some_and(|row| row.state == ready)
        };
        for row in past.already.iter().filter(|row| is_ready(rows, **row)).collect::<Vec<_>>() {
            rows.set(*row as usize, State::Already);
        }
        let told: Vec<Told> =
            past.refused.iter().filter(|told| is_ready(rows, told.row)).cloned().collect();
        tell(rows, &told);
    }
    Ok(staged)
}
