//! Bounds of a ledger on its way from one store to another.

/// Rows or entries of one line and one transaction: a commit's own cost does not count any more.
pub(super) const PAGE: u64 = 1_024;

/// Bytes of a line: as many of the longest entries, in base64, take 23 MiB.
pub(super) const LINE_BYTES: u64 = 32 << 20;

/// Tiles that are written at once.
pub(super) const TILES: usize = 64;
