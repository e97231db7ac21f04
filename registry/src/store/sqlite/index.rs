//! `index.db`: what a console looks up that the other files are not in the order of. All of it
//! follows from them, so it is in no backup, and one that does not fit is made anew. It is
//! written behind the ledger, by a connection of its own, so that neither enrolling nor committing
//! ever waits for it; what it lacks is looked up the long way.

use super::PATIENCE;
use super::bulk::Insert;
use super::fault::{fault, fixed, integer, natural};
use crate::Error;
use crate::claims::Claim;
use crate::console::{HEAD, Head};
use muster_identity::Did;
use muster_ledger::Network;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// How the file is written; one of another version is made anew.
const VERSION: i64 = 1;

/// Connections that read.
const READERS: u32 = 4;

/// Names of one row of `lots`: with the longest lot a row stays below the quarter of a page
/// (1,002 bytes) above which SQLite would give each a page of its own.
pub(crate) const LOT_NAMES: usize = 48;

/// `lots`: names of devices of a batch with a lot, ascending, so many a row. `lot_sizes`: how many
/// they are. `keys`: by its beginning, every key that a device ever had. `hours`: how many devices
/// the operations of an hour named. `absent`: batches whose leaves were lost when they were due.
/// `done`: entries of the log that all this is of, and the log's root then.
const TABLES: &str = "
CREATE TABLE done(
    one INTEGER PRIMARY KEY CHECK (one = 1), network BLOB NOT NULL, size INTEGER NOT NULL,
    root BLOB NOT NULL) STRICT;
CREATE TABLE lots(
    organisation BLOB NOT NULL, lot TEXT NOT NULL, entry INTEGER NOT NULL, first BLOB NOT NULL,
    names BLOB NOT NULL, PRIMARY KEY(organisation, lot, entry, first)) STRICT, WITHOUT ROWID;
CREATE TABLE lot_sizes(
    organisation BLOB NOT NULL, lot TEXT NOT NULL, entry INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY(organisation, lot, entry)) STRICT, WITHOUT ROWID;
CREATE TABLE keys(
    head BLOB NOT NULL, name BLOB NOT NULL, PRIMARY KEY(head, name)) STRICT, WITHOUT ROWID;
CREATE TABLE hours(
    hour INTEGER PRIMARY KEY, enrolled INTEGER NOT NULL, held INTEGER NOT NULL,
    released INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT;
CREATE TABLE absent(entry INTEGER PRIMARY KEY) STRICT;
";

/// The index.
#[derive(Debug)]
pub(crate) struct Index {
    writer: SqlitePool,
    readers: SqlitePool,
    done: AtomicU64,
}

/// Names of devices of a batch with a lot, ascending, [`LOT_NAMES`] at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LotNames {
    pub(crate) organisation: Did,
    pub(crate) lot: String,
    pub(crate) entry: u64,
    pub(crate) names: Vec<Claim>,
}

/// How many devices of a batch have a lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LotSize {
    pub(crate) organisation: Did,
    pub(crate) lot: String,
    pub(crate) entry: u64,
    pub(crate) count: u64,
}

/// How many devices the operations of an hour named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LogHour {
    /// Hours since 1970.
    pub(crate) hour: u64,
    pub(crate) enrolled: u64,
    pub(crate) held: u64,
    pub(crate) released: u64,
    pub(crate) revoked: u64,
}

/// What brings the index further.
#[derive(Debug, Default)]
pub(crate) struct Further {
    pub(crate) lots: Vec<LotNames>,
    pub(crate) sizes: Vec<LotSize>,
    pub(crate) keys: Vec<(Head, Claim)>,
    pub(crate) hours: Vec<LogHour>,
    /// Batches whose leaves are not here, and those that are again.
    pub(crate) absent: Vec<u64>,
    pub(crate) present: Vec<u64>,
    /// All entries below this are in it now; the log's root then.
    pub(crate) done: Option<(u64, [u8; 32])>,
}

type Bytes = Vec<u8>;

impl Index {
    /// Opens it, or begins it anew if it is not of this network, or not of this version. `root`
    /// tells the log's root at a size, if it has it.
    pub(crate) async fn open(
        path: &Path,
        network: &Network,
        root: impl Fn(u64) -> Option<[u8; 32]>,
    ) -> Result<Self, Error> {
        if let Ok(Some(found)) = Self::try_open(path, network, &root).await {
            return Ok(found);
        }
        if fs::metadata(path).is_ok_and(|found| found.len() > 0) {
            tracing::warn!("{} does not fit or is damaged: it is made anew", path.display());
        }
        Self::remove(path)?;
        let found = Self::try_open(path, network, &root).await?;
        found.ok_or_else(|| Error::Us("an index that was just made does not fit".into()))
    }

    /// Takes the files away. Whoever has them open keeps what they had.
    pub(crate) fn remove(path: &Path) -> Result<(), Error> {
        for end in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            match fs::remove_file(&name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file(Path::new(&name), &e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn try_open(
        path: &Path,
        network: &Network,
        root: impl Fn(u64) -> Option<[u8; 32]>,
    ) -> Result<Option<Self>, Error> {
        // SQLite gives its files beside this one the same mode.
        crate::folder::own_file(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // What a power failure takes away is made again.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(PATIENCE)
                .test_before_acquire(false)
        };
        let writer = pool(1).connect_with(options.clone()).await.map_err(fault)?;
        let Some(done) = begin(&writer, network, root).await? else {
            writer.close().await;
            return Ok(None);
        };
        let readers = pool(READERS).connect_with(options).await.map_err(fault)?;
        Ok(Some(Self { writer, readers, done: AtomicU64::new(done) }))
    }

    /// Entries of the log that it is of.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(SeqCst)
    }

    /// Lets go of the file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// The batches with a lot, by their place in the log, the newest first, and their devices with it.
    pub(crate) async fn lot_batches(
        &self,
        organisation: &Did,
        lot: &str,
    ) -> Result<Vec<(u64, u64)>, Error> {
        const SQL: &str = "SELECT entry, count FROM lot_sizes \
            WHERE organisation = ? AND lot = ? ORDER BY entry DESC";
        let rows: Vec<(i64, i64)> = sqlx::query_as(SQL)
            .bind(&organisation.digest()[..])
            .bind(lot)
            .fetch_all(&self.readers)
            .await
            .map_err(fault)?;
        rows.into_iter().map(|(entry, count)| Ok((natural(entry)?, natural(count)?))).collect()
    }

    /// Names of devices of a batch with a lot, behind one.
    pub(crate) async fn lot_names(
        &self,
        organisation: &Did,
        lot: &str,
        entry: u64,
        after: Option<Claim>,
        count: usize,
    ) -> Result<Vec<Claim>, Error> {
        // The row that begins at or before the name, then those behind it.
        const SQL: &str = "SELECT names FROM lots \
            WHERE organisation = ?1 AND lot = ?2 AND entry = ?3 AND first >= coalesce( \
            (SELECT max(first) FROM lots WHERE organisation = ?1 AND lot = ?2 AND entry = ?3 \
            AND first <= ?4), ?4) ORDER BY first LIMIT ?5";
        let rows = count.div_ceil(LOT_NAMES) as u64 + 1;
        let found: Vec<Bytes> = sqlx::query_scalar(SQL)
            .bind(&organisation.digest()[..])
            .bind(lot)
            .bind(integer(entry)?)
            .bind(after.map_or(Vec::new(), |name| name.0.to_vec()))
            .bind(integer(rows)?)
            .fetch_all(&self.readers)
            .await
            .map_err(fault)?;
        let mut names = Vec::new();
        for row in found {
            let (all, rest) = row.as_chunks::<16>();
            if !rest.is_empty() {
                return Err(Error::damaged("names of a lot of another length"));
            }
            names.extend(all.iter().map(|name| Claim(*name)));
        }
        names.retain(|name| after.is_none_or(|after| *name > after));
        names.truncate(count);
        Ok(names)
    }

    /// Keys that begin between two ends, and whose they are, behind one of them.
    pub(crate) async fn keys_from(
        &self,
        (low, high): (Head, Head),
        after: Option<(Head, Claim)>,
        count: u64,
    ) -> Result<Vec<(Head, Claim)>, Error> {
        const SQL: &str = "SELECT head, name FROM keys WHERE head >= ?1 AND head <= ?2 \
            AND (head, name) > (?3, ?4) ORDER BY head, name LIMIT ?5";
        let low = after.map_or(low, |(head, _)| head.max(low));
        let (head, name) =
            after.map_or((Vec::new(), Vec::new()), |(head, name)| (head.to_vec(), name.0.to_vec()));
        let rows: Vec<(Bytes, Bytes)> = sqlx::query_as(SQL)
            .bind(&low[..])
            .bind(&high[..])
            .bind(head)
            .bind(name)
            .bind(integer(count)?)
            .fetch_all(&self.readers)
            .await
            .map_err(fault)?;
        let one = |(head, name): (Bytes, Bytes)| Ok((fixed::<HEAD>(&head)?, Claim(fixed(&name)?)));
        rows.into_iter().map(one).collect()
    }

    /// What operations did, hour by hour, from one hour up to another.
    pub(crate) async fn hours(&self, from: u64, to: u64) -> Result<Vec<LogHour>, Error> {
        const SQL: &str = "SELECT hour, enrolled, held, released, revoked FROM hours \
            WHERE hour >= ? AND hour < ? ORDER BY hour";
        let rows: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(SQL)
            .bind(integer(from)?)
            .bind(integer(to)?)
            .fetch_all(&self.readers)
            .await
            .map_err(fault)?;
        let one = |(hour, enrolled, held, released, revoked)| {
            Ok(LogHour {
                hour: natural(hour)?,
                enrolled: natural(enrolled)?,
                held: natural(held)?,
                released: natural(released)?,
                revoked: natural(revoked)?,
            })
        };
        rows.into_iter().map(one).collect()
    }

    /// Batches whose leaves were not here when they were due.
    pub(crate) async fn absent(&self) -> Result<Vec<u64>, Error> {
        let rows: Vec<i64> = sqlx::query_scalar("SELECT entry FROM absent ORDER BY entry")
            .fetch_all(&self.readers)
            .await
            .map_err(fault)?;
        rows.into_iter().map(natural).collect()
    }

    /// Brings it further: one transaction. What it holds already stays.
    pub(crate) async fn write(&self, further: Further) -> Result<(), Error> {
        static LOTS: Insert = Insert::new("INSERT OR REPLACE INTO lots", "(?,?,?,?,?)", "");
        static SIZES: Insert = Insert::new("INSERT OR REPLACE INTO lot_sizes", "(?,?,?,?)", "");
        static KEYS: Insert = Insert::new("INSERT OR IGNORE INTO keys", "(?,?)", "");
        const HOURS: &str = "INSERT INTO hours VALUES (?, ?, ?, ?, ?) ON CONFLICT(hour) DO UPDATE \
            SET enrolled = enrolled + excluded.enrolled, held = held + excluded.held, \
            released = released + excluded.released, revoked = revoked + excluded.revoked";
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        LOTS.run(&mut tx, &further.lots, |query, row| {
            let names: Vec<u8> = row.names.iter().flat_map(|name| name.0).collect();
            let first = row.names.first().map_or(Vec::new(), |name| name.0.to_vec());
            let query = query.bind(row.organisation.digest().to_vec()).bind(row.lot.clone());
            Ok(query.bind(integer(row.entry)?).bind(first).bind(names))
        })
        .await?;
        SIZES
            .run(&mut tx, &further.sizes, |query, row| {
                let query = query.bind(row.organisation.digest().to_vec()).bind(row.lot.clone());
                Ok(query.bind(integer(row.entry)?).bind(integer(row.count)?))
            })
            .await?;
        KEYS.run(&mut tx, &further.keys, |query, (head, name)| {
            Ok(query.bind(head.to_vec()).bind(name.0.to_vec()))
        })
        .await?;
        for hour in &further.hours {
            sqlx::query(HOURS)
                .bind(integer(hour.hour)?)
                .bind(integer(hour.enrolled)?)
                .bind(integer(hour.held)?)
                .bind(integer(hour.released)?)
                .bind(integer(hour.revoked)?)
                .execute(&mut *tx)
                .await
                .map_err(fault)?;
        }
        const ABSENT: &str = "INSERT OR IGNORE INTO absent VALUES (?)";
        const PRESENT: &str = "DELETE FROM absent WHERE entry = ?";
        for (sql, entries) in [(ABSENT, &further.absent), (PRESENT, &further.present)] {
            for entry in entries {
                sqlx::query(sql).bind(integer(*entry)?).execute(&mut *tx).await.map_err(fault)?;
            }
        }
        if let Some((size, root)) = &further.done {
            sqlx::query("UPDATE done SET size = ?, root = ?")
                .bind(integer(*size)?)
                .bind(&root[..])
                .execute(&mut *tx)
                .await
                .map_err(fault)?;
        }
        tx.commit().await.map_err(fault)?;
        if let Some((size, _)) = further.done {
            self.done.store(size, SeqCst);
        }
        Ok(())
    }
}

/// Makes the tables if the file is empty; how far they are, if they fit.
async fn begin(
    pool: &SqlitePool,
    network: &Network,
    root: impl Fn(u64) -> Option<[u8; 32]>,
) -> Result<Option<u64>, Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let connection: &mut SqliteConnection = &mut tx;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    if tables == 0 {
        sqlx::raw_sql(TABLES).execute(&mut *connection).await.map_err(fault)?;
        sqlx::query("INSERT INTO done VALUES (1, ?, 0, ?)")
            .bind(&network.0[..])
            .bind(&root(0).unwrap_or_default()[..])
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
        let version = format!("PRAGMA user_version = {VERSION}");
        sqlx::query(sqlx::AssertSqlSafe(version)).execute(&mut *connection).await.map_err(fault)?;
    }
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    if version != VERSION {
        return Ok(None);
    }
    // All pages, not what they say; an index of a million devices takes less than a second.
    let sound: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    if sound != "ok" {
        return Ok(None);
    }
    let (of, size, found): (Bytes, i64, Bytes) =
        sqlx::query_as("SELECT network, size, root FROM done")
            .fetch_one(&mut *connection)
            .await
            .map_err(fault)?;
    tx.commit().await.map_err(fault)?;
    let size = natural(size)?;
    let fits = of == network.0 && (size == 0 || root(size).is_some_and(|root| found == root));
    Ok(fits.then_some(size))
}
