//! The snapshot that a follower keeps of its own roll, so that a restart need not apply every
//! operation again.

use crate::folder::{Kept, replace};
use crate::{Roll, limits};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Writes the snapshot anew when it has fallen behind, on a thread of its own. The old one stays
/// until the new one is whole: a crash at any moment leaves one of them.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    /// Entries before the first of the log.
    base: u64,
    /// Entries under the snapshot that was written last, or tried.
    size: u64,
    work: Option<JoinHandle<()>>,
}

impl Keeper {
    /// A keeper of a file that covers so many entries, beside a log with this base.
    pub(crate) fn new(path: PathBuf, base: u64, size: u64) -> Self {
        Self { path, base, size, work: None }
    }

    /// Writes a roll down if that is due. Entries after it begin at this byte of the log.
    pub(crate) fn keep(&mut self, roll: &Arc<Roll>, offset: u64) {
        let share = roll.chain().state().len() as u64 / limits::SNAPSHOT_SHARE;
        let due = self.size.saturating_add(limits::SNAPSHOT_EVERY.max(share));
        let at_work = self.work.as_ref().is_some_and(|work| !work.is_finished());
        if roll.size() < due || at_work {
            return;
        }
        self.size = roll.size();
        let (path, roll) = (self.path.clone(), roll.clone());
        let header = Kept::header(self.base, offset);
        let work = thread::Builder::new().name("snapshot".into()).spawn(move || {
            if let Err(error) = write(&path, &roll, &header) {
                tracing::warn!(%error, "no snapshot: the next start applies more operations");
            }
        });
        match work {
            Ok(work) => self.work = Some(work),
            Err(error) => tracing::warn!(%error, "no snapshot: no thread for it"),
        }
    }
}

/// A folder is not let go of while somebody writes in it.
impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let _ = work.join();
        }
    }
}

fn write(path: &Path, roll: &Roll, header: &[u8]) -> io::Result<()> {
    let snapshot = roll.chain().snapshot(roll.checkpoint()).map_err(io::Error::other)?;
    let Some(snapshot) = snapshot else { return Ok(()) };
    replace(path, &[header, &snapshot])
}
