//! The columns that a node keeps of each device, inserted bare.

use anyhow::{Context as _, Result};
use rusqlite::{Connection, Statement, params};
use std::path::Path;
use std::time::{Duration, Instant};

/// The tables and indexes of a node that grow with the devices.
const TABLES: &str = "
CREATE TABLE leaves(
    batch INTEGER NOT NULL, name BLOB NOT NULL, leaf BLOB NOT NULL,
    PRIMARY KEY(batch, name)) WITHOUT ROWID;
CREATE TABLE claims(digest BLOB PRIMARY KEY, batch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tiles(
    batch INTEGER NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL,
    first BLOB NOT NULL, hashes BLOB NOT NULL,
    PRIMARY KEY(batch, level, idx)) WITHOUT ROWID;
CREATE TABLE directory.serials(
    name BLOB PRIMARY KEY, organisation INTEGER NOT NULL, serial TEXT NOT NULL, lot TEXT,
    upload INTEGER NOT NULL, row INTEGER NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX directory.serial_of ON serials(organisation, serial);
";

/// As durable as a node: what a transaction wrote is on disk when it ends. 64 MiB of pages are
/// cached for each file. Pages move out of the log every 64 MiB of it: SQLite's own 4 MiB cost
/// more.
const SETTINGS: &str = "
PRAGMA main.journal_mode = WAL;
PRAGMA directory.journal_mode = WAL;
PRAGMA main.synchronous = FULL;
PRAGMA directory.synchronous = FULL;
PRAGMA main.cache_size = -65536;
PRAGMA directory.cache_size = -65536;
PRAGMA wal_autocheckpoint = 16384;
";

/// Devices of a transaction.
const TRANSACTION: usize = 10_000;

/// Devices of a tile, and bytes of its hashes.
const TILE: usize = 256;
const HASHES: [u8; 32 * TILE] = [0x5a; 32 * TILE];

/// What a node keeps of a device.
pub(crate) struct Row {
    /// Head of the DID's digest.
    pub(crate) name: [u8; 16],
    pub(crate) leaf: Vec<u8>,
    /// Head of the hash of the device's key.
    pub(crate) claim: [u8; 16],
    pub(crate) serial: String,
    pub(crate) lot: String,
    /// Its number in the file.
    pub(crate) number: i64,
}

/// Two empty files.
pub(crate) struct Bare {
    connection: Connection,
}

impl Bare {
    /// Makes them in a folder.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        let connection = Connection::open(dir.join("ledger.db"))?;
        let directory = dir.join("directory.db");
        let directory = directory.to_str().context("the folder's name is not text")?;
        connection.execute("ATTACH DATABASE ? AS directory", [directory])?;
        connection.execute_batch(SETTINGS)?;
        connection.execute_batch(TABLES)?;
        Ok(Self { connection })
    }

    /// Time to insert the rows of a batch, which are in ascending order of their names.
    pub(crate) fn batch(&self, batch: i64, rows: &[Row]) -> Result<Duration> {
        let start = Instant::now();
        let mut insert = Insert::prepare(&self.connection)?;
        for (part, rows) in rows.chunks(TRANSACTION).enumerate() {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            insert.all(batch, part * TRANSACTION, rows)?;
            self.connection.execute_batch("COMMIT")?;
        }
        Ok(start.elapsed())
    }
}

struct Insert<'c> {
    leaf: Statement<'c>,
    claim: Statement<'c>,
    tile: Statement<'c>,
    serial: Statement<'c>,
}

impl<'c> Insert<'c> {
    fn prepare(connection: &'c Connection) -> Result<Self> {
        Ok(Self {
            leaf: connection.prepare("INSERT INTO leaves VALUES (?, ?, ?)")?,
            claim: connection.prepare("INSERT INTO claims VALUES (?, ?)")?,
            tile: connection.prepare("INSERT INTO tiles VALUES (?, 0, ?, ?, ?)")?,
            serial: connection.prepare("INSERT INTO serials VALUES (?, 1, ?, ?, ?, ?)")?,
        })
    }

    /// One transaction; `place` is that of its first row in the batch.
    fn all(&mut self, batch: i64, place: usize, rows: &[Row]) -> Result<()> {
        for row in rows {
            self.leaf.execute(params![batch, row.name, row.leaf])?;
        }
        for row in rows {
            self.serial.execute(params![row.name, row.serial, row.lot, batch, row.number])?;
        }
        // Neighbours are on the same page more often.
        let mut claims: Vec<&[u8; 16]> = rows.iter().map(|row| &row.claim).collect();
        claims.sort_unstable();
        for claim in claims {
            self.claim.execute(params![claim, batch])?;
        }
        for (place, row) in (place..).zip(rows).filter(|(place, _)| place % TILE == 0) {
            let index = i64::try_from(place / TILE)?;
            self.tile.execute(params![batch, index, row.name, HASHES])?;
        }
        Ok(())
    }
}
