//! What is kept of uploads under way so that sealing one reads nothing back: the hashes of its
//! leaves, and its serial numbers until they are entered, a share at a time. Whatever is not as
//! it usually is (a restart, a row sent twice, another upload that takes rows over) drops it, and
//! the seal reads the store.

use crate::store::{CheckedRow, Serial};
use muster_identity::Did;
use muster_ledger::merkle::Hash;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows kept over all uploads: two full batches, in 150 MiB, and 20 MiB of serial numbers for each
/// upload under way. Further uploads are sealed from the store.
const ROWS: usize = 2 << 20;

/// Serial numbers entered together. Each share may touch every page of the index once.
const SHARE: usize = 1 << 17;

/// All uploads that are kept.
#[derive(Debug, Default)]
pub(crate) struct Warm(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    kept: BTreeMap<u64, Kept>,
    /// Rows of all of them.
    rows: usize,
}

impl All {
    fn remove(&mut self, upload: u64) -> Option<Kept> {
        let kept = self.kept.remove(&upload)?;
        self.rows -= kept.rows;
        Some(kept)
    }
}

/// Leaves of one request, ascending.
type Part = Vec<(Did, Hash)>;

/// What is kept of one upload.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The version of the upload that this is of.
    pub(crate) version: u64,
    /// Requests arrive in any order.
    parts: Vec<Part>,
    rows: usize,
    /// Serial numbers that are not entered yet.
    pub(crate) serials: Vec<Serial>,
    /// Shares that are being entered just now.
    entering: u32,
    /// All that were entered were nobody's.
    clear: bool,
}

impl Warm {
    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes rows that were just staged, all of them anew. `version`: that of the upload when its
    /// request came. Gives a share of serial numbers to enter, if there is one.
    pub(crate) fn note(
        &self,
        upload: u64,
        version: u64,
        rows: &[CheckedRow],
    ) -> Option<Vec<Serial>> {
        let mut all = self.all();
        if version == 0 && !all.kept.contains_key(&upload) {
            all.kept.insert(upload, Kept { clear: true, ..Kept::default() });
        }
        let part: Part = rows.iter().map(|row| (row.did, row.hash)).collect();
        if all.rows + part.len() > ROWS || !part.is_sorted_by(|a, b| a.0 < b.0) {
            all.remove(upload);
            return None;
        }
        let All { kept, rows: total } = &mut *all;
        let kept = kept.get_mut(&upload)?;
        *total += part.len();
        kept.rows += part.len();
        kept.version += 1;
        kept.parts.push(part);
        kept.serials.extend(rows.iter().map(|row| Serial {
            serial: row.row.serial.clone(),
            row: row.row.number,
            name: row.name,
        }));
        if kept.serials.len() < SHARE {
            return None;
        }
        kept.entering += 1;
        Some(std::mem::take(&mut kept.serials))
    }

    /// Notes that a share was entered, and whether nobody had any of it.
    pub(crate) fn entered(&self, upload: u64, clear: bool) {
        if let Some(kept) = self.all().kept.get_mut(&upload) {
            // What is kept may be newer than the share: then it is not believed.
            kept.clear &= clear && kept.entering > 0;
            kept.entering = kept.entering.saturating_sub(1);
        }
    }

    /// Forgets an upload.
    pub(crate) fn forget(&self, upload: u64) {
        self.all().remove(upload);
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        *self.all() = All::default();
    }

    /// Takes what is kept of an upload of this version, if it is whole.
    pub(crate) fn take(&self, upload: u64, version: u64) -> Option<Kept> {
        let kept = self.all().remove(upload)?;
        (kept.version == version && kept.entering == 0 && kept.clear).then_some(kept)
    }
}

impl Kept {
    /// The leaves in ascending order, if no part reaches into another.
    pub(crate) fn leaves(&mut self) -> Option<std::iter::Flatten<std::vec::IntoIter<Part>>> {
        let mut parts = std::mem::take(&mut self.parts);
        parts.retain(|part| !part.is_empty());
        parts.sort_unstable_by_key(|part| part.first().copied());
        let apart = parts.windows(2).all(|pair| {
            let (before, after) = (pair[0].last(), pair[1].first());
            matches!((before, after), (Some((a, _)), Some((b, _))) if a < b)
        });
        apart.then(|| parts.into_iter().flatten())
    }
}
