//! Tables as rows: read page by page, written many at once.

use super::fault::fault;
use super::text::Text;
use super::writer::Writer;
use crate::Error;
use crate::store::columns::integer;
use crate::store::tables::{Kind, Rows, Table, Value};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, PgConnection, PgExecutor, Row as _};

/// Rows behind a key, in the order of keys.
pub(super) async fn rows(
    on: impl PgExecutor<'_>,
    table: &Table,
    after: Option<Vec<Value>>,
    count: u64,
) -> Result<Rows, Error> {
    let mut with = PgArguments::default();
    let key = table.key_list();
    let mut sql = format!("SELECT {} FROM {}", table.list(), table.name);
    if let Some(after) = after {
        let places: Vec<String> = (1..=table.key).map(|n| format!("${n}")).collect();
        sql.push_str(&format!(" WHERE ({key}) > ({})", places.join(", ")));
        for value in after.into_iter().take(table.key) {
            match value {
                Value::None => return Err(Error::Us("a key without a value".into())),
                Value::Number(number) => with.add(number),
                Value::Text(text) => with.add(Text(text)),
                Value::Bytes(bytes) => with.add(bytes),
            }
            .map_err(|e| Error::Us(e.to_string()))?;
        }
    }
    sql.push_str(&format!(" ORDER BY {key} LIMIT {}", integer(count)?));
    let found: Vec<PgRow> =
        sqlx::query_with(AssertSqlSafe(sql), with).fetch_all(on).await.map_err(fault)?;
    found.iter().map(|row| row_from(table, row)).collect()
}

fn row_from(table: &Table, row: &PgRow) -> Result<Vec<Value>, Error> {
    let one = |(place, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Number => row.try_get::<Option<i64>, _>(place).map_err(fault)?.map(Value::Number),
            Kind::Text => {
                let text = row.try_get::<Option<Text>, _>(place).map_err(fault)?;
                text.map(|text| Value::Text(text.0))
            }
            Kind::Bytes => {
                row.try_get::<Option<Vec<u8>>, _>(place).map_err(fault)?.map(Value::Bytes)
            }
        }
        .unwrap_or(Value::None))
    };
    table.columns.iter().enumerate().map(one).collect()
}

/// Writes rows that are new.
pub(super) async fn put(writer: &Writer, table: &'static Table, rows: Rows) -> Result<(), Error> {
    let mut write = writer.begin().await?;
    let done = put_rows(write.on(), table, rows).await;
    write.end(done).await
}

async fn put_rows(connection: &mut PgConnection, table: &Table, rows: Rows) -> Result<(), Error> {
    let mut with = PgArguments::default();
    let mut places = Vec::new();
    for (place, (_, kind)) in table.columns.iter().enumerate() {
        let values = rows.iter().map(|row| row.get(place));
        let unbound = |e: sqlx::error::BoxDynError| Error::Us(e.to_string());
        let number = place + 1;
        match kind {
            Kind::Number => {
                let all: Vec<Option<i64>> = values
                    .map(|value| match value {
                        Some(Value::Number(number)) => Some(*number),
                        _ => None,
                    })
                    .collect();
                with.add(all).map_err(unbound)?;
                places.push(format!("${number}::bigint[]"));
            }
            Kind::Text => {
                let all: Vec<Option<Text>> = values
                    .map(|value| match value {
                        Some(Value::Text(text)) => Some(Text::of(text)),
                        _ => None,
                    })
                    .collect();
                with.add(all).map_err(unbound)?;
                places.push(format!("${number}::text[]"));
            }
            Kind::Bytes => {
                let all: Vec<Option<&[u8]>> = values
                    .map(|value| match value {
                        Some(Value::Bytes(bytes)) => Some(bytes.as_slice()),
                        _ => None,
                    })
                    .collect();
                with.add(all).map_err(unbound)?;
                places.push(format!("${number}::bytea[]"));
            }
        }
    }
    let (name, list) = (table.name, table.list());
    let sql = format!("INSERT INTO {name}({list}) SELECT * FROM unnest({})", places.join(", "));
    sqlx::query_with(AssertSqlSafe(sql), with).execute(&mut *connection).await.map_err(fault)?;
    if table.numbered {
        // The next number that the database gives is above those that came.
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{name}', 'no'), (SELECT max(no) FROM {name}))"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(connection).await.map_err(fault)?;
    }
    Ok(())
}
