//! The pass over the files: every row is read and checked before anything leaves the machine. One
//! thread reads, one on each core checks, and the caller collects the rows in their order.

use crate::archives::{self, Container};
use crate::check::{Checked, Found, Terms};
use crate::formats::{self, Document, Format, Item};
use crate::limits::{CHECKED_BYTES, CHECKED_TOGETHER, FILES, MEMBERS, ROWS, WARNINGS};
use crate::rows::{Collector, Rows};
use crate::{Error, RowFault};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// What is read of a folder or archive.
const MEMBER_CURE: &str = "in folders and archives only certificates and signing requests are read; name other files \
     themselves";

/// Rows that are checked together, by their place among all such.
type Share = (u64, Vec<Found>);

/// The same, checked: file and line beside each.
type Done = (u64, Vec<(u32, u64, Checked)>);

/// Reads and checks all files; `read` hears how many rows there are so far. What does not fit in
/// memory goes to files in the folder `spool`.
pub(crate) fn read(
    inputs: &[PathBuf],
    format: Option<Format>,
    terms: &Terms,
    spool: &Path,
    read: &mut dyn FnMut(u64),
) -> Result<Rows, Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A core's worth of shares waits at most, so that memory is bounded.
    let (shares, waiting) = sync_channel::<Share>(cores);
    let (checked, done) = sync_channel::<Done>(cores);
    let waiting = Mutex::new(Some(waiting));
    let mut collector = Collector::new(spool);
    let mut parser = Parser::new(terms, shares);
    let (parsed, collected) = std::thread::scope(|scope| {
        let parsing = scope.spawn(move || {
            let parsed = parser.all(inputs, format);
            (parsed, parser.files, parser.warnings)
        });
        for _ in 0..cores {
            let (waiting, checked) = (&waiting, checked.clone());
            scope.spawn(move || check(terms, waiting, checked));
        }
        drop(checked);
        let collected = collect(done, &mut collector, read);
        // Whoever still reads for nobody ends.
        *waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        (parsing.join(), collected)
    });
    let (parsed, files, mut warnings) =
        parsed.map_err(|_| Error::Internal("the reading panicked".into()))?;
    if let Some((file, line, field)) = collected? {
        let file = files.get(file as usize).cloned().unwrap_or_default();
        return Err(Error::PrivateKey { file, line, field });
    }
    parsed?;
    warnings.extend(terms.sources.keys.left_over());
    collector.finish(files, warnings)
}

/// Checks shares until no more come.
fn check(terms: &Terms, waiting: &Mutex<Option<Receiver<Share>>>, checked: SyncSender<Done>) {
    loop {
        let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let next = waiting.as_ref().and_then(|shares| shares.recv().ok());
        drop(waiting);
        let Some((place, share)) = next else { return };
        let rows = share.iter().map(|found| (found.file, found.line, terms.row(found))).collect();
        if checked.send((place, rows)).is_err() {
            return;
        }
    }
}

/// File, line and field of a private key.
type Secret = (u32, u64, String);

/// Collects shares in their order; a private key ends it.
fn collect(
    done: Receiver<Done>,
    collector: &mut Collector,
    read: &mut dyn FnMut(u64),
) -> Result<Option<Secret>, Error> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (place, rows) in done {
        early.insert(place, rows);
        while let Some(rows) = early.remove(&next) {
            next += 1;
            for (file, line, checked) in rows {
                if let Err(field) = collector.take(file, line, checked)? {
                    return Ok(Some((file, line, field)));
                }
            }
            read(collector.count());
        }
    }
    Ok(None)
}

/// Reads the files.
struct Parser<'t> {
    terms: &'t Terms,
    files: Vec<String>,
    warnings: Vec<String>,
    /// Rows that were read, all in all.
    count: u32,
    /// Those of the present share, and bytes of their documents.
    found: Vec<Found>,
    size: usize,
    shares: SyncSender<Share>,
    sent: u64,
}

impl<'t> Parser<'t> {
    fn new(terms: &'t Terms, shares: SyncSender<Share>) -> Self {
        let warnings = terms.sources.warnings.iter().take(WARNINGS).cloned().collect();
        let (files, found) = Default::default();
        Self { terms, files, warnings, count: 0, found, size: 0, shares, sent: 0 }
    }

    fn all(&mut self, inputs: &[PathBuf], format: Option<Format>) -> Result<(), Error> {
        if inputs.is_empty() || inputs.len() > FILES {
            let why = "give 1 to 1,024 files".into();
            return Err(Error::Argument { what: "FILE", why });
        }
        for path in inputs {
            let file = path.display().to_string();
            let before = self.count;
            let empty = |why: &str, cure: &str| Error::Manifest {
                file: file.clone(),
                why: why.into(),
                cure: cure.into(),
            };
            match Container::of(path)? {
                Some(container) => {
                    container.walk(path, &mut |member, input| {
                        self.member(format!("{file}:{member}"), input)
                    })?;
                    if self.count == before {
                        let why = "no certificate or signing request is in it";
                        return Err(empty(why, MEMBER_CURE));
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
        let mut input = BufReader::with_capacity(1 << 18, File::open(path).map_err(fault)?);
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
        self.read(file, format, input)
    }

    fn read(&mut self, file: &str, format: Format, input: impl BufRead) -> Result<(), Error> {
        self.files.push(file.into());
        let number = self.files.len() as u32 - 1;
        for item in format.read_mapped(file, input, &self.terms.sources.mapping) {
            match item? {
                Item::Warning(text) => self.warn(format!("{file}, {text}")),
                Item::Draft(draft) => {
                    self.size += draft.document.as_ref().map_or(0, Document::size);
                    self.find(number, draft.line, Ok(draft))?;
                }
                Item::Refused { line, fault } => self.find(number, line, Err(fault))?,
            }
            if self.count as usize > ROWS {
                let why = "more than 4,194,304 rows in one command".into();
                let cure = "split the files over several commands".into();
                return Err(Error::Manifest { file: file.into(), why, cure });
            }
        }
        Ok(())
    }

    fn find(
        &mut self,
        file: u32,
        line: u64,
        draft: Result<formats::Draft, RowFault>,
    ) -> Result<(), Error> {
        self.found.push(Found { number: self.count, file, line, draft });
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

    /// A file in a folder or archive: certificates and signing requests are read, private keys
    /// looked for in all.
    fn member(&mut self, file: String, mut input: &mut dyn BufRead) -> Result<(), Error> {
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
        let before = self.count;
        if Format::detect(head) == Some(Format::X509) {
            self.read(&file, Format::X509, input)?;
        } else {
            formats::search_secrets(&file, &mut input)?;
        }
        if self.count == before {
            self.warn(format!("{file} is not read: {MEMBER_CURE}"));
        }
        Ok(())
    }

    fn warn(&mut self, text: String) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(text);
        }
    }
}
