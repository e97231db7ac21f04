//! Bounds of imports at the console, each with its reason.

/// Imports that a node keeps at once, over all people: each may hold files and results on its disk.
pub(crate) const JOBS: usize = 32;

/// Imports of one organisation at once: a line or two, and those who look at what came of them.
pub(crate) const JOBS_OF_ONE: usize = 16;

/// Imports that are read or enrolled at once; further ones wait. Each takes all cores while it reads.
pub(crate) const RUNNING: usize = 2;

/// Files of one import, over all kinds.
pub(crate) const FILES: usize = 64;

/// Bytes of one import: a million entries of a chip vendor, each with its certificates.
pub(crate) const BYTES: u64 = 4 << 30;

/// Bytes of all imports that are kept: a node's disk is for its ledger.
pub(crate) const ALL_BYTES: u64 = 16 << 30;

/// Bytes of one piece of a file: small enough that one which is cut off costs little.
pub(crate) const PIECE: usize = 4 << 20;

/// Seconds for a piece to arrive: 4 MiB over a slow line.
pub(crate) const PIECE_SECONDS: u64 = 60;

/// Pieces that are read at once: 8 bodies of 4 MiB.
pub(crate) const PIECES: usize = 8;

/// How long an import is kept after somebody last changed it, in milliseconds (24 h): as long as
/// the node keeps the rows of an upload.
pub(crate) const KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// How often the node looks for imports that are over, in seconds.
pub(crate) const SWEEP_SECONDS: u64 = 10 * 60;

/// How long a page may take to sign, in seconds: somebody may have to open the browser again.
pub(crate) const SIGN_SECONDS: u64 = 10 * 60;

/// Characters of a file's name that are kept.
pub(crate) const NAME: usize = 80;

/// Rows that need somebody, as they are shown; all are in the results file.
pub(crate) const SHOWN: usize = 20;

/// Characters of a serial number, a reason or a warning that are shown.
pub(crate) const TEXT: usize = 300;

/// Bytes at the beginning of a table that are read for the names of its columns.
pub(crate) const HEADER: u64 = 16 << 10;

/// Columns that are offered to be named.
pub(crate) const COLUMNS: usize = 64;

/// Milliseconds between two pieces of news about one import: faster than that nobody reads.
pub(crate) const NEWS_MS: u64 = 200;

/// How long a request for news is kept without any, in seconds.
pub(crate) const SILENCE_SECONDS: u64 = 15;

/// Pages that listen to imports at once.
pub(crate) const LISTENERS: usize = 128;
