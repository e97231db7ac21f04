//! What a finished command leaves behind: its numbers, every row's outcome, the batches with
//! their proofs, and the receipts of its devices.

use crate::batches::{Batch, EnrolledBatch};
use crate::journal::Journal;
use crate::rows::{Row, Rows, State, outcome};
use crate::words::Words;
use crate::{Error, Outcome, RowOutcome, Summary};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::merkle::{Frontier, leaf_hash};
use muster_ledger::{BatchId, Enrol, LeafTree, Network};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// A finished command.
pub struct Finished {
    pub(crate) rows: Rows,
    batches: Vec<Batch>,
    summary: Summary,
    journal: Option<Journal>,
}

/// One line of the receipts file.
#[derive(Serialize)]
struct ReceiptLine<'a> {
    did: String,
    serial: &'a str,
    receipt: String,
}

impl Finished {
    pub(crate) fn new(
        rows: Rows,
        batches: Vec<Batch>,
        summary: Summary,
        journal: Option<Journal>,
    ) -> Self {
        let summary = Summary { counts: rows.counts, ..summary };
        Self { rows, batches, summary, journal }
    }

    /// Ends the command once its results are written: from here on there is nothing to go on
    /// with.
    pub fn close(self) -> Result<(), Error> {
        self.journal.map_or(Ok(()), Journal::remove)
    }

    /// The numbers.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The batches enrolled now.
    pub fn batches(&self) -> impl Iterator<Item = &EnrolledBatch> {
        self.batches.iter().filter_map(|batch| batch.enrolled.as_ref())
    }

    /// What is signed, or on a dry run would be, batch by batch; and whether the batch is scrap,
    /// enrolled to be revoked. What a dry run says of files is what a run of the same files signs.
    pub fn sealed(&self) -> impl Iterator<Item = (&Enrol, bool)> {
        let staged = self.batches.iter().filter(|batch| batch.staged > 0);
        staged.filter_map(|batch| Some((batch.sealed.as_ref()?, batch.scrap)))
    }

    /// Ids of the batches of scrap that this command's rows make, enrolled now or by an earlier
    /// run. An id names the root, so no node can put another batch in its place.
    pub fn scrap_ids(&self, network: &Network) -> io::Result<BTreeSet<BatchId>> {
        let mut ids: BTreeSet<BatchId> = self.scrap_batches().map(|batch| batch.batch).collect();
        for batch in self.batches.iter().filter(|batch| batch.scrap) {
            let mut tree = Frontier::default();
            self.leaves(batch, State::Already, |_, row| {
                tree.push(leaf_hash(&row.leaf));
                Ok(())
            })?;
            if tree.size() > 0 {
                let (grant, model) = (batch.grant, batch.model.clone());
                let enrol = Enrol { grant, model, count: tree.size(), root: tree.root() };
                ids.insert(enrol.batch(network));
            }
        }
        Ok(ids)
    }

    /// The batches of scrap enrolled now: they are to be revoked.
    pub fn scrap_batches(&self) -> impl Iterator<Item = &EnrolledBatch> {
        let scrap = self.batches.iter().filter(|batch| batch.scrap);
        scrap.filter_map(|batch| batch.enrolled.as_ref())
    }

    /// Whether the rows tell of the line, which a run notes at the node whatever else it does.
    pub fn tells_line(&self) -> bool {
        self.rows.line.rows > 0
    }

    /// Lots and orders that the rows told of, the first ones; empty texts where there are none.
    pub fn lots(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows.line.lots.iter().map(|(lot, order)| (&lot[..], &order[..]))
    }

    /// What is to be known of a row besides its words.
    fn note(&self, row: &Row, number: u32) -> Option<Box<str>> {
        if let State::Later(later) = row.state {
            let line = self.rows.rows.get(later as usize)?.line;
            let why = format!("the row in line {line} says what the line decided in the end");
            return Some(why.into());
        }
        let stays = self.rows.line.scrapped.contains(&number);
        stays.then(|| "the line scrapped the device before: it stays scrapped".into())
    }

    /// What became of each row, in the order of the files.
    pub fn outcomes(&self) -> impl Iterator<Item = io::Result<RowOutcome<'_>>> {
        let words = self.rows.words();
        let rows = (0..).zip(&self.rows.rows).zip(words);
        rows.map(|((number, row), words)| {
            let mut words = words?;
            words.note = self.note(row, number).or(words.note);
            if matches!(row.state, State::Later(_)) {
                words.fault = None;
            }
            Ok(self.outcome(row, words))
        })
    }

    fn outcome(&self, row: &Row, words: Words) -> RowOutcome<'_> {
        let fault = words.fault.or_else(|| self.rows.later_fault(row));
        let batch = match row.state {
            State::Staged(number) => self.batches.iter().find(|batch| batch.number == number),
            _ => None,
        };
        let several = self.rows.files.len() > 1;
        let (mut code, mut field, mut reason, mut cure) = (None, None, None, None);
        if let Some(fault) = fault {
            (code, field) = (Some(fault.code), Some(fault.field));
            (reason, cure) = (Some(fault.reason), Some(fault.cure));
        }
        RowOutcome {
            file: several.then(|| self.rows.files[row.file as usize].as_str()),
            line: row.line,
            // No row stays ready when a command has finished.
            outcome: outcome(row.state).unwrap_or(Outcome::Refused),
            code,
            field,
            reason,
            cure,
            note: words.note,
            serial: words.serial,
            did: words.did,
            batch: batch.and_then(|batch| Some(batch.enrolled.as_ref()?.batch)),
        }
    }

    /// Writes the results: JSON lines, one for each row (`docs/formats/results.md`). Gives the
    /// first rows that wait or were refused.
    pub fn write_results(
        &self,
        to: &mut dyn Write,
        troubled: usize,
    ) -> io::Result<Vec<RowOutcome<'_>>> {
        let mut first = Vec::new();
        for outcome in self.outcomes() {
            let outcome = outcome?;
            line(to, &outcome)?;
            let trouble = matches!(outcome.outcome, Outcome::Waiting | Outcome::Refused);
            if trouble && first.len() < troubled {
                first.push(outcome);
            }
        }
        Ok(first)
    }

    /// Writes the device part of the receipt of every device enrolled now: JSON lines, in the
    /// order of the leaves.
    pub fn write_receipts(&self, to: &mut dyn Write) -> io::Result<()> {
        for batch in &self.batches {
            let Some(enrolled) = &batch.enrolled else { continue };
            let staged = State::Staged(batch.number);
            let mut tree = LeafTree::default();
            self.leaves(batch, staged, |did, row| {
                tree.push_hash(&did, leaf_hash(&row.leaf)).map_err(io::Error::other)
            })?;
            let mut index = 0;
            self.leaves(batch, staged, |did, row| {
                let part = tree.device_part(enrolled.batch, index, row.leaf);
                index += 1;
                let part = part.ok_or_else(|| io::Error::other("a leaf beyond the tree"))?;
                let receipt = BASE64URL_NOPAD.encode(&part.to_cbor());
                line(to, &ReceiptLine { did: did.to_string(), serial: &row.serial, receipt })
            })?;
        }
        Ok(())
    }

    /// The rows of a batch that came to this, in the order of the leaves.
    fn leaves(
        &self,
        batch: &Batch,
        came_to: State,
        mut each: impl FnMut(muster_identity::Did, muster_api::Row) -> io::Result<()>,
    ) -> io::Result<()> {
        for leaf in self.rows.leaves.read()? {
            let (place, row) = leaf?;
            if place.batch > batch.number {
                break;
            }
            let state = self.rows.rows[place.row as usize].state;
            if place.batch == batch.number && state == came_to {
                let row = muster_api::Row::from_cbor(&row).map_err(io::Error::other)?;
                each(place.did, row)?;
            }
        }
        Ok(())
    }
}

fn line(to: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}
