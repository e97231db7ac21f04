//! A page of a list, read bare: a point, and a range of rows, from a table like a node's.

use anyhow::{Context as _, Result};
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::Instant;

/// A serial number, and what a page shows of its device: in the order in which it is read, with
/// no other table to look into.
const TABLE: &str =
    "CREATE TABLE devices(serial TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID";

const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA cache_size = -16384;";

/// Bytes of a device: leaf, lot, batch.
const ROW: [u8; 240] = [0x5a; 240];

/// Milliseconds of reading one row, and of reading a page of so many.
pub(crate) struct Times {
    pub(crate) point: Vec<f64>,
    pub(crate) page: Vec<f64>,
}

/// Fills a file with the serial numbers, which ascend, and reads it at the given ones.
pub(crate) fn times(
    file: &Path,
    serials: impl Iterator<Item = String>,
    asked: &[String],
    page: usize,
) -> Result<Times> {
    let mut connection = Connection::open(file)?;
    connection.execute_batch(SETTINGS)?;
    connection.execute_batch(TABLE)?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO devices VALUES (?, ?)")?;
        for serial in serials {
            insert.execute(params![serial, &ROW[..]])?;
        }
    }
    transaction.commit()?;
    let point = "SELECT row FROM devices WHERE serial = ?";
    let range = "SELECT serial, row FROM devices WHERE serial >= ? ORDER BY serial LIMIT ?";
    let (mut one, mut many) = (connection.prepare(point)?, connection.prepare(range)?);
    let mut times = Times { point: Vec::new(), page: Vec::new() };
    for serial in asked {
        let start = Instant::now();
        let row: Vec<u8> = one.query_row([serial], |row| row.get(0)).context("a row")?;
        times.point.push(start.elapsed().as_secs_f64() * 1_000.0);
        let start = Instant::now();
        let rows = many.query_map(params![serial, page as i64], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        let mut bytes = row.len();
        for row in rows {
            let (serial, row) = row?;
            bytes += serial.len() + row.len();
        }
        std::hint::black_box(bytes);
        times.page.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(times)
}
