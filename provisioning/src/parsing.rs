//! The files, one by one: formats are recognised, folders and archives opened, rows handed over
//! to whoever checks them.

use crate::archives::{self, Container, Member};
use crate::check::{Found, Terms};
use crate::formats::{self, Draft, Format, Item, Span};
use crate::limits::{CHECKED_BYTES, CHECKED_TOGETHER, FILES, MEMBERS, ROWS, UNREADABLE, WARNINGS};
use crate::mending::Mendable;
use crate::meter::{Meter, Metered};
use crate::reading::Share;
use crate::{Error, RowFault, Unit};
use std::io::{BufRead, BufReader, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

/// What the user may do about files that are not read.
const MEMBER_CURE: &str = "it has no format that is known (docs/formats/manifests.md)";

/// Bytes that a member of an archive is recognised by: a header of 256 columns, or an object.
const HEAD: u64 = 16 << 10;

/// What was found out about the files, beside their rows.
pub(crate) struct Parsed {
    pub(crate) files: Vec<String>,
    /// What the rows of each are counted by.
    pub(crate) units: Vec<Unit>,
    pub(crate) mendable: Vec<Mendable>,
    pub(crate) warnings: Vec<String>,
}

/// Reads the files.
pub(crate) struct Parser<'t> {
    terms: &'t Terms,
    parsed: Parsed,
    meter: Meter,
    /// Rows that were read, all in all.
    count: u32,
    /// Of the present file or archive: rows that cannot be read, until one can.
    unreadable: Option<u64>,
    /// Those of the present share, and bytes of their documents.
    found: Vec<Found>,
    size: usize,
    shares: SyncSender<Share>,
    sent: u64,
}

impl<'t> Parser<'t> {
    pub(crate) fn new(terms: &'t Terms, shares: SyncSender<Share>, meter: Meter) -> Self {
        let warnings = terms.sources.warnings.iter().take(WARNINGS).cloned().collect();
        let (files, units, mendable, found) = Default::default();
        let parsed = Parsed { files, units, mendable, warnings };
        Self { terms, parsed, meter, count: 0, unreadable: None, found, size: 0, shares, sent: 0 }
    }

    /// What is known of the files; nobody hears of more rows.
    pub(crate) fn finish(self) -> Parsed {
        self.parsed
    }

    pub(crate) fn all(&mut self, inputs: &[PathBuf], format: Option<Format>) -> Result<(), Error> {
        if inputs.is_empty() || inputs.len() > FILES {
            let why = "give 1 to 1,024 files".into();
            return Err(Error::Argument { what: "FILE", why });
        }
        for path in inputs {
            let file = path.display().to_string();
            let before = self.count;
            self.unreadable = Some(0);
            let empty = |why: &str, cure: &str| Error::Manifest {
                file: file.clone(),
                why: why.into(),
                cure: cure.into(),
            };
            match Container::of(path)? {
                Some(container) => {
                    let meter = self.meter.clone();
                    container.walk(path, &meter, &mut |member, input| {
                        self.member(format!("{file}:{member}"), input)
                    })?;
                    if self.count == before {
                        let cure = "see docs/formats/manifests.md for what can be read";
                        return Err(empty("no file of devices is in it", cure));
                    }
                }
                None => {
                    self.plain(path, &file, format)?;
                    if self.count == before {
                        let cure = "give a file with at least one row";
                        return Err(empty("the file holds no rows", cure));
                    }
                }
            }
        }
        self.hand_over()
    }

    fn plain(&mut self, path: &Path, file: &str, format: Option<Format>) -> Result<(), Error> {
        let fault = |error| Error::File { file: file.into(), error };
        let input = Metered::open(path, &self.meter).map_err(fault)?;
        let mut input = BufReader::with_capacity(1 << 18, input);
        let format = match format {
            Some(format) => format,
            None => {
                Format::detect(input.fill_buf().map_err(fault)?).ok_or_else(|| Error::Manifest {
                    file: file.into(),
                    why: "not a format that is known".into(),
                    cure: "see docs/formats/manifests.md for what can be read".into(),
                })?
            }
        };
        let mendable = Mendable::of(self.parsed.files.len() as u32, path, format).map_err(fault)?;
        self.read(file, format, input, mendable)
    }

    /// Reads a file; `mendable` says whether rows can be taken out of it.
    fn read(
        &mut self,
        file: &str,
        format: Format,
        input: impl BufRead,
        mut mendable: Option<Mendable>,
    ) -> Result<(), Error> {
        let number = self.name(file)?;
        let mut reader = format.read_mapped(file, input, &self.terms.sources.mapping);
        while let Some(item) = reader.next() {
            let span = if mendable.is_some() { reader.span() } else { None };
            if let Some(mendable) = &mut mendable {
                mendable.preface = reader.preface();
            }
            if reader.counts_entries() {
                self.parsed.units[number as usize] = Unit::Entry;
            }
            match item? {
                Item::Warning(text) => self.warn(format!("{file}, {text}")),
                Item::Draft(draft) => {
                    self.size += draft.size();
                    self.find(number, draft.line, span, Ok(draft))?;
                }
                Item::Refused { line, fault } => self.find(number, line, span, Err(fault))?,
            }
            if self.unreadable.is_some_and(|rows| rows > UNREADABLE) {
                let why = "none of the first 262,144 rows can be read".into();
                let cure = "see by --dry-run of a few of them what is wrong, or name the --format";
                return Err(Error::Manifest { file: file.into(), why, cure: cure.into() });
            }
            if self.count as usize > ROWS {
                let why = "more than 4,194,304 rows in one command".into();
                let cure = "split the files over several commands".into();
                return Err(Error::Manifest { file: file.into(), why, cure });
            }
        }
        self.parsed.mendable.extend(mendable);
        Ok(())
    }

    /// The number of a file that rows are in.
    fn name(&mut self, file: &str) -> Result<u32, Error> {
        if self.parsed.files.len() >= MEMBERS {
            let why = "more than 1,048,576 files".into();
            let cure = "split them over several commands".into();
            return Err(Error::Manifest { file: file.into(), why, cure });
        }
        self.parsed.files.push(file.into());
        self.parsed.units.push(Unit::Line);
        Ok(self.parsed.files.len() as u32 - 1)
    }

    fn find(
        &mut self,
        file: u32,
        line: u64,
        span: Option<Span>,
        draft: Result<Draft, RowFault>,
    ) -> Result<(), Error> {
        self.unreadable = self.unreadable.filter(|_| draft.is_err()).map(|rows| rows + 1);
        self.found.push(Found { number: self.count, file, line, span, draft });
        self.count += 1;
        if self.found.len() >= CHECKED_TOGETHER || self.size >= CHECKED_BYTES {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Hands the present share to whoever checks.
    fn hand_over(&mut self) -> Result<(), Error> {
        let share = std::mem::take(&mut self.found);
        self.size = 0;
        if share.is_empty() {
            return Ok(());
        }
        self.sent += 1;
        let sent = self.shares.send((self.sent - 1, share));
        // Nobody is left after a fault, which is what the caller hears of.
        sent.map_err(|_| Error::Internal("nobody collects the rows".into()))
    }

    /// A file in a folder or archive, in whatever format it is recognised to have. In the others
    /// private keys are looked for, and nothing else.
    fn member(&mut self, file: String, input: Member<'_>) -> Result<(), Error> {
        let input = match input {
            Ok(input) => input,
            Err(fault) => {
                let number = self.name(&file)?;
                return self.find(number, 1, None, Err(fault));
            }
        };
        let fault = |error| Error::File { file: file.clone(), error };
        let mut head = Vec::new();
        input.take(HEAD).read_to_end(&mut head).map_err(fault)?;
        if archives::is_archive(&head) {
            let why = "an archive within another".into();
            let cure = "unpack it, and name it itself".into();
            return Err(Error::Manifest { file, why, cure });
        }
        let before = self.count;
        let format = Format::detect(&head);
        let format = format.filter(|f| f.holds_devices(&head, &self.terms.sources.mapping));
        let mut input = Cursor::new(head).chain(input);
        match format {
            Some(format) => self.read(&file, format, input, None)?,
            None => formats::search_secrets(&file, &mut input)?,
        }
        if self.count == before {
            self.warn(format!("{file} is not read: {MEMBER_CURE}"));
        }
        Ok(())
    }

    fn warn(&mut self, text: String) {
        if self.parsed.warnings.len() < WARNINGS {
            self.parsed.warnings.push(text);
        }
    }
}
