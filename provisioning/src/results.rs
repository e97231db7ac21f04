//! What a finished command leaves behind: its numbers, every row's outcome, the batches with
//! their proofs, and the receipts of its devices.

use crate::batches::{Batch, EnrolledBatch};
use crate::reading::{Row, Rows, State};
use crate::{Outcome, RowOutcome, Summary};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::cbor::Encode;
use serde::Serialize;
use std::io::{self, Write};

/// A finished command.
pub struct Finished {
    rows: Rows,
    batches: Vec<Batch>,
    summary: Summary,
}

/// One line of the receipts file.
#[derive(Serialize)]
struct ReceiptLine<'a> {
    did: String,
    serial: &'a str,
    receipt: String,
}

impl Finished {
    pub(crate) fn new(rows: Rows, batches: Vec<Batch>, summary: Summary) -> Self {
        let mut finished = Self { rows, batches, summary };
        for row in &finished.rows.rows {
            finished.summary.counts.add(outcome(row));
        }
        finished
    }

    /// The numbers.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The batches enrolled now.
    pub fn batches(&self) -> impl Iterator<Item = &EnrolledBatch> {
        self.batches.iter().filter_map(|batch| batch.enrolled.as_ref())
    }

    /// What became of each row, in the order of the files.
    pub fn outcomes(&self) -> impl Iterator<Item = RowOutcome<'_>> {
        self.rows.rows.iter().map(|row| self.outcome(row))
    }

    fn outcome<'a>(&'a self, row: &'a Row) -> RowOutcome<'a> {
        let fault = match &row.state {
            State::Refused(fault) => Some(&**fault),
            State::Waiting(why) => why.as_deref(),
            _ => None,
        };
        let batch = row.batch.and_then(|i| self.batches[usize::from(i)].enrolled.as_ref());
        let several = self.rows.files.len() > 1;
        RowOutcome {
            file: several.then(|| self.rows.files[row.file as usize].as_str()),
            line: row.line,
            outcome: outcome(row),
            code: fault.map(|fault| &*fault.code),
            field: fault.map(|fault| fault.field),
            reason: fault.map(|fault| &*fault.reason),
            cure: fault.map(|fault| fault.cure),
            note: row.note.as_deref(),
            serial: row.serial.as_deref(),
            did: row.did(),
            batch: batch.filter(|_| matches!(row.state, State::Staged)).map(|batch| batch.batch),
        }
    }

    /// Writes the results: JSON lines, one for each row (`docs/formats/results.md`).
    pub fn write_results(&self, to: &mut dyn Write) -> io::Result<()> {
        self.outcomes().try_for_each(|outcome| line(to, &outcome))
    }

    /// Writes the device part of the receipt of every device enrolled now: JSON lines, in the
    /// order of the leaves.
    pub fn write_receipts(&self, to: &mut dyn Write) -> io::Result<()> {
        for batch in &self.batches {
            let Some(enrolled) = &batch.enrolled else { continue };
            for (index, row) in batch.order.iter().map(|i| &self.rows.rows[*i]).enumerate() {
                let (Some(device), Some(serial)) = (&row.device, &row.serial) else { continue };
                let leaf = device.leaf.to_vec();
                let part = batch.tree.device_part(enrolled.batch, index as u64, leaf);
                let Some(part) = part else { continue };
                let receipt = BASE64URL_NOPAD.encode(&part.to_cbor());
                line(to, &ReceiptLine { did: device.did.to_string(), serial, receipt })?;
            }
        }
        Ok(())
    }
}

fn outcome(row: &Row) -> Outcome {
    match row.state {
        // No row stays ready: it was staged, or the command failed.
        State::Staged | State::Ready => Outcome::Enrolled,
        State::Already => Outcome::Already,
        State::Waiting(_) => Outcome::Waiting,
        State::Refused(_) => Outcome::Refused,
    }
}

fn line(to: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}
