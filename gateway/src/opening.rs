//! Reading a folder back: from its snapshot if it has one that is true, else from the first entry.

use crate::Error;
use crate::candidate::Candidate;
use crate::folder::Folder;
use crate::threads::Threads;
use muster_ledger::{Chain, Checkpoint, Genesis, QuorumCheckpoint, Snapshot};

/// The ledger, its head, where its entries end, and how many of them a snapshot covers.
type Opened = (Candidate, Option<QuorumCheckpoint>, u64, u64);

/// Recomputes what a folder holds. `chain` is the ledger before its first operation, `note` the
/// checkpoint that was verified last.
pub(crate) fn read_back(
    folder: &Folder,
    chain: Chain,
    genesis: &Genesis,
    note: Option<&Checkpoint>,
) -> Result<Opened, Error> {
    let path = folder.snapshot_path();
    let why = match (folder.kept()?, note) {
        // Written before anything that it is of: the folder still holds nothing.
        (Some(_), None) if folder.base() == 0 => None,
        (Some(kept), _) => match kept.parts(folder.base()) {
            Some((offset, snapshot)) => {
                match from_snapshot(folder, genesis, note, offset, snapshot) {
                    Ok(opened) => return Ok(opened),
                    Err(why) => Some(why.to_string()),
                }
            }
            None => Some("it is no snapshot of this log".into()),
        },
        (None, _) => None,
    };
    if folder.base() > 0 {
        let why = why.unwrap_or_else(|| "it is not there, and the log begins after it".into());
        return Err(Error::damaged(&path, why));
    }
    if let Some(why) = why {
        tracing::warn!(?path, why, "the snapshot is of no use; applying every operation");
    }
    let (mut verified, count) = (Candidate::kept(chain), note.map_or(0, |note| note.head().size));
    let end = put(folder, &mut verified, folder.start(), count)?;
    Ok((verified.resume(None), confirm(folder, &verified, note)?, end, 0))
}

fn from_snapshot(
    folder: &Folder,
    genesis: &Genesis,
    note: Option<&Checkpoint>,
    offset: u64,
    snapshot: &[u8],
) -> Result<Opened, Error> {
    let damaged = |why: &str| Error::damaged(&folder.snapshot_path(), why);
    let snapshot = Snapshot::parse(snapshot).map_err(|e| damaged(&e.to_string()))?;
    let checked = snapshot.check(&genesis.network(), &genesis.validators, &Threads);
    let (chain, quorum) = checked.map_err(|e| damaged(&e.to_string()))?;
    let covered = chain.size();
    let size = note.map_or(covered, |note| note.head().size);
    if covered < folder.base() || covered > size || !folder.reaches(offset) {
        return Err(damaged("it does not belong to this log"));
    }
    let mut verified = Candidate::kept(chain);
    let end = put(folder, &mut verified, offset, size - covered)?;
    let head = confirm(folder, &verified, note)?.unwrap_or(quorum);
    Ok((verified.resume(None), Some(head), end, covered))
}

/// Puts entries of the log to a ledger; says where they end.
fn put(folder: &Folder, to: &mut Candidate, from: u64, count: u64) -> Result<u64, Error> {
    let before = to.size();
    let (found, end) = folder.read(from, count, |entry| to.push(entry))?;
    if let Some(fault) = to.fault() {
        return Err(Error::damaged(&folder.log_path(), fault));
    }
    if found < count {
        let (found, size) = (before + found, before + count);
        let why = format!("{found} entries, the checkpoint was verified over {size}");
        return Err(Error::damaged(&folder.log_path(), why));
    }
    Ok(end)
}

/// Compares what the entries give with the checkpoint, signatures of the quorum included.
fn confirm(
    folder: &Folder,
    verified: &Candidate,
    note: Option<&Checkpoint>,
) -> Result<Option<QuorumCheckpoint>, Error> {
    let head = note.map(|note| verified.chain().check(note)).transpose();
    head.map_err(|e| Error::damaged(&folder.checkpoint_path(), e))
}
