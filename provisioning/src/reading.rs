//! The pass over the files: every row is read and checked before anything leaves the machine.

use crate::archives::{self, Container};
use crate::check::{Checked, Checks, Device, Found, Terms};
use crate::formats::{self, Document, Format, Item};
use crate::limits::{CHECKED_BYTES, CHECKED_TOGETHER, FILES, MEMBERS, NOTES, ROWS, WARNINGS};
use crate::{Error, RowFault};
use muster_identity::Did;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

/// What is read of a folder or archive.
const MEMBER_CURE: &str = "in folders and archives only certificates and signing requests are read; name other files \
     themselves";

/// A row, and what is known of it so far.
pub(crate) struct Row {
    pub(crate) file: u32,
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
    /// Rows that are not checked yet, and bytes of their documents.
    found: Vec<Found>,
    size: usize,
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
        let before = all.count();
        let container = Container::of(path)?;
        if let Some(container) = container {
            container.walk(path, &mut |member, input| {
                all.member(format!("{file}:{member}"), input, terms, read)
            })?;
            all.flush(terms, read)?;
            if all.count() == before {
                let why = "no certificate or signing request is in it".into();
                return Err(Error::Manifest { file, why, cure: MEMBER_CURE.into() });
            }
            continue;
        }
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
        all.read_file(&file, format, input, terms, read)?;
        all.flush(terms, read)?;
        if all.count() == before {
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
        self.files.push(file.into());
        let number = self.files.len() as u32 - 1;
        for item in format.read_mapped(file, input, &terms.sources.mapping) {
            match item? {
                Item::Warning(text) => self.warn(format!("{file}, {text}")),
                Item::Draft(draft) => {
                    self.size += draft.document.as_ref().map_or(0, Document::size);
                    self.found.push(Found { file: number, line: draft.line, draft: Ok(draft) });
                }
                Item::Refused { line, fault } => {
                    self.found.push(Found { file: number, line, draft: Err(fault) });
                }
            }
            if self.found.len() >= CHECKED_TOGETHER || self.size >= CHECKED_BYTES {
                self.flush(terms, read)?;
            }
            if self.rows.len() > ROWS {
                let why = "more than 4,194,304 rows in one command".into();
                let cure = "split the files over several commands".into();
                return Err(Error::Manifest { file: file.into(), why, cure });
            }
        }
        Ok(())
    }

    /// A file in a folder or archive: certificates and signing requests are read, private keys
    /// looked for in all.
    fn member(
        &mut self,
        file: String,
        mut input: &mut dyn BufRead,
        terms: &Terms,
        read: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let fault = |error| Error::File { file: file.clone(), error };
        let refused = |why: &str, cure: &str| {
            Err(Error::Manifest { file: file.clone(), why: why.into(), cure: cure.into() })
        };
        if self.files.len() >= MEMBERS {
            return refused("more than 1,048,576 files", "split them over several commands");
        }
        let head = input.fill_buf().map_err(fault)?;
        if archives::is_archive(head) {
            return refused("an archive within another", "unpack it, and name it itself");
        }
        let before = self.count();
        if Format::detect(head) == Some(Format::X509) {
            self.read_file(&file, Format::X509, input, terms, read)?;
        } else {
            formats::search_secrets(&file, &mut input)?;
        }
        if self.count() == before {
            self.warn(format!("{file} is not read: {MEMBER_CURE}"));
        }
        Ok(())
    }

    fn warn(&mut self, text: String) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(text);
        }
    }

    /// Rows so far, checked or not.
    fn count(&self) -> usize {
        self.rows.len() + self.found.len()
    }

    /// Checks the rows that were found.
    fn flush(&mut self, terms: &Terms, read: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let found = std::mem::take(&mut self.found);
        self.size = 0;
        let checked = terms.check_all(&found)?;
        for (found, checked) in found.into_iter().zip(checked) {
            let row = self.row(found.file, found.line, checked)?;
            self.rows.push(row);
        }
        read(self.rows.len() as u64);
        Ok(())
    }

    fn row(&mut self, number: u32, line: u64, checked: Checked) -> Result<Row, Error> {
        let Checked { serial, lot, note, outcome } = checked;
        let (device, state) = match outcome {
            Checks::Ready(device) => (Some(device), State::Ready),
            Checks::Waiting(why) => (None, State::Waiting(why)),
            Checks::Refused(fault) => (None, State::Refused(fault)),
            Checks::PrivateKey(field) => {
                let file = self.files[number as usize].clone();
                return Err(Error::PrivateKey { file, line, field });
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
            let place = if a.file == b.file { "" } else { &self.files[a.file as usize] };
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
