//! The memory of what this validator signed: a file of its own, on the disk before a signature
//! leaves the key, in no backup. It refuses a contradiction: another value for the same height,
//! round and step, a lower height, and a lower round that it does not know.
//!
//! A record has 50 bytes: height (8), round (4), step (1), whether there is a value (1), the value
//! (32), and the first four bytes of the SHA-256 of all that. A last record that is cut or torn was
//! never followed by its signature, and is dropped.

use super::context::{Height, ValueId};
use super::limits;
use crate::Error;
use malachite::app::types::core::{NilOrVal, Round};
use muster_identity::sha256;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const RECORD: usize = 50;

/// What is signed of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Step {
    Proposal = 1,
    Prevote = 2,
    Precommit = 3,
}

type Signed = BTreeMap<(u32, Step), NilOrVal<ValueId>>;

/// The file and what it says of the last height.
#[derive(Debug)]
pub(crate) struct SignState {
    path: PathBuf,
    file: File,
    bytes: u64,
    height: Height,
    signed: Signed,
    /// Nothing is signed below this height.
    from: Height,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Withheld {
    #[error("nothing is signed before height {0}")]
    Early(Height),
    #[error("height {0} was signed already")]
    Lower(Height),
    #[error("this round or a later one was signed already")]
    LowerRound,
    #[error("another value was signed in this step")]
    Other,
    #[error("what was signed cannot be written down: {0}")]
    Io(#[from] io::Error),
}

impl SignState {
    /// Opens the file, or makes it. Nothing is signed below `from`.
    pub(crate) fn open(path: &Path, from: Height) -> Result<Self, Error> {
        Self::read(path, from).map_err(|e| {
            Error::operator(
                format!("{}: what this validator signed cannot be read: {e}", path.display()),
                "mend the disk; never delete this file while the node is a validator",
            )
        })
    }

    fn read(path: &Path, from: Height) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (mut height, mut signed) = (Height(0), Signed::new());
        let mut good = 0;
        for record in bytes.chunks(RECORD) {
            let Some((h, round, step, value)) = parse(record) else { break };
            if h > height {
                (height, signed) = (h, Signed::new());
            }
            if h == height {
                signed.insert((round, step), value);
            }
            good += RECORD as u64;
        }
        if bytes.len() as u64 >= good + RECORD as u64 * 2 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the record at byte {good} is damaged, and others follow it"),
            ));
        }
        file.set_len(good)?;
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        sync_folder(path)?;
        Ok(Self { path: path.to_owned(), file, bytes: good, height, signed, from })
    }

    /// The height of the last signature.
    pub(crate) fn height(&self) -> Height {
        self.height
    }

    /// From now on nothing is signed below `from`.
    pub(crate) fn not_before(&mut self, from: Height) {
        self.from = self.from.max(from);
    }

    /// Whether this may be signed. If so it is on the disk when this returns.
    pub(crate) fn allow(
        &mut self,
        height: Height,
        round: Round,
        step: Step,
        value: NilOrVal<ValueId>,
    ) -> Result<(), Withheld> {
        let round = round.as_u32().ok_or(Withheld::LowerRound)?;
        if height < self.from {
            return Err(Withheld::Early(self.from));
        }
        if height < self.height {
            return Err(Withheld::Lower(self.height));
        }
        if height == self.height {
            match self.signed.get(&(round, step)) {
                Some(before) if *before == value => return Ok(()),
                Some(_) => return Err(Withheld::Other),
                None => {}
            }
            if self.signed.last_key_value().is_some_and(|((last, _), _)| *last > round) {
                return Err(Withheld::LowerRound);
            }
        }
        if height > self.height && self.bytes >= limits::SIGN_STATE_BYTES {
            self.renew()?;
        }
        self.append(&record(height, round, step, &value))?;
        if height > self.height {
            (self.height, self.signed) = (height, Signed::new());
        }
        self.signed.insert((round, step), value);
        Ok(())
    }

    /// A record that was not written whole must not stand before the next one.
    fn append(&mut self, record: &[u8; RECORD]) -> io::Result<()> {
        let written = self.file.write_all(record).and_then(|()| self.file.sync_data());
        if written.is_err() {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return written;
        }
        self.bytes += RECORD as u64;
        Ok(())
    }

    /// Writes the file anew with the last height alone.
    fn renew(&mut self) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
        for ((round, step), value) in &self.signed {
            file.write_all(&record(self.height, *round, *step, value))?;
        }
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        sync_folder(&self.path)?;
        self.bytes = (self.signed.len() * RECORD) as u64;
        self.file = file;
        Ok(())
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn record(height: Height, round: u32, step: Step, value: &NilOrVal<ValueId>) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&height.0.to_be_bytes());
    record[8..12].copy_from_slice(&round.to_be_bytes());
    record[12] = step as u8;
    if let NilOrVal::Val(id) = value {
        record[13] = 1;
        record[14..46].copy_from_slice(&id.0);
    }
    let check = sha256(&[&record[..46]]);
    record[46..].copy_from_slice(&check[..4]);
    record
}

fn parse(record: &[u8]) -> Option<(Height, u32, Step, NilOrVal<ValueId>)> {
    let record: &[u8; RECORD] = record.try_into().ok()?;
    if sha256(&[&record[..46]])[..4] != record[46..] {
        return None;
    }
    let step = match record[12] {
        1 => Step::Proposal,
        2 => Step::Prevote,
        3 => Step::Precommit,
        _ => return None,
    };
    let value = match record[13] {
        0 => NilOrVal::Nil,
        _ => NilOrVal::Val(ValueId(record[14..46].try_into().ok()?)),
    };
    let height = u64::from_be_bytes(record[..8].try_into().ok()?);
    Some((Height(height), u32::from_be_bytes(record[8..12].try_into().ok()?), step, value))
}

#[cfg(test)]
mod tests;
