//! Bounds of what one question may cost, each with its reason.

/// Devices, by batches, below which a search with a text reads all of them: some 5 ms.
pub(super) const GATHERED: u64 = 1_024;

/// Rows that one page looks at before it says how to go on: some 10 ms.
pub(super) const LOOKED_AT: u64 = 2_048;

/// What looking into a batch costs, in rows.
pub(super) const BATCH_LOOKS: u64 = 16;

/// Devices that are read by one statement: its own cost does not count any more.
pub(super) const TOGETHER: usize = 512;

/// Devices of one page of an export or a selection.
pub(super) const EXPORTED: usize = 512;

/// Leaves that one transaction of the index takes in: sorted, they touch pages of the index of
/// keys more than once.
pub(super) const INDEXED: u64 = 1 << 16;

/// Leaves that are read at once for it.
pub(super) const INDEX_PAGE: u64 = 4_096;

/// Entries that the index takes in at once.
pub(super) const INDEX_ENTRIES: u64 = 256;
