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

/// Characters kept of a node's reason: what it says may be of any length.
pub const TOLD_CHARS: usize = 200;

/// Rows checked together: enough that handing them over costs nothing, few enough to keep every
/// core busy to the end.
pub const CHECKED_TOGETHER: usize = 1_024;

/// Bytes of rows checked together: entries of a manifest have some 1 to 4 KiB, but may have as
/// many as a row.
pub const CHECKED_BYTES: usize = 4 << 20;

/// How deep a manifest entry may be nested. Real ones go to 2.
pub const ENTRY_DEPTH: u32 = 64;

/// Keys of one manifest entry: the chips have up to 16 slots.
pub const SLOTS: usize = 16;

/// Certificates of one `x5c`: device, issuer, root and one to spare; also issuers of one chain.
pub const CHAIN: usize = 4;

/// Bits of an issuer's RSA key: below the first it can be broken (NIST SP 800-131A), and above the
/// second one signature takes milliseconds.
pub const RSA_LEAST_BITS: usize = 2_048;
/// See [`RSA_LEAST_BITS`].
pub const RSA_BITS: usize = 8_192;

/// Files of one command.
pub const FILES: usize = 1_024;

/// Files of all folders and archives of one command: a batch with a file for each device.
pub const MEMBERS: usize = 1 << 20;

/// Bytes that an archive may unpack to. They are streamed, never stored.
pub const UNPACKED_BYTES: u64 = 8 << 30;

/// How many times its own size an archive may unpack to, once above [`UNPACKED_FREELY`]: signing
/// requests shrink to a half, bombs to a thousandth.
pub const UNPACKED_RATIO: u64 = 100;

/// Bytes that may be unpacked whatever the ratio: padding of small archives.
pub const UNPACKED_FREELY: u64 = 16 << 20;

/// Bytes of a zip archive, whose directory is read at once: 200,000 requests. A tar archive
/// has no such bound.
pub const ZIP_BYTES: u64 = 64 << 20;

/// How deep folders may lie in the folder that is named.
pub const FOLDER_DEPTH: u32 = 8;

/// Rows of one command, over all its files: with some 400 bytes each they fit in 2 GiB.
pub const ROWS: usize = 4 << 20;

/// Rows of one file or archive that cannot be read, before the first that can: a megabyte of zip
/// holds four million such, with two gigabytes of words about them. A manifest is not like that.
pub const UNREADABLE: u64 = 1 << 18;

/// Batches of one command: as many uploads wait side by side until all are sealed.
pub const BATCHES: usize = 64;

/// Lots whose balance a command shows: an order has a few.
pub const LOTS_NAMED: usize = 64;

/// Life of the signatures the importer makes, in milliseconds (1 h): a clock that is wrong by
/// minutes does no harm, a signature that leaks is soon worthless.
pub const SIGNATURE_LIFETIME_MS: u64 = 60 * 60 * 1_000;

/// Requests with rows that are under way at once, each of some 1 MiB: while the node writes the
/// rows of one, or waits for the disk, it verifies those of the others on all its cores.
pub const REQUESTS_IN_FLIGHT: usize = 6;
