use super::fault::{fault, integer};
use super::{PATIENCE, schema};
use crate::Error;
use crate::store::BlockRow;
use crate::store::columns::{BlockColumns, TileColumns, block_from};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, FromRow};
use std::path::Path;

/// The ledger's tables as they stand at one moment, opened for reading only. The node may be
/// running or stopped. Rows come as they are written, unchecked.
pub(crate) struct Snapshot(SqliteConnection);

/// One page of a table.
const PAGE: i64 = 4_096;

type Bytes = Vec<u8>;

/// File, kind, name, table and text of a declaration.
pub(crate) type Declared = (String, String, String, String, Option<String>);

async fn declared(connection: &mut SqliteConnection) -> Result<Vec<Declared>, Error> {
    const SQL: &str = "SELECT 'ledger.db', type, name, tbl_name, sql FROM ledger.sqlite_schema \
        UNION ALL \
        SELECT 'directory.db', type, name, tbl_name, sql FROM main.sqlite_schema";
    sqlx::query_as(SQL).fetch_all(connection).await.map_err(fault)
}

/// What two files that were just created consist of.
pub(crate) async fn declared_by_us() -> Result<Vec<Declared>, Error> {
    let options = SqliteConnectOptions::new().in_memory(true);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(fault)?;
    for sql in ["ATTACH DATABASE ':memory:' AS ledger", schema::LEDGER, schema::DIRECTORY] {
        sqlx::raw_sql(sql).execute(&mut connection).await.map_err(fault)?;
    }
    let all = declared(&mut connection).await?;
    connection.close().await.map_err(fault)?;
    Ok(all)
}

impl Snapshot {
    /// Opens the files.
    pub(crate) async fn open(ledger: &Path, directory: &Path) -> Result<Self, Error> {
        for path in [ledger, directory] {
            std::fs::File::open(path).map_err(|e| Error::file(path, &e))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(directory)
            .read_only(true)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(fault)?;
        sqlx::query("ATTACH DATABASE ? AS ledger")
            .bind(ledger.to_string_lossy().into_owned())
            .execute(&mut connection)
            .await
            .map_err(fault)?;
        sqlx::query("BEGIN").execute(&mut connection).await.map_err(fault)?;
        Ok(Self(connection))
    }

    /// Ends the reading.
    pub(crate) async fn close(self) -> Result<(), Error> {
        self.0.close().await.map_err(fault)
    }

    async fn all<T>(&mut self, sql: &'static str) -> Result<Vec<T>, Error>
    where
        T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        sqlx::query_as(sql).fetch_all(&mut self.0).await.map_err(fault)
    }

    /// What SQLite itself says of the two files.
    pub(crate) async fn integrity(&mut self) -> Result<Vec<String>, Error> {
        let words: Vec<(String,)> = self.all("PRAGMA integrity_check(20)").await?;
        Ok(words.into_iter().map(|(word,)| word).filter(|word| word != "ok").collect())
    }

    /// What the two files consist of: tables, indices, views, triggers, as they were declared.
    pub(crate) async fn schema(&mut self) -> Result<Vec<Declared>, Error> {
        declared(&mut self.0).await
    }

    pub(crate) async fn meta(&mut self) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.all("SELECT CAST(key AS BLOB), value FROM meta").await
    }

    pub(crate) async fn entries(&mut self, from: u64) -> Result<Vec<(i64, Bytes)>, Error> {
        sqlx::query_as("SELECT idx, entry FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?")
            .bind(integer(from)?)
            .bind(PAGE)
            .fetch_all(&mut self.0)
            .await
            .map_err(fault)
    }

    pub(crate) async fn blocks(&mut self) -> Result<Vec<BlockColumns>, Error> {
        self.all("SELECT height, time, size, log_root, state_root FROM blocks ORDER BY height")
            .await
    }

    /// The last block, if there is one.
    pub(crate) async fn last_block(&mut self) -> Result<Option<BlockRow>, Error> {
        const SQL: &str = "SELECT height, time, size, log_root, state_root FROM blocks \
            ORDER BY height DESC LIMIT 1";
        let row: Option<BlockColumns> =
            sqlx::query_as(SQL).fetch_optional(&mut self.0).await.map_err(fault)?;
        row.map(block_from).transpose()
    }

    pub(crate) async fn state(&mut self) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.all("SELECT key, value FROM state").await
    }

    pub(crate) async fn batches(&mut self) -> Result<Vec<(i64, Bytes)>, Error> {
        self.all("SELECT no, id FROM batches ORDER BY no").await
    }

    /// Numbers of open uploads.
    pub(crate) async fn uploads(&mut self) -> Result<Vec<(i64,)>, Error> {
        self.all("SELECT no FROM uploads ORDER BY no").await
    }

    /// Leaves after a row.
    pub(crate) async fn leaves(
        &mut self,
        after: Option<(i64, Bytes)>,
    ) -> Result<Vec<(i64, Bytes, Bytes)>, Error> {
        let (batch, name) = after.unwrap_or((i64::MIN, Vec::new()));
        const SQL: &str = "SELECT batch, name, leaf FROM leaves \
            WHERE (batch, name) > (?, ?) ORDER BY batch, name LIMIT ?";
        sqlx::query_as(SQL)
            .bind(batch)
            .bind(name)
            .bind(PAGE)
            .fetch_all(&mut self.0)
            .await
            .map_err(fault)
    }

    /// Numbers that tiles belong to.
    pub(crate) async fn tiled(&mut self) -> Result<Vec<(i64,)>, Error> {
        self.all("SELECT DISTINCT batch FROM tiles").await
    }

    pub(crate) async fn tiles(&mut self, batch: i64) -> Result<Vec<TileColumns>, Error> {
        sqlx::query_as(
            "SELECT level, idx, first, hashes FROM tiles WHERE batch = ? ORDER BY level, idx",
        )
        .bind(batch)
        .fetch_all(&mut self.0)
        .await
        .map_err(fault)
    }

    /// Claims after a digest.
    pub(crate) async fn claims(
        &mut self,
        after: Option<Bytes>,
    ) -> Result<Vec<(Bytes, i64)>, Error> {
        let first = after.is_none();
        sqlx::query_as(
            "SELECT digest, batch FROM claims WHERE digest > ? OR ? ORDER BY digest LIMIT ?",
        )
        .bind(after.unwrap_or_default())
        .bind(first)
        .bind(PAGE)
        .fetch_all(&mut self.0)
        .await
        .map_err(fault)
    }

    pub(crate) async fn touched(&mut self) -> Result<Vec<(Bytes, i64)>, Error> {
        self.all("SELECT subject, entry FROM touched").await
    }
}
