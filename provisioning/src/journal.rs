//! What a command and the node agreed on so far, so that a command that was cut off goes on where
//! it was: one JSON object a line, appended, beside the results. Format: `docs/formats/journal.md`.

use crate::Error;
use crate::limits::{FOLDER_DEPTH, MEMBERS, TOLD_CHARS};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Did, sha256};
use muster_ledger::{Network, SignedOperation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Version of the format.
const VERSION: u32 = 1;

/// Rows that one line names, and bytes that one line has at most: each row with its reason.
const NAMED: usize = 4_096;
const LINE: u64 = 4 << 20;

/// A row that the node refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) row: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) detail: Option<String>,
}

impl Told {
    /// What a node says may be of any length; nobody reads more than this.
    pub(crate) fn new(row: u32, code: Option<String>, detail: Option<String>) -> Self {
        let cut = |text: String| text.chars().take(TOLD_CHARS).collect();
        Self { row, code: code.map(cut), detail: detail.map(cut) }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(crate) enum Record {
    /// The first line: whose command it is.
    Command { version: u32, network: String, organisation: String, command: String },
    /// The node opened an upload for a batch; what was said of the batch before is void.
    Opened { batch: u16, upload: String },
    /// All rows of the batch up to this DID were answered, and staged but for these.
    Staged {
        batch: u16,
        last: String,
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        already: Vec<u32>,
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        refused: Vec<Told>,
    },
    /// Rows left the upload when it was sealed.
    Left { batch: u16, refused: Vec<Told> },
    /// The enrolment was signed: from here on it may be on the ledger.
    Signed { batch: u16, operation: String },
    /// A quorum acknowledged it.
    Acknowledged { batch: u16 },
}

/// What an earlier run did for a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Past {
    pub(crate) upload: Option<String>,
    /// Digest of the DID up to which rows were answered.
    pub(crate) last: Option<String>,
    pub(crate) already: Vec<u32>,
    pub(crate) refused: Vec<Told>,
    pub(crate) signed: Option<SignedOperation>,
}

/// The journal of the running command.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    past: BTreeMap<u16, Past>,
}

/// Whose journal it is: the options, and names, sizes and times of all files that say what the
/// rows are.
pub(crate) fn command<'p>(
    files: impl Iterator<Item = &'p Path>,
    options: &str,
) -> Result<String, Error> {
    let mut text = String::from(options);
    for path in files {
        describe(path, FOLDER_DEPTH, &mut text)?;
    }
    Ok(BASE64URL_NOPAD.encode(&sha256(&[text.as_bytes()])))
}

fn describe(path: &Path, depth: u32, text: &mut String) -> Result<(), Error> {
    let fault = |error| Error::File { file: path.display().to_string(), error };
    let meta = fs::metadata(path).map_err(fault)?;
    let changed = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    let nanos = changed.map_or(0, |t| t.as_nanos());
    text.push_str(&format!("\n{}\0{}\0{nanos}", path.display(), meta.len()));
    if meta.is_dir() && depth > 0 {
        let members: io::Result<Vec<_>> =
            fs::read_dir(path).map_err(fault)?.map(|entry| Ok(entry?.path())).collect();
        let mut members = members.map_err(fault)?;
        members.sort_unstable();
        for member in members.into_iter().take(MEMBERS) {
            // A link that leads nowhere is read by nobody.
            let _ = describe(&member, depth - 1, text);
        }
    }
    Ok(())
}

impl Journal {
    /// Opens the journal of a command. `resume`: goes on from what is in it. Gives also the
    /// uploads of an earlier run that is not gone on with, and what the user should know.
    pub(crate) fn open(
        path: &Path,
        resume: bool,
        network: &Network,
        organisation: &Did,
        command: String,
    ) -> Result<(Self, Vec<String>, Option<String>), Error> {
        let fault = |error| Error::File { file: path.display().to_string(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        // Whoever knows an upload's id may add to it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        if path.is_symlink() {
            return Err(Error::Argument { what: "FILE", why: foreign(path) });
        }
        let mut file = options.open(path).map_err(|error| Error::Argument {
            what: "FILE",
            why: format!(
                "the journal {} cannot be written ({error}); copy the file to a folder where you may \
                 write",
                path.display()
            ),
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format!(
                    "another command enrols this file just now ({} is locked); wait for it",
                    path.display()
                );
                return Err(Error::Argument { what: "FILE", why });
            }
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        let own = Record::Command {
            version: VERSION,
            network: network.to_string(),
            organisation: organisation.to_string(),
            command,
        };
        if let Some(version) = version(&file).map_err(fault)?.filter(|found| *found != VERSION) {
            let why = format!(
                "{} was written by another version of muster (journal {version}, this one writes \
                 {VERSION}): finish with that version, or move it away to begin anew",
                path.display()
            );
            return Err(Error::Argument { what: "FILE", why });
        }
        let (first, past, end) = read(&file).map_err(fault)?;
        if first.is_none() && file.metadata().map_err(fault)?.len() > LINE {
            return Err(Error::Argument { what: "FILE", why: foreign(path) });
        }
        let same = first.as_ref() == Some(&own);
        if resume && first.is_some() && !same {
            let why = format!(
                "{} is of a run with other files or options, and they decide what the rows are; \
                 give the same, or leave --resume away to begin anew",
                path.display()
            );
            return Err(Error::Argument { what: "--resume", why });
        }
        let path = path.to_owned();
        if resume && same {
            // A line that was being written when the run ended counts as not written.
            file.set_len(end).and_then(|()| file.seek(SeekFrom::End(0))).map_err(fault)?;
            return Ok((Self { path, file, past }, Vec::new(), None));
        }
        let left: Vec<String> = past.into_values().filter_map(|past| past.upload).collect();
        let word = (!left.is_empty()).then(|| {
            "an earlier run of this file was cut off; this one begins anew (--resume goes on)"
                .into()
        });
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(fault)?;
        let mut journal = Self { path, file, past: BTreeMap::new() };
        journal.note(&own)?;
        Ok((journal, left, word))
    }

    /// Notes what happened. What only saves work is left to the system to write, what must not
    /// be forgotten is on disk when this returns.
    pub(crate) fn note(&mut self, record: &Record) -> Result<(), Error> {
        let lasting = !matches!(record, Record::Staged { .. });
        let mut line = serde_json::to_vec(record).map_err(|e| Error::Internal(e.to_string()))?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        let written = if lasting { written.and_then(|()| self.file.sync_data()) } else { written };
        written.map_err(|error| Error::File { file: self.path.display().to_string(), error })
    }

    /// Notes rows that left an upload.
    pub(crate) fn note_left(&mut self, batch: u16, refused: &[Told]) -> Result<(), Error> {
        refused
            .chunks(NAMED)
            .try_for_each(|part| self.note(&Record::Left { batch, refused: part.to_vec() }))
    }

    /// What an earlier run did for a batch.
    pub(crate) fn past(&mut self, batch: u16) -> Past {
        self.past.remove(&batch).unwrap_or_default()
    }

    /// The command is over: nothing is left to go on with.
    pub(crate) fn remove(self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::File { file: self.path.display().to_string(), error })
            }
            _ => Ok(()),
        }
    }
}

fn foreign(path: &Path) -> String {
    format!("{} stands where the journal goes and is none; move it away", path.display())
}

/// The version that the first line states, whatever else stands in it.
fn version(file: &File) -> io::Result<Option<u32>> {
    #[derive(Deserialize)]
    struct First {
        what: String,
        version: u32,
    }
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let mut line = Vec::new();
    io::Read::take(&mut reader, LINE).read_until(b'\n', &mut line)?;
    let first = serde_json::from_slice::<First>(&line).ok();
    Ok(first.filter(|first| first.what == "command").map(|first| first.version))
}

type Read = (Option<Record>, BTreeMap<u16, Past>, u64);

/// Reads what is whole; gives also where that ends. Lines that nobody of this version wrote end
/// the reading too: what follows from them is done again.
fn read(file: &File) -> io::Result<Read> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let (mut first, mut past, mut end) = (None, BTreeMap::<u16, Past>::new(), 0);
    loop {
        let mut line = Vec::new();
        io::Read::take(&mut reader, LINE).read_until(b'\n', &mut line)?;
        let Some(text) = line.strip_suffix(b"\n") else { break };
        let Ok(record) = serde_json::from_slice::<Record>(text) else { break };
        match record {
            Record::Command { .. } if first.is_none() => first = Some(record),
            _ if first.is_none() => break,
            Record::Command { .. } => break,
            Record::Opened { batch, upload } => {
                past.insert(batch, Past { upload: Some(upload), ..Past::default() });
            }
            Record::Staged { batch, last, already, refused } => {
                let past = past.entry(batch).or_default();
                past.last = Some(last);
                past.already.extend(already);
                past.refused.extend(refused);
            }
            Record::Left { batch, refused } => {
                past.entry(batch).or_default().refused.extend(refused);
            }
            Record::Signed { batch, operation } => {
                let bytes = BASE64URL_NOPAD.decode(operation.as_bytes());
                let Ok(bytes) = bytes else { break };
                past.entry(batch).or_default().signed = Some(SignedOperation(bytes));
            }
            Record::Acknowledged { .. } => {}
        }
        end += line.len() as u64;
    }
    Ok((first, past, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, resume: bool, command: &str) -> Result<Journal, Error> {
        let (network, organisation) = (Network([1; 32]), Did::from_digest([2; 32]));
        Journal::open(path, resume, &network, &organisation, command.into()).map(|(j, ..)| j)
    }

    #[test]
    fn a_journal_says_what_was_done_whatever_cut_it_off() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("j");
        let told = |row| Told { row, code: Some("x".into()), detail: None };
        let staged = |last: u32, already: u32| Record::Staged {
            batch: 0,
            last: format!("{last:02x}"),
            already: vec![already],
            refused: vec![told(last)],
        };
        let mut journal = open(&path, false, "c").expect("new");
        assert!(matches!(open(&path, true, "c"), Err(Error::Argument { what: "FILE", .. })));
        for record in [
            Record::Opened { batch: 0, upload: "void".into() },
            staged(9, 9),
            Record::Opened { batch: 0, upload: "u".into() },
            staged(2, 0),
            staged(4, 3),
            Record::Left { batch: 0, refused: vec![told(7)] },
            Record::Signed { batch: 0, operation: BASE64URL_NOPAD.encode(b"signed") },
        ] {
            journal.note(&record).expect("written");
        }
        drop(journal);
        let whole = fs::read(&path).expect("bytes");
        let mut previous = 0;
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).expect("cut");
            let mut journal = open(&path, true, "c").expect("goes on");
            let past = journal.past(0);
            let done = past.already.len() + past.refused.len() + usize::from(past.signed.is_some());
            // Never less for more bytes, save where a new upload makes the old one void.
            assert!(done >= previous || past.last.is_none(), "{length}: {past:?}");
            previous = done;
        }
        let mut journal = open(&path, true, "c").expect("goes on");
        assert_eq!(
            journal.past(0),
            Past {
                upload: Some("u".into()),
                last: Some("04".into()),
                already: vec![0, 3],
                refused: vec![told(2), told(4), told(7)],
                signed: Some(SignedOperation(b"signed".to_vec())),
            }
        );
        drop(journal);
        assert!(matches!(open(&path, true, "d"), Err(Error::Argument { what: "--resume", .. })));
        let mut anew = open(&path, false, "d").expect("anew");
        assert_eq!(anew.past(0), Past::default());
        anew.remove().expect("removed");
        assert!(!path.exists());
    }

    /// A journal of each format that was released, as it was written: this code goes on in it.
    #[test]
    fn journals_of_every_version_are_gone_on_with_and_of_a_later_one_are_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("j");
        fs::write(&path, include_bytes!("../tests/fixtures/journal-1.jsonl")).expect("copied");
        let mut journal = open(&path, true, "c").expect("goes on");
        let told = |row| Told { row, code: Some("x".into()), detail: None };
        assert_eq!(
            journal.past(0),
            Past {
                upload: Some("u".into()),
                last: Some("04".into()),
                already: vec![0, 3],
                refused: vec![told(2), told(7)],
                signed: Some(SignedOperation(b"signed".to_vec())),
            }
        );
        drop(journal);
        // What this code writes is what the fixture says, byte for byte.
        let fixture = include_str!("../tests/fixtures/journal-1.jsonl");
        for line in fixture.lines() {
            let record: Record = serde_json::from_str(line).expect("a record");
            assert_eq!(serde_json::to_string(&record).expect("JSON"), line);
        }
        let later = "{\"what\":\"command\",\"version\":2,\"other\":[]}\n{\"what\":\"new\"}\n";
        for resume in [true, false] {
            fs::write(&path, later).expect("written");
            let refused = open(&path, resume, "c").expect_err("a later version").to_string();
            assert!(refused.contains("journal 2"), "{refused}");
            assert_eq!(fs::read_to_string(&path).expect("still there"), later);
        }
    }
}
