//! Tables. What each is for, and who reads it: `docs/formats/store.md`.

/// The format of the store; a change of a table raises it.
pub(crate) const FORMAT: &[u8] = b"2";

/// Tables of the ledger. The store is created in one transaction.
pub(super) const LEDGER: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE entries(idx INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
CREATE TABLE blocks(
    height INTEGER PRIMARY KEY, time INTEGER NOT NULL, size INTEGER NOT NULL,
    log_root BLOB NOT NULL, state_root BLOB NOT NULL) STRICT;
CREATE TABLE state(key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE batches(no INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE leaves(
    batch INTEGER NOT NULL, did BLOB NOT NULL, leaf BLOB NOT NULL,
    PRIMARY KEY(batch, did)) STRICT, WITHOUT ROWID;
CREATE TABLE claims(digest BLOB PRIMARY KEY, batch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tiles(
    batch INTEGER NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL,
    first BLOB NOT NULL, hashes BLOB NOT NULL,
    PRIMARY KEY(batch, level, idx)) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tile_of ON tiles(batch, first) WHERE level = 0;
CREATE TABLE touched(
    subject BLOB NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY(subject, entry)) STRICT, WITHOUT ROWID;
CREATE TABLE uploads(
    no INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE,
    organisation BLOB NOT NULL, grant_id BLOB NOT NULL, model TEXT NOT NULL, rows INTEGER NOT NULL,
    rehearsal INTEGER NOT NULL, opened INTEGER NOT NULL, expires INTEGER NOT NULL,
    staged INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 0,
    count INTEGER, root BLOB) STRICT;
CREATE TABLE used_requests(hash BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// The private directory, a file of its own.
pub(super) const DIRECTORY: &str = "
CREATE TABLE IF NOT EXISTS directory.serials(
    did BLOB PRIMARY KEY, organisation BLOB NOT NULL, serial TEXT NOT NULL, lot TEXT,
    upload INTEGER NOT NULL, row INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS directory.serial_of ON serials(organisation, serial);
";
