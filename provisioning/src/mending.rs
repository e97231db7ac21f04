//! The refused rows of a file, in the file's own format: whoever mends them feeds that file again.

use crate::formats::{Format, Span};
use crate::results::Finished;
use crate::rows::{Double, Row, State, outcome};
use crate::words::Words;
use crate::{Error, Outcome};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A file that rows can be taken out of as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mendable {
    /// Its number among all files.
    file: u32,
    path: PathBuf,
    format: Format,
    /// Bytes at its beginning that belong to every row: byte order mark, header.
    pub(crate) preface: u64,
    /// By what it is told whether the file is still the one that was read.
    stamp: Stamp,
}

/// Length, and when it was changed last, in nanoseconds.
type Stamp = (u64, u128);

fn stamp(found: &Metadata) -> Stamp {
    let changed = found.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    (found.len(), changed.map_or(0, |t| t.as_nanos()))
}

/// What is to be done about a row that is not enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nothing.
    None,
    /// To mend it where it stands.
    Mend(Span),
    /// To bring what is missing.
    Bring,
}

impl Mendable {
    /// A file that the user named, if it is one: there is nothing to mend in a certificate, and
    /// nothing to come back to in a pipe.
    pub(crate) fn of(file: u32, path: &Path, format: Format) -> io::Result<Option<Self>> {
        let found = path.metadata()?;
        let is_text = !matches!(format, Format::X509 | Format::Foreign(_));
        let (path, stamp) = (path.to_owned(), stamp(&found));
        Ok((is_text && found.is_file()).then_some(Self { file, path, format, preface: 0, stamp }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Microchip)
    }
}

impl Finished {
    /// What is to be done about a row.
    pub(crate) fn remedy(&self, row: &Row, words: &Words) -> Remedy {
        match outcome(row.state) {
            Some(Outcome::Enrolled | Outcome::Already) => return Remedy::None,
            Some(Outcome::Waiting) => return Remedy::Bring,
            // The row that it doubles has an outcome of its own.
            _ if matches!(row.state, State::Double(Double::Row, _)) => return Remedy::None,
            Some(Outcome::Refused) | None => {}
        }
        let mendable = self.of_number(row.file);
        // An entry that is no JSON would spoil the array.
        let spoils = mendable.is_some_and(Mendable::is_json)
            && words.fault.as_ref().is_some_and(|f| f.code == "not-json" && f.field == "row");
        match words.span {
            Some(span) if mendable.is_some() && !spoils => Remedy::Mend(span),
            _ => Remedy::Bring,
        }
    }

    fn of_number(&self, file: u32) -> Option<&Mendable> {
        let all = &self.rows.mendable;
        all.binary_search_by_key(&file, |mendable| mendable.file).ok().map(|at| &all[at])
    }

    /// The files that rows can be taken out of, whether any was refused or not.
    pub fn mendable(&self) -> &[Mendable] {
        &self.rows.mendable
    }

    /// The refused rows of each such file.
    pub fn rejects(&self) -> Rejects<'_> {
        let rows = self.rows.rows.iter().zip(self.rows.words());
        let rows = rows.filter_map(|(row, words)| match words {
            Ok(words) => match self.remedy(row, &words) {
                Remedy::Mend(span) => Some(Ok((row.file, span))),
                _ => None,
            },
            Err(error) => Some(Err(error)),
        });
        let rows: Box<dyn Iterator<Item = _>> = Box::new(rows);
        Rejects { finished: self, rows: rows.peekable() }
    }
}

type Refused = io::Result<(u32, Span)>;

/// Refused rows that can be mended, file by file.
pub struct Rejects<'f> {
    finished: &'f Finished,
    rows: Peekable<Box<dyn Iterator<Item = Refused> + 'f>>,
}

impl<'f> Rejects<'f> {
    /// The next file that has some; [`Self::write`] goes on to the one behind.
    pub fn file(&mut self) -> Result<Option<&'f Mendable>, Error> {
        if let Some(Err(error)) = self.rows.next_if(Result::is_err) {
            return Err(crate::rows::spooling(error));
        }
        let number = self.rows.peek().and_then(|row| row.as_ref().ok()).map(|(file, _)| *file);
        Ok(number.and_then(|number| self.finished.of_number(number)))
    }

    /// Writes the rows of that file: byte for byte as they stand there, in a file of its format.
    /// Gives their number.
    pub fn write(&mut self, to: &mut dyn Write) -> io::Result<u64> {
        let Some(from) = self.file().map_err(io::Error::other)? else { return Ok(0) };
        let mut input = File::open(&from.path)?;
        if stamp(&input.metadata()?) != from.stamp {
            let why = format!("{} was changed since it was read", from.path.display());
            return Err(io::Error::other(why));
        }
        let mut copy = |span: Span, to: &mut dyn Write| {
            input.seek(SeekFrom::Start(span.at))?;
            let copied = io::copy(&mut (&mut input).take(span.length.into()), to)?;
            let whole = copied == u64::from(span.length);
            if whole { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
        };
        let mut count = 0;
        if !from.is_json() {
            let length = u32::try_from(from.preface).map_err(io::Error::other)?;
            copy(Span { at: 0, length }, to)?;
        }
        while let Some(row) =
            self.rows.next_if(|row| row.as_ref().map_or(true, |(file, _)| *file == from.file))
        {
            let (_, span) = row?;
            if from.is_json() {
                to.write_all(if count == 0 { b"[\n" } else { b",\n" })?;
            }
            copy(span, to)?;
            count += 1;
        }
        if from.is_json() {
            to.write_all(b"\n]\n")?;
        }
        Ok(count)
    }
}
