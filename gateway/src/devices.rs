//! Device parts on disk: those of devices that once proved themselves here, and those that were
//! loaded beforehand. They are checked against the roll before each first use, so the file is
//! believed no more than a stranger.

use crate::{Error, limits};
use muster_identity::Did;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::DevicePart;
use redb::{Builder, TableDefinition};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

/// Parts by digest of the DID, behind a byte that says whether they were loaded beforehand.
const PARTS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("parts");
/// Those that were learned, in that order: the first makes room. Preloaded ones are not here.
const LEARNED: TableDefinition<'_, u64, [u8; 32]> = TableDefinition::new("learned");
/// Bytes of the file that are kept in memory.
const CACHE: usize = 16 << 20;

/// The file, until it is closed.
pub(crate) struct Devices(RwLock<Option<Open>>);

/// The file, and the thread that writes what is learned.
struct Open {
    file: Arc<File>,
    learn: SyncSender<(Did, Vec<u8>)>,
    writer: JoinHandle<()>,
}

struct File {
    path: PathBuf,
    database: Database,
    most_learned: u64,
}

impl Devices {
    /// Opens or makes it.
    pub(crate) fn open(dir: &Path, most_learned: u64) -> Result<Self, Error> {
        let path = dir.join("devices.redb");
        let damaged = |error: redb::Error| Error::damaged(&path, error);
        let database = Builder::new().set_cache_size(CACHE).create(&path);
        let database = database.map_err(|e| damaged(e.into()))?;
        let file = Arc::new(File { path: path.clone(), database, most_learned });
        file.add(&[], true).map_err(damaged)?;
        let (learn, learned) = sync_channel(limits::LEARNING);
        let writer = file.clone();
        let writer = std::thread::Builder::new()
            .name("muster-devices".into())
            .spawn(move || writer.write_learned(&learned))
            .map_err(Error::folder(&path))?;
        Ok(Self(RwLock::new(Some(Open { file, learn, writer }))))
    }

    /// The part of a device. A short look at a file that is mostly in memory: it is not worth a
    /// change of thread.
    pub(crate) fn get(&self, did: &Did) -> Option<DevicePart> {
        let file = self.file()?;
        let bytes = file.get(did).unwrap_or_else(|error| {
            tracing::warn!(path = %file.path.display(), %error, "devices cannot be read");
            None
        })?;
        DevicePart::from_cbor(&bytes).ok()
    }

    /// Keeps the part of a device that proved itself, soon. Under a flood some are not kept; they
    /// come again.
    pub(crate) fn learn(&self, did: Did, part: &DevicePart) {
        if let Some(open) = self.read().as_ref().filter(|open| open.file.most_learned > 0)
            && let Err(TrySendError::Disconnected(_)) = open.learn.try_send((did, part.to_cbor()))
        {
            tracing::error!("nothing is learned any more: restart the gateway");
        }
    }

    /// Keeps parts loaded beforehand, durably; they never make room for others.
    pub(crate) fn preload(&self, parts: &[(Did, Vec<u8>)]) -> Result<(), Error> {
        let Some(file) = self.file() else { return Err(Error::Closed) };
        let damaged = |error| Error::damaged(&file.path, error);
        let new = parts.iter().filter(|(did, _)| !matches!(file.get(did), Ok(Some(_)))).count();
        if file.len().map_err(damaged)? + new as u64 > limits::PRELOADED {
            return Err(Error::TooManyDevices { most: limits::PRELOADED });
        }
        file.add(parts, false).map_err(damaged)
    }

    /// How many are held.
    pub(crate) fn len(&self) -> u64 {
        self.file().map_or(0, |file| file.len().unwrap_or_default())
    }

    /// Writes what waits and lets go of the file.
    pub(crate) fn close(&self) {
        let open = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Open { file, learn, writer }) = open {
            drop((file, learn));
            let _ = writer.join();
        }
    }

    fn file(&self) -> Option<Arc<File>> {
        self.read().as_ref().map(|open| open.file.clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Open>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.close();
    }
}

impl File {
    fn get(&self, did: &Did) -> Result<Option<Vec<u8>>, redb::Error> {
        let table = self.database.begin_read()?.open_table(PARTS)?;
        Ok(table.get(did.digest())?.and_then(|kept| Some(kept.value().get(1..)?.to_vec())))
    }

    fn len(&self) -> Result<u64, redb::Error> {
        Ok(self.database.begin_read()?.open_table(PARTS)?.len()?)
    }

    fn add(&self, parts: &[(Did, Vec<u8>)], learned: bool) -> Result<(), redb::Error> {
        let writing = self.database.begin_write()?;
        {
            let (mut all, mut order) = (writing.open_table(PARTS)?, writing.open_table(LEARNED)?);
            let mut next = order.last()?.map_or(0, |(last, _)| last.value() + 1);
            for (did, part) in parts {
                let known = all.get(did.digest())?.is_some();
                if learned && known {
                    continue;
                }
                let kept = [&[u8::from(!learned)], part.as_slice()].concat();
                all.insert(did.digest(), kept.as_slice())?;
                if learned {
                    order.insert(next, did.digest())?;
                    next += 1;
                }
            }
            while order.len()? > self.most_learned {
                let Some((_, oldest)) = order.pop_first()? else { break };
                let oldest = oldest.value();
                let loaded = all.get(oldest)?.is_some_and(|kept| kept.value().starts_with(&[1]));
                if !loaded {
                    all.remove(oldest)?;
                }
            }
        }
        writing.commit()?;
        Ok(())
    }

    /// Writes what comes, many at a time: what waits while a commit lasts is the next one.
    fn write_learned(&self, learned: &Receiver<(Did, Vec<u8>)>) {
        while let Ok(first) = learned.recv() {
            let parts: Vec<_> = std::iter::once(first).chain(learned.try_iter()).collect();
            if let Err(error) = self.add(&parts, true) {
                tracing::warn!(path = %self.path.display(), %error, "devices cannot be kept");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(n: u8) -> (Did, Vec<u8>) {
        let batch = muster_ledger::BatchId([9; 32]);
        let part = DevicePart { batch, index: n.into(), leaf: vec![n], path: Vec::new() };
        (Did::from_digest([n; 32]), part.to_cbor())
    }

    fn index(devices: &Devices, n: u8) -> Option<u64> {
        devices.get(&Did::from_digest([n; 32])).map(|part| part.index)
    }

    #[test]
    fn the_oldest_learned_makes_room_and_preloaded_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let devices = Devices::open(dir.path(), 3).unwrap();
        devices.preload(&[part(1), part(2)]).unwrap();
        let learn = |n| devices.learn(part(n).0, &DevicePart::from_cbor(&part(n).1).unwrap());
        // Learned first, loaded then: it stays.
        learn(3);
        while devices.len() < 3 {
            std::thread::yield_now();
        }
        devices.preload(&[part(3)]).unwrap();
        (10..20).for_each(learn);
        // Known already: not learned twice.
        learn(1);
        devices.close();
        drop(devices);
        let devices = Devices::open(dir.path(), 3).unwrap();
        assert_eq!(devices.len(), 6);
        for n in [1, 2, 3, 17, 18, 19] {
            assert_eq!(index(&devices, n), Some(n.into()));
        }
        assert_eq!(index(&devices, 16), None);
    }

    #[test]
    fn a_file_that_is_none_is_damage_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("devices.redb"), [7; 5_000]).unwrap();
        let error = Devices::open(dir.path(), 3).err().unwrap().to_string();
        assert!(error.contains("devices.redb"), "{error}");
    }
}
