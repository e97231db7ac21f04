//! Every row of the files: where it stands and what became of it, in a few bytes each; its words
//! and its leaf are spooled.

use crate::check::{Checked, Checks, Mark};
use crate::formats::Span;
use crate::limits::BATCHES;
use crate::line::{Line, LineCollector};
use crate::mending::Mendable;
use crate::sorted::{Place, Sorted, Sorter};
use crate::spool::{Spool, Spooled};
use crate::words::Words;
use crate::{Counts, Error, Outcome, RowFault};
use muster_ledger::limits::BATCH_DEVICES;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A row, and what is known of it so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) file: u32,
    pub(crate) line: u64,
    pub(crate) state: State,
}

/// What is to become, or became, of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// May be staged, in this batch.
    Ready(u16),
    /// Has no key yet, or cannot be judged yet: its words say why.
    Waiting,
    /// Will not be enrolled: its words say why.
    Refused,
    /// Will not be enrolled: another row is in its way.
    Double(Double, u32),
    /// Will not be enrolled: the node says why.
    Told(u32),
    /// Was enrolled before.
    Already,
    /// A later row says what the line decided about the device.
    Later(u32),
    /// The node staged it, in this batch.
    Staged(u16),
}

/// How a row stands in the way of a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Double {
    Row,
    Key,
    Serial,
}

/// Rows of one model that may be staged together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) model: String,
    /// They are scrap: enrolled to be revoked together.
    pub(crate) scrap: bool,
    /// How many there are.
    pub(crate) rows: u64,
}

/// Everything the files hold.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) files: Vec<String>,
    /// Those that rows can be taken out of, in the order of the files.
    pub(crate) mendable: Vec<Mendable>,
    pub(crate) rows: Vec<Row>,
    pub(crate) warnings: Vec<String>,
    pub(crate) groups: Vec<Group>,
    /// Rows as they are sent, in the order of batches and leaves.
    pub(crate) leaves: Arc<Sorted>,
    words: Spooled,
    /// What the line says.
    pub(crate) line: Line,
    /// How many rows are what; those that may still be staged count as rows alone.
    pub(crate) counts: Counts,
    told: Vec<RowFault>,
    known: HashMap<(String, String), u32>,
}

/// Takes rows in the order of the files.
pub(crate) struct Collector {
    rows: Vec<Row>,
    groups: Vec<Group>,
    /// The last group of each model, and that of its scrap.
    models: [HashMap<String, u16>; 2],
    leaves: Sorter,
    words: Spool,
    line: LineCollector,
    /// Of each row that may be staged: its number, and by what its key and serial are compared.
    ready: Vec<(u32, Mark, Mark)>,
    /// What is known so far.
    counts: Counts,
}

impl Collector {
    /// Files, if it needs any, are made in this folder.
    pub(crate) fn new(spool: &Path) -> Self {
        Self {
            rows: Vec::new(),
            groups: Vec::new(),
            models: Default::default(),
            leaves: Sorter::new(spool),
            words: Spool::new(spool),
            line: LineCollector::new(spool),
            ready: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// How many rows there are so far, and which of them wait or are refused.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes the next row; gives back the field of a private key.
    pub(crate) fn take(
        &mut self,
        file: u32,
        line: u64,
        span: Option<Span>,
        checked: Checked,
    ) -> Result<Result<(), String>, Error> {
        let Checked { serial, note, lot, model, outcome, told } = checked;
        let row = self.rows.len() as u32;
        let (lot, model) = (lot.map(Box::from), model.map(Box::from));
        let mut words = Words { serial, note, did: None, fault: None, lot, model, span };
        let state = match outcome {
            Checks::Ready(device) => {
                words.did = Some(device.did);
                let batch = self.batch(&device.model, device.scrap)?;
                let place = Place { batch, did: device.did, row };
                self.leaves.push(place, &device.row).map_err(spooling)?;
                let mut name = Mark::default();
                name.copy_from_slice(&device.did.digest()[..16]);
                self.ready.push((row, name, device.serial));
                State::Ready(batch)
            }
            Checks::Waiting(why) => {
                words.fault = why.map(|fault| *fault);
                State::Waiting
            }
            Checks::Refused(fault) => {
                words.fault = Some(*fault);
                State::Refused
            }
            Checks::PrivateKey(field) => return Ok(Err(field)),
        };
        words.write(&mut self.words).map_err(spooling)?;
        if let Some(told) = told {
            self.line.take(row, &told)?;
        }
        count(&mut self.counts, state, 1);
        self.rows.push(Row { file, line, state });
        Ok(Ok(()))
    }

    /// The group that the next row of a model belongs to.
    fn batch(&mut self, model: &str, scrap: bool) -> Result<u16, Error> {
        if let Some(last) = self.models[usize::from(scrap)].get(model) {
            let group = &mut self.groups[usize::from(*last)];
            if group.rows < BATCH_DEVICES {
                group.rows += 1;
                return Ok(*last);
            }
        }
        if self.groups.len() == BATCHES {
            let why = "the rows make more than 64 batches; enrol fewer models at once";
            return Err(Error::Argument { what: "FILE", why: why.into() });
        }
        let batch = self.groups.len() as u16;
        self.groups.push(Group { model: model.into(), scrap, rows: 1 });
        self.models[usize::from(scrap)].insert(model.into(), batch);
        Ok(batch)
    }

    /// No more rows come.
    pub(crate) fn finish(
        mut self,
        files: Vec<String>,
        mendable: Vec<Mendable>,
        warnings: Vec<String>,
    ) -> Result<Rows, Error> {
        let ready = std::mem::take(&mut self.ready);
        let line = self.line.finish(&mut self.rows, &mut self.groups, &ready)?;
        refuse_doubles(&mut self.rows, &mut self.groups, ready);
        let mut counts = Counts::default();
        self.rows.iter().for_each(|row| count(&mut counts, row.state, 1));
        Ok(Rows {
            files,
            mendable,
            counts,
            rows: self.rows,
            warnings,
            groups: self.groups,
            leaves: Arc::new(self.leaves.finish().map_err(spooling)?),
            words: self.words.finish().map_err(spooling)?,
            line,
            told: Vec::new(),
            known: HashMap::new(),
        })
    }
}

/// Refuses the later of two rows with one key or one serial number.
fn refuse_doubles(rows: &mut [Row], groups: &mut [Group], mut ready: Vec<(u32, Mark, Mark)>) {
    let mut refuse = |rows: &mut [Row], later: u32, double, first| {
        let state = &mut rows[later as usize].state;
        if let State::Ready(batch) = state {
            groups[usize::from(*batch)].rows -= 1;
            *state = State::Double(double, first);
        }
    };
    ready.retain(|(row, ..)| matches!(rows[*row as usize].state, State::Ready(_)));
    ready.sort_unstable_by_key(|(row, name, _)| (*name, *row));
    let mut first = 0;
    for i in 1..ready.len() {
        let ((row, name, serial), (later, other, theirs)) = (ready[first], ready[i]);
        if name == other {
            let double = if serial == theirs { Double::Row } else { Double::Key };
            refuse(rows, later, double, row);
        } else {
            first = i;
        }
    }
    ready.retain(|(row, ..)| matches!(rows[*row as usize].state, State::Ready(_)));
    ready.sort_unstable_by_key(|(row, _, serial)| (*serial, *row));
    let mut first = 0;
    for i in 1..ready.len() {
        if ready[first].2 == ready[i].2 {
            refuse(rows, ready[i].0, Double::Serial, ready[first].0);
        } else {
            first = i;
        }
    }
}

/// A set of rows.
#[derive(Debug)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn has(&self, row: u32) -> bool {
        self.0.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

/// What a state comes to; nothing yet, for a row that may be staged.
pub(crate) fn outcome(state: State) -> Option<Outcome> {
    match state {
        State::Ready(_) => None,
        State::Staged(_) => Some(Outcome::Enrolled),
        State::Already | State::Later(_) => Some(Outcome::Already),
        State::Waiting => Some(Outcome::Waiting),
        State::Refused | State::Double(..) | State::Told(_) => Some(Outcome::Refused),
    }
}

fn count(counts: &mut Counts, state: State, by: i64) {
    counts.add(outcome(state), by);
}

/// Whoever runs the machine must make room for what does not fit in memory.
pub(crate) fn spooling(error: io::Error) -> Error {
    Error::File { file: "a temporary file beside the results".into(), error }
}

impl Rows {
    /// Refuses a row because the node says so.
    pub(crate) fn told(&mut self, row: usize, fault: RowFault) {
        let key = (fault.code.to_string(), fault.reason.clone());
        let told = &mut self.told;
        let index = *self.known.entry(key).or_insert_with(|| {
            told.push(fault);
            told.len() as u32 - 1
        });
        self.set(row, State::Told(index));
    }

    /// Notes what is to become of a row.
    pub(crate) fn set(&mut self, row: usize, state: State) {
        count(&mut self.counts, self.rows[row].state, -1);
        count(&mut self.counts, state, 1);
        self.rows[row].state = state;
    }

    /// Why a row is refused, if its words do not say so.
    pub(crate) fn later_fault(&self, row: &Row) -> Option<RowFault> {
        match row.state {
            State::Told(index) => self.told.get(index as usize).cloned(),
            State::Double(double, first) => {
                let first = self.rows.get(first as usize)?;
                let (code, what) = match double {
                    Double::Row => ("duplicate-row", "the same row stands"),
                    Double::Key => {
                        ("duplicate-key", "the same key stands with another serial number")
                    }
                    Double::Serial => {
                        ("duplicate-serial", "the same serial number stands with another key")
                    }
                };
                let place = match self.files.get(first.file as usize) {
                    Some(file) if first.file != row.file => format!("{file}, "),
                    _ => String::new(),
                };
                Some(RowFault::new(code, format!("{what} in {place}line {}", first.line)))
            }
            _ => None,
        }
    }

    /// How many rows of a batch are staged.
    pub(crate) fn staged(&self, batch: u16) -> u64 {
        self.rows.iter().filter(|row| row.state == State::Staged(batch)).count() as u64
    }

    /// Which rows of a batch are staged.
    pub(crate) fn bits(&self, batch: u16) -> Bits {
        let mut bits = vec![0; self.rows.len().div_ceil(64)];
        for (row, _) in
            self.rows.iter().enumerate().filter(|(_, row)| row.state == State::Staged(batch))
        {
            bits[row / 64] |= 1 << (row % 64);
        }
        Bits(bits)
    }

    /// The words of all rows, in their order.
    pub(crate) fn words(&self) -> impl Iterator<Item = io::Result<Words>> + '_ {
        let mut reader = self.words.read();
        self.rows.iter().map(move |_| Words::read(&mut reader))
    }
}
