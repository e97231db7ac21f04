//! Bounds of the importer, each with its reason.

/// Bytes of one row of a manifest: a JSON line, or a CSV record with the line ends inside its
/// quotes. Real rows have some 300 bytes, one with a certificate chain some 4 KiB.
pub const ROW_BYTES: usize = 64 << 10;

/// Quotes of one CSV file that are never closed. The rows behind each are read again, so a file
/// of nothing else would take quadratic time.
pub const OPEN_QUOTES: u32 = 1_000;

/// Columns of a CSV file: real ones have fewer than 30.
pub const COLUMNS: usize = 256;

/// Warnings kept for one command. A name that is wrong in every row is one warning.
pub const WARNINGS: usize = 32;

/// Characters of a foreign name that a message repeats.
pub const NAME_CHARS: usize = 40;

/// Rows checked together: enough to keep every core busy, small enough to show progress.
pub const CHECKED_TOGETHER: usize = 8_192;

/// Files of one command.
pub const FILES: usize = 1_024;

/// Rows of one command, over all its files: with some 400 bytes each they fit in 2 GiB.
pub const ROWS: usize = 4 << 20;

/// Batches of one command: as many uploads wait side by side until all are sealed.
pub const BATCHES: usize = 64;

/// Life of the signatures the importer makes, in milliseconds (1 h): a clock that is wrong by
/// minutes does no harm, a signature that leaks is soon worthless.
pub const SIGNATURE_LIFETIME_MS: u64 = 60 * 60 * 1_000;
