use super::fault::fault;
use super::link;
use crate::Error;
use crate::store::ServerUrl;
use crate::store::columns::{BlockColumns, TileColumns, integer};
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, FromRow, PgConnection};

/// The ledger's tables as they stand at one moment, for reading only; the node may be running or
/// stopped.
pub(crate) struct Snapshot(PgConnection);

/// One page of a table.
const PAGE: i64 = 4_096;

type Bytes = Vec<u8>;

impl Snapshot {
    pub(crate) async fn open(url: &ServerUrl) -> Result<Self, Error> {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        const THERE: &str = "SELECT to_regclass('ledger.meta') IS NOT NULL";
        let mut connection = link::connect(&link::options(url)?).await?;
        sqlx::raw_sql(BEGIN).execute(&mut connection).await.map_err(fault)?;
        let there: bool =
            sqlx::query_scalar(THERE).fetch_one(&mut connection).await.map_err(fault)?;
        if !there {
            let cure = "name the database that the node uses";
            return Err(Error::operator(format!("{url} has no ledger"), cure));
        }
        Ok(Self(connection))
    }

    pub(crate) async fn close(self) -> Result<(), Error> {
        self.0.close().await.map_err(fault)
    }

    async fn all<T>(&mut self, sql: &'static str) -> Result<Vec<T>, Error>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        sqlx::query_as(sql).fetch_all(&mut self.0).await.map_err(fault)
    }

    /// What changes what a statement does or sees, none of which is ours: triggers, rules, views,
    /// policies. Kind, name, table.
    pub(crate) async fn foreign(&mut self) -> Result<Vec<(String, String, String)>, Error> {
        self.all(
            "SELECT 'trigger', t.tgname::text, c.relname::text FROM pg_trigger t \
             JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ('ledger', 'directory') AND NOT t.tgisinternal \
             UNION ALL SELECT 'rule', r.rulename::text, c.relname::text FROM pg_rewrite r \
             JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ('ledger', 'directory') AND c.relkind IN ('r', 'p') \
             UNION ALL SELECT 'policy', p.polname::text, c.relname::text FROM pg_policy p \
             JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ('ledger', 'directory') \
             UNION ALL SELECT 'no plain table', c.relname::text, c.relname::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ('ledger', 'directory') AND c.relkind NOT IN ('r', 'i', 'S', 't')",
        )
        .await
    }

    pub(crate) async fn meta(&mut self) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.all("SELECT convert_to(key, 'UTF8'), value FROM meta").await
    }

    pub(crate) async fn entries(&mut self, from: u64) -> Result<Vec<(i64, Bytes)>, Error> {
        sqlx::query_as("SELECT idx, entry FROM entries WHERE idx >= $1 ORDER BY idx LIMIT $2")
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

    pub(crate) async fn state(&mut self) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.all("SELECT key, value FROM state").await
    }

    pub(crate) async fn batches(&mut self) -> Result<Vec<(i64, Bytes)>, Error> {
        self.all("SELECT no, id FROM batches ORDER BY no").await
    }

    pub(crate) async fn uploads(&mut self) -> Result<Vec<(i64,)>, Error> {
        self.all("SELECT no FROM uploads ORDER BY no").await
    }

    pub(crate) async fn leaves(
        &mut self,
        after: Option<(i64, Bytes)>,
    ) -> Result<Vec<(i64, Bytes, Bytes)>, Error> {
        const SQL: &str = "SELECT batch, name, leaf FROM leaves \
            WHERE (batch, name) > ($1, $2) ORDER BY batch, name LIMIT $3";
        let (batch, name) = after.unwrap_or((i64::MIN, Vec::new()));
        sqlx::query_as(SQL)
            .bind(batch)
            .bind(name)
            .bind(PAGE)
            .fetch_all(&mut self.0)
            .await
            .map_err(fault)
    }

    pub(crate) async fn tiled(&mut self) -> Result<Vec<(i64,)>, Error> {
        self.all("SELECT DISTINCT batch FROM tiles ORDER BY batch").await
    }

    pub(crate) async fn tiles(&mut self, batch: i64) -> Result<Vec<TileColumns>, Error> {
        const SQL: &str = "SELECT level, idx, first, hashes FROM tiles WHERE batch = $1 \
            ORDER BY level, idx";
        sqlx::query_as(SQL).bind(batch).fetch_all(&mut self.0).await.map_err(fault)
    }

    pub(crate) async fn claims(
        &mut self,
        after: Option<Bytes>,
    ) -> Result<Vec<(Bytes, i64)>, Error> {
        const SQL: &str = "SELECT digest, batch FROM claims \
            WHERE $1::bytea IS NULL OR digest > $1 ORDER BY digest LIMIT $2";
        sqlx::query_as(SQL).bind(after).bind(PAGE).fetch_all(&mut self.0).await.map_err(fault)
    }

    pub(crate) async fn touched(&mut self) -> Result<Vec<(Bytes, i64)>, Error> {
        self.all("SELECT subject, entry FROM touched").await
    }
}
