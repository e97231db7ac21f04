use crate::claims::Claim;
use muster_api::{Row, RowVerdict};
use muster_identity::Did;
use muster_ledger::merkle::{Hash, leaf_hash};
use muster_ledger::{BatchId, GrantId, Leaf, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A block as the store keeps it: where the log stood after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockRow {
    pub(crate) height: u64,
    pub(crate) time: Time,
    pub(crate) size: u64,
    pub(crate) log_root: [u8; 32],
    pub(crate) state_root: [u8; 32],
}

/// Everything one block writes.
#[derive(Debug)]
pub(crate) struct Commit {
    /// Place of the first entry.
    pub(crate) first: u64,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) block: BlockRow,
    pub(crate) state: Vec<(Vec<u8>, Arc<[u8]>)>,
    /// Leaves that leave uploads, before the keys are written.
    pub(crate) evict: Vec<(u64, Claim)>,
    /// Keys that entered by an operation.
    pub(crate) keys: Vec<Claim>,
    pub(crate) flips: Vec<Flip>,
    /// Which entry concerns whom.
    pub(crate) touched: Vec<([u8; 32], u64)>,
}

/// A sealed upload that becomes a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flip {
    /// The upload's number, from now on the batch's.
    pub(crate) upload: u64,
    pub(crate) batch: BatchId,
    pub(crate) count: u64,
    pub(crate) root: [u8; 32],
}

/// The leaf of an enrolled device.
#[derive(Debug, Clone)]
pub(crate) struct LeafRow {
    pub(crate) batch: BatchId,
    /// The batch's number in the store.
    pub(crate) number: u64,
    pub(crate) leaf: Vec<u8>,
}

/// What the private directory says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryRow {
    pub(crate) name: Claim,
    pub(crate) serial: String,
    pub(crate) lot: Option<String>,
    /// Number of the upload that brought it.
    pub(crate) upload: u64,
    /// Number of the row in its file.
    pub(crate) row: u64,
}

/// An upload about to be opened.
#[derive(Debug, Clone)]
pub(crate) struct NewUpload {
    /// SHA-256 of the upload's id: the id itself is a right, and stays with its holder.
    pub(crate) token: [u8; 32],
    /// SHA-256 of the signed request, which opens one upload.
    pub(crate) request: [u8; 32],
    /// When the request cannot be used any more.
    pub(crate) valid_until: Time,
    pub(crate) organisation: Did,
    pub(crate) grant: GrantId,
    pub(crate) model: String,
    pub(crate) rows: u64,
    pub(crate) rehearsal: bool,
    pub(crate) opened: Time,
    pub(crate) expires: Time,
}

/// An open upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) number: u64,
    /// SHA-256 of its id, or the name of another node's leaves.
    pub(crate) token: [u8; 32],
    pub(crate) organisation: Did,
    pub(crate) grant: GrantId,
    pub(crate) model: String,
    /// How many rows it may stage.
    pub(crate) rows: u64,
    pub(crate) rehearsal: bool,
    pub(crate) opened: Time,
    pub(crate) expires: Time,
    /// When rows came last.
    pub(crate) active: Time,
    /// How many it has staged.
    pub(crate) staged: u64,
    /// Grows with every change of what is staged.
    pub(crate) version: u64,
    /// Count and root, once it is sealed.
    pub(crate) sealed: Option<(u64, [u8; 32])>,
}

impl Upload {
    /// Whether it holds leaves that another node brought.
    pub(crate) fn is_foreign(&self) -> bool {
        crate::foreign::is_foreign(&self.token)
    }
}

/// A row whose leaf was decoded and whose evidence was checked.
#[derive(Debug, Clone)]
pub(crate) struct CheckedRow {
    pub(crate) row: Row,
    pub(crate) did: Did,
    /// Of its leaf.
    pub(crate) hash: Hash,
    /// The claim of its DID, by which the store knows it.
    pub(crate) name: Claim,
    /// The claim of its key, if that is another.
    pub(crate) key: Option<Claim>,
}

impl CheckedRow {
    pub(crate) fn new(row: Row, leaf: &Leaf) -> Self {
        let (did, hash) = (leaf.did(), leaf_hash(&row.leaf));
        let (name, key) = Claim::of_inception(&did, &leaf.inception);
        Self { row, did, hash, name, key }
    }

    /// What it claims.
    pub(crate) fn claims(&self) -> impl Iterator<Item = Claim> + use<> {
        [self.name].into_iter().chain(self.key)
    }
}

/// A leaf of an upload or batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedLeaf {
    pub(crate) name: Claim,
    pub(crate) leaf: Vec<u8>,
}

/// A serial number on its way into the directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Serial {
    pub(crate) serial: String,
    /// Number of the row, so that of two rows the earlier one keeps the serial number.
    pub(crate) row: u64,
    pub(crate) name: Claim,
}

/// A serial number that another device has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clash {
    pub(crate) ours: Serial,
    /// The device that has it.
    pub(crate) name: Claim,
    /// The upload or batch of that device; none if it has the serial number no longer.
    pub(crate) upload: Option<u64>,
}

/// What the store knows about clashes of serial numbers.
#[derive(Debug)]
pub(crate) struct Clashes {
    /// The upload that is sealed.
    pub(crate) upload: Upload,
    pub(crate) clashes: Vec<Clash>,
    /// Where the numbers named here lead.
    pub(crate) places: BTreeMap<u64, Place>,
}

/// What to do about clashes.
#[derive(Debug, Default)]
pub(crate) struct Settlement {
    /// Leaves that leave another upload.
    pub(crate) evict: Vec<(u64, Claim)>,
    /// Serial numbers that go over to rows of this upload.
    pub(crate) take: Vec<Serial>,
    /// Rows that leave this upload.
    pub(crate) refuse: Vec<Claim>,
    pub(crate) verdicts: Vec<RowVerdict>,
}

/// Where a number leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// To a live batch.
    Live(BatchId),
    /// To an open upload.
    Staged(Upload),
}

/// What the store knows about rows that are about to be staged.
#[derive(Debug)]
pub(crate) struct Found {
    /// The upload they are for, if it is still there.
    pub(crate) upload: Option<Upload>,
    /// Numbers of the batches and uploads that hold their DIDs and keys.
    pub(crate) claims: BTreeMap<Claim, u64>,
    /// Where all numbers named here lead; one that is missing leads nowhere.
    pub(crate) places: BTreeMap<u64, Place>,
    /// Directory rows of their names.
    pub(crate) by_name: BTreeMap<Claim, DirectoryRow>,
    /// Nobody claims any of them, not even two of them the same.
    pub(crate) fresh: bool,
}

impl Found {
    /// About rows that nobody claims.
    pub(crate) fn fresh(upload: Option<Upload>) -> Self {
        let (claims, places, by_name) = Default::default();
        Self { upload, claims, places, by_name, fresh: true }
    }
}

/// What to do with rows.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Leaves that leave another upload.
    pub(crate) evict: Vec<(u64, Claim)>,
    /// Directory rows without a device.
    pub(crate) forget: Vec<Claim>,
    /// Rows to write, by their place in the request.
    pub(crate) write: Vec<usize>,
    /// They get no row in the private directory.
    pub(crate) leaves_only: bool,
    /// How many more leaves the upload holds afterwards.
    pub(crate) added: u64,
    /// The time.
    pub(crate) now: Time,
    pub(crate) verdicts: Vec<RowVerdict>,
}

impl Plan {
    /// Whether all of so many rows are written and nothing else happens.
    pub(crate) fn writes_all(&self, rows: usize) -> bool {
        self.write.len() == rows && self.evict.is_empty() && self.forget.is_empty()
    }
}
