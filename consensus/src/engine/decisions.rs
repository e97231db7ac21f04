//! The engine's own file of proposals: decided ones with their certificates, which nodes that lag
//! ask for, and undecided ones, which a node that voted for them must still have after a crash.

use super::codec::Wire;
use super::context::{Ctx, Height, PartsHead, ValueId};
use super::limits;
use crate::Error;
use malachite_sync::RawDecidedValue;
use muster_identity::cbor::{Reader, Writer};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

const DECIDED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("decided");
const UNDECIDED: TableDefinition<'_, (u64, [u8; 32]), &[u8]> = TableDefinition::new("undecided");

/// Values are read once each, so a cache is of little use.
const CACHE_BYTES: usize = 4 << 20;

/// A proposal that may be decided. Without a signature in its head it was not received from its
/// proposer and cannot be sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undecided {
    pub(crate) head: PartsHead,
    pub(crate) bytes: Vec<u8>,
}

impl Wire for Undecided {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        self.head.write(w);
        w.bytes(&self.bytes);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        r.tuple(2)?;
        let head = PartsHead::read(r)?;
        Ok(Self { head, bytes: r.bytes(limits::PROPOSAL_BYTES)?.to_vec() })
    }
}

/// The file. A handle: clones share it.
#[derive(Clone)]
pub(crate) struct Decisions(Arc<File>);

struct File {
    path: PathBuf,
    db: Database,
    /// Height and bytes of what is kept, without a gap.
    kept: Mutex<VecDeque<(u64, u64)>>,
}

impl Decisions {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let (db, kept) = open(path).map_err(|e| fault(path, &e))?;
        let (path, kept) = (path.to_owned(), Mutex::new(kept));
        Ok(Self(Arc::new(File { path, db, kept })))
    }

    /// Works on the disk without holding up the runtime.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || work(&this.0)).await {
            Ok(result) => result.map_err(|e| fault(&self.0.path, &e)),
            Err(_) => Err(Error::Closing),
        }
    }

    /// The lowest and the highest height that is kept.
    pub(crate) fn span(&self) -> Option<(u64, u64)> {
        let kept = self.0.kept();
        Some((kept.front()?.0, kept.back()?.0))
    }

    /// Keeps a proposal that may be voted for.
    pub(crate) async fn keep(&self, proposal: Arc<Undecided>) -> Result<(), Error> {
        self.on_disk(move |file| {
            let write = file.db.begin_write()?;
            let key = (proposal.head.height.0, proposal.head.value.0);
            write.open_table(UNDECIDED)?.insert(key, proposal.to_bytes().as_slice())?;
            Ok(write.commit()?)
        })
        .await
    }

    /// Every proposal that was kept and not decided, from a height on.
    pub(crate) async fn undecided(&self, from: Height) -> Result<Vec<Undecided>, Error> {
        self.on_disk(move |file| {
            let table = file.db.begin_read()?.open_table(UNDECIDED)?;
            let mut all = Vec::new();
            for item in table.range((from.0, [0; 32])..)? {
                all.extend(Undecided::from_bytes(item?.1.value()).ok());
            }
            Ok(all)
        })
        .await
    }

    /// Keeps what was decided, and no undecided proposal of that height and lower ones.
    pub(crate) async fn decide(&self, value: RawDecidedValue<Ctx>) -> Result<(), Error> {
        self.on_disk(move |file| {
            let height = value.height().0;
            let bytes = value.to_bytes();
            let mut kept = file.kept().clone();
            // A height that was kept already and not committed is written again.
            kept.pop_back_if(|(last, _)| *last == height);
            // The span has no gap: the ledger may have advanced by pages of the log meanwhile.
            let gap = kept.back().is_some_and(|(last, _)| last + 1 != height);
            let mut gone: Vec<u64> = Vec::new();
            if gap {
                gone.extend(kept.drain(..).map(|(old, _)| old).filter(|old| *old != height));
            }
            kept.push_back((height, bytes.len() as u64));
            let mut total: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
            while kept.len() > limits::DECISIONS
                || (total > limits::DECISIONS_BYTES && kept.len() > 1)
            {
                if let Some((old, bytes)) = kept.pop_front() {
                    total -= bytes;
                    gone.push(old);
                }
            }
            let write = file.db.begin_write()?;
            {
                let mut decided = write.open_table(DECIDED)?;
                decided.insert(height, bytes.as_slice())?;
                for old in gone {
                    decided.remove(old)?;
                }
                let mut undecided = write.open_table(UNDECIDED)?;
                undecided.retain_in(..=(height, [0xff; 32]), |_, _| false)?;
            }
            write.commit()?;
            *file.kept() = kept;
            Ok(())
        })
        .await
    }

    /// Decided proposals from the start of a range, as many as one answer may have.
    pub(crate) async fn decided(
        &self,
        range: RangeInclusive<u64>,
    ) -> Result<Vec<RawDecidedValue<Ctx>>, Error> {
        self.on_disk(move |file| {
            let table = file.db.begin_read()?.open_table(DECIDED)?;
            let (mut values, mut bytes, mut next) = (Vec::new(), 0, *range.start());
            for item in table.range(range)? {
                let (height, value) = item?;
                bytes += value.value().len();
                let enough = values.len() >= limits::ANSWER_HEIGHTS || bytes > limits::ANSWER_BYTES;
                if height.value() != next || (enough && !values.is_empty()) {
                    break;
                }
                let Ok(value) = RawDecidedValue::from_bytes(value.value()) else { break };
                values.push(value);
                next += 1;
            }
            Ok(values)
        })
        .await
    }

    /// The bytes of a proposal that was kept.
    pub(crate) async fn find(
        &self,
        height: Height,
        id: ValueId,
    ) -> Result<Option<Undecided>, Error> {
        let all = self.undecided(height).await?;
        Ok(all.into_iter().find(|p| p.head.height == height && p.head.value == id))
    }
}

impl File {
    fn kept(&self) -> MutexGuard<'_, VecDeque<(u64, u64)>> {
        self.kept.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn open(path: &Path) -> Result<(Database, VecDeque<(u64, u64)>), redb::Error> {
    let db = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    let write = db.begin_write()?;
    let mut kept: VecDeque<(u64, u64)> = VecDeque::new();
    {
        write.open_table(UNDECIDED)?;
        for item in write.open_table(DECIDED)?.iter()? {
            let (height, value) = item?;
            kept.push_back((height.value(), value.value().len() as u64));
        }
    }
    write.commit()?;
    Ok((db, kept))
}

fn fault(path: &Path, error: &redb::Error) -> Error {
    Error::operator(
        format!("{}: the engine's proposals: {error}", path.display()),
        "see that the disk has room and that no other node uses this folder",
    )
}

#[cfg(test)]
mod tests;
