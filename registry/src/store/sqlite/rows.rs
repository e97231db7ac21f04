//! Tables as rows: read page by page, written many at once.

use super::fault::{fault, integer};
use crate::Error;
use crate::store::tables::{Kind, Rows, Table, Value};
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Row as _};

/// Values of one statement: below SQLite's 32,766.
const VALUES: usize = 4_096;

/// Rows behind a key, in the order of keys.
pub(super) async fn rows(
    pool: &SqlitePool,
    table: &Table,
    after: Option<Vec<Value>>,
    count: u64,
) -> Result<Rows, Error> {
    let mut with = SqliteArguments::default();
    let key = table.key_list();
    let mut sql = format!("SELECT {} FROM {}", table.list(), table.name);
    if let Some(after) = after {
        sql.push_str(&format!(" WHERE ({key}) > ({})", vec!["?"; table.key].join(", ")));
        for value in after.into_iter().take(table.key) {
            bind(&mut with, value)?;
        }
    }
    sql.push_str(&format!(" ORDER BY {key} LIMIT {}", integer(count)?));
    let found: Vec<SqliteRow> =
        sqlx::query_with(AssertSqlSafe(sql), with).fetch_all(pool).await.map_err(fault)?;
    found.iter().map(|row| row_from(table, row)).collect()
}

fn bind(with: &mut SqliteArguments, value: Value) -> Result<(), Error> {
    match value {
        Value::None => with.add(None::<i64>),
        Value::Number(number) => with.add(number),
        Value::Text(text) => with.add(text),
        Value::Bytes(bytes) => with.add(bytes),
    }
    .map_err(|e| Error::Us(e.to_string()))
}

fn row_from(table: &Table, row: &SqliteRow) -> Result<Vec<Value>, Error> {
    let one = |(place, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Number => row.try_get::<Option<i64>, _>(place).map_err(fault)?.map(Value::Number),
            Kind::Text => row.try_get::<Option<String>, _>(place).map_err(fault)?.map(Value::Text),
            Kind::Bytes => {
                row.try_get::<Option<Vec<u8>>, _>(place).map_err(fault)?.map(Value::Bytes)
            }
        }
        .unwrap_or(Value::None))
    };
    table.columns.iter().enumerate().map(one).collect()
}

/// Writes rows that are new: all or nothing.
pub(super) async fn put(pool: &SqlitePool, table: &'static Table, rows: Rows) -> Result<(), Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let row = format!("({})", vec!["?"; table.columns.len()].join(","));
    let together = (VALUES / table.columns.len()).max(1);
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let part: Rows = rows.by_ref().take(together).collect();
        let values = vec![row.as_str(); part.len()].join(",");
        let sql = format!("INSERT INTO {}({}) VALUES {values}", table.name, table.list());
        let mut with = SqliteArguments::default();
        for value in part.into_iter().flatten() {
            bind(&mut with, value)?;
        }
        sqlx::query_with(AssertSqlSafe(sql), with).execute(&mut *tx).await.map_err(fault)?;
    }
    tx.commit().await.map_err(fault)
}
