//! What a node has on disk, after it has stopped.

use anyhow::{Context as _, Result};
use rusqlite::Connection;
use std::fs;
use std::path::Path;

/// The node's databases.
const DATABASES: [&str; 3] = ["ledger.db", "directory.db", "index.db"];

/// Bytes of the node's folder.
pub(super) struct Disk {
    /// Of all files.
    pub(super) total: u64,
    /// Of each table and index of the databases, largest first.
    pub(super) parts: Vec<(String, u64)>,
}

/// Weighs the folder of a node that does not run.
pub(super) fn weigh(node: &Path) -> Result<Disk> {
    let mut parts = Vec::new();
    for name in DATABASES {
        parts.extend(tables(&node.join(name)).with_context(|| format!("weighing {name}"))?);
    }
    parts.sort_unstable_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let mut total = 0;
    for entry in fs::read_dir(node)? {
        total += entry?.metadata()?.len();
    }
    Ok(Disk { total, parts })
}

/// Moves everything out of the write-ahead log, then weighs every table and index with its
/// pages (<https://sqlite.org/dbstat.html>).
fn tables(database: &Path) -> Result<Vec<(String, u64)>> {
    const SQL: &str = "SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE";
    let connection = Connection::open(database)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    let file = database.file_stem().unwrap_or_default().to_string_lossy();
    let mut statement = connection.prepare(SQL)?;
    let rows =
        statement.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    rows.map(|row| {
        let (name, bytes) = row?;
        Ok((format!("{file}.{name}"), u64::try_from(bytes)?))
    })
    .collect()
}
