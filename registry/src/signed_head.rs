//! The signing state: never two heads of one size. It is on disk before the signature exists,
//! and it is part of no backup.

use crate::Error;
use crate::folder::private;
use data_encoding::BASE64;
use muster_ledger::{Head, Time};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What this node signed last, and where that is written down.
#[derive(Debug)]
pub(crate) struct SignedHead {
    path: PathBuf,
    last: Option<Head>,
}

impl SignedHead {
    /// Reads the file; a new folder has none.
    pub(crate) fn read(path: PathBuf) -> Result<Self, Error> {
        let last = match fs::read_to_string(&path) {
            Ok(text) => Some(parse(&text).ok_or_else(|| {
                Error::operator(
                    format!("{} cannot be read", path.display()),
                    "it says what this node signed last; restore it, do not delete it",
                )
            })?),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(Error::file(&path, &e)),
        };
        Ok(Self { path, last })
    }

    /// What was signed last.
    pub(crate) fn last(&self) -> Option<&Head> {
        self.last.as_ref()
    }

    /// Whether this head may be signed: never fewer entries, never another ledger of the same
    /// size, never an earlier time.
    pub(crate) fn allows(&self, head: &Head) -> Result<(), Error> {
        let Some(last) = &self.last else { return Ok(()) };
        let why = if head.network != last.network {
            "of another network"
        } else if head.size < last.size {
            "with more entries than the ledger has now"
        } else if head.size == last.size && !head.same_ledger(last) {
            "with the same number of entries and other roots"
        } else if head.time < last.time {
            "with a later time"
        } else {
            return Ok(());
        };
        Err(Error::operator(
            format!(
                "this node signed a head {why} (then: size {}, time {}; now: size {}, time {})",
                last.size, last.time.0, head.size, head.time.0
            ),
            "an older copy of ledger.db was put back, and signing it would fork the ledger: \
             restore the newest copy",
        ))
    }

    /// Writes down that this head is about to be signed, durably.
    pub(crate) fn write(&mut self, head: &Head) -> Result<(), Error> {
        self.allows(head)?;
        replace(&self.path, head.body().as_bytes()).map_err(|e| Error::file(&self.path, &e))?;
        self.last = Some(*head);
        Ok(())
    }
}

/// Replaces a file so that after a power failure there is the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = private().truncate(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads the text of a note that has no signatures yet.
pub(crate) fn parse(body: &str) -> Option<Head> {
    let mut lines = body.lines();
    let network = lines.next()?.strip_prefix("muster/")?.parse().ok()?;
    let size = lines.next()?.parse().ok()?;
    let log_root = hash(lines.next()?)?;
    let height = lines.next()?.strip_prefix("height ")?.parse().ok()?;
    let time = Time(lines.next()?.strip_prefix("time ")?.parse().ok()?);
    let state_root = hash(lines.next()?.strip_prefix("state ")?)?;
    let validators = hash(lines.next()?.strip_prefix("validators ")?)?;
    let head = Head { network, size, log_root, height, time, state_root, validators };
    (head.body() == body).then_some(head)
}

fn hash(text: &str) -> Option<[u8; 32]> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}
