//! Copies of a node's files while it runs.

use crate::Error;
use crate::folder::{DIRECTORY, LEDGER, SIGNED_HEAD, private};
use crate::store::sqlite::{Snapshot, copy_file};
use muster_ledger::{Chain, Genesis};
use std::fs::File;
use std::path::Path;

/// What a copy of a ledger holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Log entries.
    pub size: u64,
    /// Height of the last block.
    pub height: u64,
    /// Time of the last block, in milliseconds since 1970.
    pub time: u64,
    /// Root of the log.
    pub log_root: [u8; 32],
    /// Root of the state.
    pub state_root: [u8; 32],
}

/// The files of a node's folder that a backup holds, in the order in which they are copied. The
/// ledger comes first: a private directory that is younger than its ledger has serial numbers
/// without leaves, which hold nobody up; one that is older would lack serial numbers of leaves.
pub const COPIED: [&str; 2] = [LEDGER, DIRECTORY];

/// Copies the ledger and the private directory of a folder, whose node may be running and may go
/// on writing: each copy is the file as it stood at one moment. Nothing else is copied, neither
/// keys nor what the node signed last. `to` is there and has neither file.
pub async fn copy(dir: &Path, genesis: &Genesis, to: &Path) -> Result<Copied, Error> {
    if !dir.join(LEDGER).exists() && dir.join(SIGNED_HEAD).exists() {
        return Err(Error::operator(
            format!("{} has no ledger.db, though a node ran there", dir.display()),
            "if it keeps its ledger in PostgreSQL (--store), copy that database with pg_dump",
        ));
    }
    for name in COPIED {
        let (from, target) = (dir.join(name), to.join(name));
        // Made beforehand, so that nobody else may read it at any moment.
        private().create_new(true).open(&target).map_err(|e| Error::file(&target, &e))?;
        copy_file(&from, &target).await?;
        let synced = File::open(&target).and_then(|file| file.sync_all());
        synced.map_err(|e| Error::file(&target, &e))?;
    }
    let synced = File::open(to).and_then(|folder| folder.sync_all());
    synced.map_err(|e| Error::file(to, &e))?;
    look(to, genesis).await
}

/// What the copies in a folder hold, by what they say themselves: nothing is replayed.
pub async fn look(dir: &Path, genesis: &Genesis) -> Result<Copied, Error> {
    let mut snapshot = Snapshot::open(&dir.join(LEDGER), &dir.join(DIRECTORY)).await?;
    let network = snapshot.meta().await?.into_iter().find(|(key, _)| key == b"network");
    let last = snapshot.last_block().await?;
    snapshot.close().await?;
    if network.is_none_or(|(_, hash)| hash != genesis.network().0) {
        return Err(Error::operator(
            format!("{} belongs to another network", dir.join(LEDGER).display()),
            "give the genesis file of the network",
        ));
    }
    match last {
        Some(block) => Ok(Copied {
            size: block.size,
            height: block.height,
            time: block.time.0,
            log_root: block.log_root,
            state_root: block.state_root,
        }),
        None => {
            let head = Chain::new(genesis).head(genesis.time).map_err(Error::damaged)?;
            Ok(Copied {
                size: 0,
                height: 0,
                time: genesis.time.0,
                log_root: head.log_root,
                state_root: head.state_root,
            })
        }
    }
}
