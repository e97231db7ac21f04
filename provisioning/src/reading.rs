//! The pass over the files: every row is read and checked before anything leaves the machine.

use crate::check::{Checked, Checks, Device, Found, Terms};
use crate::formats::{Document, Format, Item};
use crate::limits::{CHECKED_BYTES, CHECKED_TOGETHER, FILES, NOTES, ROWS, WARNINGS};
use crate::{Error, RowFault};
use muster_identity::Did;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

/// A row, and what is known of it so far.
pub(crate) struct Row {
    pub(crate) file: u16,
    pub(crate) line: u64,
    pub(crate) serial: Option<Box<str>>,
    pub(crate) lot: Option<Box<str>>,
    pub(crate) device: Option<Box<Device>>,
    /// What the user should know though it changes nothing.
    pub(crate) note: Option<Arc<str>>,
    /// Its batch, as a place in the list of batches.
    pub(crate) batch: Option<u16>,
    pub(crate) state: State,
}

pub(crate) enum State {
    /// May be staged.
    Ready,
    /// Has no key yet, or cannot be judged yet: then why.
    Waiting(Option<Box<RowFault>>),
    /// Was enrolled before.
    Already,
    /// The node staged it.
    Staged,
    /// Will not be enrolled.
    Refused(Box<RowFault>),
}

/// Everything the files hold.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) files: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) warnings: Vec<String>,
    /// Notes that stand at many rows, once each.
    notes: BTreeSet<Arc<str>>,
}

impl Row {
    pub(crate) fn refuse(&mut self, fault: RowFault) {
        self.state = State::Refused(Box::new(fault));
    }

    /// The device, if the row may be staged.
    pub(crate) fn ready(&self) -> Option<&Device> {
        self.device.as_deref().filter(|_| matches!(self.state, State::Ready))
    }

    pub(crate) fn did(&self) -> Option<Did> {
        self.device.as_ref().map(|device| device.did)
    }
}

/// Reads and checks all files; `read` hears how many rows there are so far.
pub(crate) fn read(
    inputs: &[PathBuf],
    format: Option<Format>,
    terms: &Terms,
    read: &mut dyn FnMut(u64),
) -> Result<Rows, Error> {
    let argument = |why: &str| Error::Argument { what: "FILE", why: why.into() };
    if inputs.is_empty() || inputs.len() > FILES {
        return Err(argument("give 1 to 1,024 files"));
    }
    let warnings = terms.sources.warnings.iter().take(WARNINGS).cloned().collect();
    let mut all = Rows { warnings, ..Rows::default() };
    for path in inputs {
        let file = path.display().to_string();
        let fault = |error| Error::File { file: file.clone(), error };
        let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(fault)?);
        let format = match format {
            Some(format) => format,
            None => {
                Format::detect(input.fill_buf().map_err(fault)?).ok_or_else(|| Error::Manifest {
                    file: file.clone(),
                    why: "not a format that is known".into(),
                    cure: "see docs/formats/manifests.md for what can be read".into(),
                })?
            }
        };
        let before = all.rows.len();
        all.files.push(file.clone());
        all.read_file(&file, format, input, terms, read)?;
        if all.rows.len() == before {
            let cure = "give a file with at least one row".into();
            return Err(Error::Manifest { file, why: "the file holds no rows".into(), cure });
        }
    }
    all.warnings.extend(terms.sources.keys.left_over());
    all.refuse_doubles();
    Ok(all)
}

impl Rows {
    fn read_file(
        &mut self,
        file: &str,
        format: Format,
        input: impl BufRead,
        terms: &Terms,
        read: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let number = self.files.len() as u16 - 1;
        let (mut found, mut size): (Vec<Found>, usize) = (Vec::new(), 0);
        let mut take = |all: &mut Self, found: &mut Vec<Found>| -> Result<(), Error> {
            let checked = terms.check_all(found)?;
            for (found, checked) in found.drain(..).zip(checked) {
                let row = all.row(file, number, found.line, checked)?;
                all.rows.push(row);
            }
            read(all.rows.len() as u64);
            Ok(())
        };
        for item in format.read_mapped(file, input, &terms.sources.mapping) {
            match item? {
                Item::Warning(text) if self.warnings.len() < WARNINGS => {
                    self.warnings.push(format!("{file}, {text}"));
                }
                Item::Warning(_) => {}
                Item::Draft(draft) => {
                    size += draft.document.as_ref().map_or(0, Document::size);
                    found.push(Found { line: draft.line, draft: Ok(draft) });
                }
                Item::Refused { line, fault } => found.push(Found { line, draft: Err(fault) }),
            }
            if found.len() >= CHECKED_TOGETHER || size >= CHECKED_BYTES {
                size = 0;
                take(self, &mut found)?;
            }
            if self.rows.len() > ROWS {
                let why = "more than 4,194,304 rows in one command".into();
                let cure = "split the files over several commands".into();
                return Err(Error::Manifest { file: file.into(), why, cure });
            }
        }
        take(self, &mut found)
    }

    fn row(&mut self, file: &str, number: u16, line: u64, checked: Checked) -> Result<Row, Error> {
        let Checked { serial, lot, note, outcome } = checked;
        let (device, state) = match outcome {
            Checks::Ready(device) => (Some(device), State::Ready),
            Checks::Waiting(why) => (None, State::Waiting(why)),
            Checks::Refused(fault) => (None, State::Refused(fault)),
            Checks::PrivateKey(field) => {
                return Err(Error::PrivateKey { file: file.into(), line, field });
            }
        };
        let note = note.map(|note| self.note(note));
        Ok(Row { file: number, line, serial, lot, device, note, batch: None, state })
    }

    /// Most notes stand at every row of a reel: kept once, they cost nothing.
    fn note(&mut self, note: Box<str>) -> Arc<str> {
        if let Some(known) = self.notes.get(&*note) {
            return known.clone();
        }
        let note: Arc<str> = note.into();
        if self.notes.len() < NOTES {
            self.notes.insert(note.clone());
        }
        note
    }

    /// Refuses the later of two rows with one key or one serial number.
    fn refuse_doubles(&mut self) {
        let ready = |rows: &[Row]| -> Vec<usize> {
            (0..rows.len()).filter(|i| rows[*i].ready().is_some()).collect()
        };
        let mut order = ready(&self.rows);
        order.sort_by_key(|i| (self.rows[*i].did(), *i));
        self.refuse_equal(
            &order,
            |a, b| a.did() == b.did(),
            |first, second| {
                if first.serial == second.serial { "duplicate-row" } else { "duplicate-key" }
            },
        );
        let mut order = ready(&self.rows);
        order.sort_by(|a, b| (&self.rows[*a].serial, a).cmp(&(&self.rows[*b].serial, b)));
        self.refuse_equal(&order, |a, b| a.serial == b.serial, |_, _| "duplicate-serial");
    }

    fn refuse_equal(
        &mut self,
        order: &[usize],
        equal: impl Fn(&Row, &Row) -> bool,
        code: impl Fn(&Row, &Row) -> &'static str,
    ) {
        let mut first = 0;
        for i in 1..order.len() {
            let (a, b) = (&self.rows[order[first]], &self.rows[order[i]]);
            if !equal(a, b) {
                first = i;
                continue;
            }
            let place = if a.file == b.file { "" } else { &self.files[usize::from(a.file)] };
            let what = match code(a, b) {
                "duplicate-row" => "the same row stands",
                "duplicate-key" => "the same key stands with another serial number",
                _ => "the same serial number stands with another key",
            };
            let reason = format!(
                "{what} in {place}{}line {}",
                if place.is_empty() { "" } else { ", " },
                a.line
            );
            let fault = RowFault::new(code(a, b), reason);
            self.rows[order[i]].refuse(fault);
        }
    }
}
