//! What the line says of the rows' devices: spooled while the files are read, sent to the node's
//! private directory before anything is signed. Nothing of it is done for manifests that say
//! nothing of orders, stations, results and counters.

use crate::Error;
use crate::batches::{self, Batch};
use crate::check::{Mark, Told};
use crate::enrolment::Enrolment;
use crate::limits::{LOTS_NAMED, SIGNATURE_LIFETIME_MS};
use crate::rows::{Group, Row, Rows, State, spooling};
use crate::spool::{Spool, Spooled};
use muster_api::{LineRecord, LineResult, limits};
use muster_identity::cbor::Decode as _;
use muster_ledger::{Network, UploadRequest};
use std::collections::BTreeSet;
use std::io::{self, Read, Write as _};
use std::path::Path;

/// What the line says of the rows.
#[derive(Debug)]
pub(crate) struct Line {
    spooled: Spooled,
    /// How many rows it says something of.
    pub(crate) rows: usize,
    /// Lots and orders that were told of, the first ones; empty texts where there are none.
    pub(crate) lots: BTreeSet<(String, String)>,
    /// Rows that say something else of devices that were scrapped before.
    pub(crate) scrapped: BTreeSet<u32>,
}

/// Takes it in the order of the rows.
pub(crate) struct LineCollector {
    spool: Spool,
    told: Vec<(Mark, u32, LineResult)>,
}

impl LineCollector {
    pub(crate) fn new(spool: &Path) -> Self {
        Self { spool: Spool::new(spool), told: Vec::new() }
    }

    pub(crate) fn take(&mut self, row: u32, told: &Told) -> Result<(), Error> {
        self.told.push((told.serial, row, told.result));
        let length = told.record.len() as u32;
        let mut write = |bytes: &[u8]| self.spool.write_all(bytes).map_err(spooling);
        write(&row.to_le_bytes())?;
        write(&length.to_le_bytes())?;
        write(&told.record)
    }

    /// No more rows come. Of several rows about one device the last one counts, and a scrap
    /// before all others: re-runs are normal on a line. Rows with another key stay what they are,
    /// a fault.
    pub(crate) fn finish(
        mut self,
        rows: &mut [Row],
        groups: &mut [Group],
        ready: &[(u32, Mark, Mark)],
    ) -> Result<Line, Error> {
        let count = self.told.len();
        self.told.sort_unstable();
        let key = |row: u32| {
            let place = ready.binary_search_by_key(&row, |(row, ..)| *row).ok()?;
            Some(ready[place].1)
        };
        for same in self.told.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            let scrap = same.iter().rfind(|(.., result)| *result == LineResult::Scrap);
            let Some((_, last, _)) = scrap.or(same.last()).copied() else { continue };
            for (_, row, _) in same.iter().filter(|(_, row, _)| *row != last) {
                let state = &mut rows[*row as usize].state;
                match (*state, key(*row), key(last)) {
                    (State::Ready(_), Some(own), Some(other)) if own != other => {}
                    (State::Ready(batch), ..) => {
                        groups[usize::from(batch)].rows -= 1;
                        *state = State::Later(last);
                    }
                    (State::Waiting, ..) => *state = State::Later(last),
                    _ => {}
                }
            }
        }
        let spooled = self.spool.finish().map_err(spooling)?;
        let (lots, scrapped) = Default::default();
        Ok(Line { spooled, rows: count, lots, scrapped })
    }
}

/// Reads the next record.
fn next(from: &mut impl Read) -> io::Result<(u32, Vec<u8>)> {
    let mut number = || {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes)?;
        Ok::<_, io::Error>(u32::from_le_bytes(bytes))
    };
    let (row, length) = (number()?, number()?);
    let mut record = vec![0; length as usize];
    from.read_exact(&mut record)?;
    Ok((row, record))
}

impl Enrolment {
    /// Tells the node what the line says of all rows that are not refused. The serial numbers
    /// stand in the directory by now, and nothing is signed: whatever ends the command from here
    /// on, a scrapped device that becomes valid is known as scrap.
    pub(crate) async fn tell_line(
        &self,
        network: Network,
        rows: &mut Rows,
        batches: &[Batch],
    ) -> Result<(), Error> {
        if rows.line.rows == 0 {
            return Ok(());
        }
        let upload = self.open_for_line(network, batches).await?;
        let told = self.tell(&upload, rows).await;
        // A courtesy: it holds nothing.
        let _ = self.client.drop_upload(&upload).await;
        let (lots, scrapped) = told?;
        (rows.line.lots, rows.line.scrapped) = (lots, scrapped);
        Ok(())
    }

    async fn tell(
        &self,
        upload: &str,
        rows: &Rows,
    ) -> Result<(BTreeSet<(String, String)>, BTreeSet<u32>), Error> {
        let (mut lots, mut scrapped) = (BTreeSet::new(), BTreeSet::new());
        let mut left = rows.line.rows;
        let mut reader = rows.line.spooled.read();
        while left > 0 {
            let (mut numbers, mut records, mut size) = (Vec::new(), Vec::new(), 0);
            while left > 0 && numbers.len() < limits::LINE_ROWS && size < limits::LINE_BYTES / 2 {
                let (row, bytes) = next(&mut reader).map_err(spooling)?;
                left -= 1;
                if !is_told(rows.rows[row as usize].state) {
                    continue;
                }
                let record = LineRecord::from_cbor(&bytes);
                let record = record.map_err(|e| Error::Internal(e.to_string()))?;
                if lots.len() < LOTS_NAMED {
                    let lot = record.lot.unwrap_or_default();
                    lots.insert((lot, record.order.unwrap_or_default()));
                }
                size += bytes.len();
                numbers.push(row);
                records.push(bytes);
            }
            if numbers.is_empty() {
                continue;
            }
            let body = muster_api::Rows::join(records.iter().map(Vec::as_slice));
            let noted = self.patiently(|| self.client.note_line(upload, body.clone())).await?;
            scrapped.extend(noted.scrapped.iter().filter_map(|place| numbers.get(*place)));
        }
        Ok((lots, scrapped))
    }

    /// An upload of its own, which holds no rows: there may be no other, or one that an earlier
    /// run used up.
    async fn open_for_line(&self, network: Network, batches: &[Batch]) -> Result<String, Error> {
        let (grant, model) = match batches.first() {
            Some(batch) => (batch.grant, batch.model.clone()),
            None => {
                let view = self.patiently(|| self.client.network()).await?;
                batches::any_grant(&view, &self.organisation, self.grant, self.host.now())?
            }
        };
        let open = || async {
            let request = UploadRequest {
                network,
                organisation: self.organisation,
                valid_until: self.host.now().plus_ms(SIGNATURE_LIFETIME_MS),
                grant,
                model: model.clone(),
                rows: 1,
                rehearsal: false,
                nonce: self.host.random(),
            };
            match self.signed(move |signer| request.sign(signer)).await {
                Ok(signed) => self.client.open_upload(signed).await.map(Ok),
                Err(error) => Ok(Err(error)),
            }
        };
        Ok(self.patiently(open).await??.upload)
    }
}

/// Whether the node hears of the row: not where it is refused, or a later one counts.
fn is_told(state: State) -> bool {
    match state {
        State::Ready(_) | State::Waiting | State::Already | State::Staged(_) => true,
        State::Refused | State::Double(..) | State::Told(_) | State::Later(_) => false,
    }
}
