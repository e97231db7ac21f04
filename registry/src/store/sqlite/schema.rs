//! Tables. What each is for, and who reads it: `docs/formats/store.md`.

/// The format of the store; a change of a table raises it.
pub(crate) const FORMAT: &[u8] = crate::STORE_FORMAT.as_bytes();

/// Tables of the ledger. The store is created in one transaction.
pub(super) const LEDGER: &str = "
CREATE TABLE ledger.meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE ledger.entries(idx INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
CREATE TABLE ledger.blocks(
    height INTEGER PRIMARY KEY, time INTEGER NOT NULL, size INTEGER NOT NULL,
    log_root BLOB NOT NULL, state_root BLOB NOT NULL) STRICT;
CREATE TABLE ledger.state(key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE ledger.batches(no INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE ledger.leaves(
    batch INTEGER NOT NULL, name BLOB NOT NULL, leaf BLOB NOT NULL,
    PRIMARY KEY(batch, name)) STRICT, WITHOUT ROWID;
CREATE TABLE ledger.claims(digest BLOB PRIMARY KEY, batch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE ledger.tiles(
    batch INTEGER NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL,
    first BLOB NOT NULL, hashes BLOB NOT NULL,
    PRIMARY KEY(batch, level, idx)) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ledger.tile_of ON tiles(batch, first) WHERE level = 0;
CREATE TABLE ledger.touched(
    subject BLOB NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY(subject, entry)) STRICT, WITHOUT ROWID;
CREATE TABLE ledger.uploads(
    no INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE,
    organisation BLOB NOT NULL, grant_id BLOB NOT NULL, model TEXT NOT NULL, rows INTEGER NOT NULL,
    rehearsal INTEGER NOT NULL, opened INTEGER NOT NULL, expires INTEGER NOT NULL,
    active INTEGER NOT NULL,
    staged INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 0,
    count INTEGER, root BLOB) STRICT;
CREATE TABLE ledger.used_requests(hash BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// The private directory, a file of its own. `serial_of` is no index of `serials`: serial
/// numbers come in another order than names, and an index written row by row would touch most of
/// its pages in every transaction. It is written in its own order, when an upload is sealed.
///
/// `line` holds what the line says last of each serial number, `line_earlier` what it said before.
/// Both stay empty where manifests say nothing of orders, stations, results and counters.
pub(super) const DIRECTORY: &str = "
CREATE TABLE IF NOT EXISTS organisations(
    no INTEGER PRIMARY KEY, did BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS serials(
    name BLOB PRIMARY KEY, organisation INTEGER NOT NULL, serial TEXT NOT NULL, lot TEXT,
    upload INTEGER NOT NULL, row INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS serial_of(
    organisation INTEGER NOT NULL, serial TEXT NOT NULL, name BLOB NOT NULL,
    PRIMARY KEY(organisation, serial)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS line(
    organisation INTEGER NOT NULL, serial TEXT NOT NULL, lot TEXT NOT NULL, ord TEXT NOT NULL,
    station TEXT NOT NULL, result INTEGER NOT NULL, counter_before INTEGER, counter_after INTEGER,
    runs INTEGER NOT NULL, batch INTEGER, born INTEGER NOT NULL,
    PRIMARY KEY(organisation, serial)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS line_of_lot
    ON line(organisation, lot, ord, result, batch, runs);
CREATE INDEX IF NOT EXISTS line_counted
    ON line(organisation, station, counter_before, counter_after, lot, ord)
    WHERE counter_before IS NOT NULL AND counter_after IS NOT NULL;
CREATE INDEX IF NOT EXISTS line_scrapped ON line(organisation, batch, born) WHERE result = 2;
CREATE TABLE IF NOT EXISTS line_earlier(
    organisation INTEGER NOT NULL, serial TEXT NOT NULL, run INTEGER NOT NULL, lot TEXT NOT NULL,
    ord TEXT NOT NULL, station TEXT NOT NULL, result INTEGER NOT NULL, counter_before INTEGER,
    counter_after INTEGER, PRIMARY KEY(organisation, serial, run)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS line_earlier_counted
    ON line_earlier(organisation, station, counter_before, counter_after, lot, ord)
    WHERE counter_before IS NOT NULL AND counter_after IS NOT NULL;
CREATE TABLE IF NOT EXISTS gateways(
    no INTEGER PRIMARY KEY, organisation BLOB NOT NULL, name TEXT NOT NULL,
    registration TEXT NOT NULL, heard TEXT, heard_at INTEGER, told TEXT, told_at INTEGER,
    UNIQUE(organisation, name)) STRICT;
CREATE TABLE IF NOT EXISTS gateway_sizes(
    gateway INTEGER NOT NULL, size INTEGER NOT NULL, since INTEGER NOT NULL,
    stated INTEGER NOT NULL, received INTEGER NOT NULL,
    PRIMARY KEY(gateway, size)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen(
    name BLOB PRIMARY KEY, time INTEGER NOT NULL, gateway INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes(name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acts(
    no INTEGER PRIMARY KEY, time INTEGER NOT NULL, organisation BLOB NOT NULL, who TEXT NOT NULL,
    act TEXT NOT NULL, about TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS gateway_hours(
    hour INTEGER NOT NULL, gateway INTEGER NOT NULL, allowed INTEGER NOT NULL,
    refused INTEGER NOT NULL, PRIMARY KEY(hour, gateway)) STRICT, WITHOUT ROWID;
";
