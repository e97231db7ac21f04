//! What the line says of devices is written: one small transaction for each request, in the order
//! of serial numbers, which is that of the table.

use super::bulk::Insert;
use super::fault::{fault, integer, natural};
use crate::Error;
use crate::store::line::{
    Known, PlaceColumns, StandColumns, WordColumns, earlier_from, places_from, rows_from, text,
};
use crate::store::{LineRow, Noted};
use muster_api::LineRecord;
use muster_identity::Did;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use std::collections::BTreeMap;

static LINE: Insert = Insert::new(
    "INSERT INTO line",
    "(?,?,?,?,?,?,?,?,?,?,?)",
    "ON CONFLICT DO UPDATE SET lot = excluded.lot, ord = excluded.ord, \
     station = excluded.station, result = excluded.result, \
     counter_before = excluded.counter_before, counter_after = excluded.counter_after, \
     runs = excluded.runs, batch = excluded.batch, born = excluded.born",
);
static EARLIER: Insert =
    Insert::new("INSERT INTO line_earlier", "(?,?,?,?,?,?,?,?,?)", "ON CONFLICT DO NOTHING");

pub(super) async fn note(
    pool: &SqlitePool,
    organisation: Did,
    records: Vec<LineRecord>,
    room: u64,
) -> Result<Option<Noted>, Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let number: i64 = sqlx::query_scalar("SELECT no FROM organisations WHERE did = ?")
        .bind(&organisation.digest()[..])
        .fetch_one(&mut *tx)
        .await
        .map_err(fault)?;
    let serials: Vec<&str> = records.iter().map(|record| record.serial.as_str()).collect();
    let serials = serde_json::to_string(&serials).map_err(|e| Error::Us(e.to_string()))?;
    let known = Known {
        rows: rows(&mut tx, number, &serials).await?,
        earlier: earlier(&mut tx, number, &serials).await?,
        places: places(&mut tx, number, &serials).await?,
    };
    let judged = known.judge(records);
    if judged.noted.further > room {
        return Ok(None);
    }
    write(&mut tx, number, judged.changed, judged.replaced).await?;
    tx.commit().await.map_err(fault)?;
    Ok(Some(judged.noted))
}

/// Records of an organisation, present and earlier.
pub(super) async fn count(pool: &SqlitePool, organisation: Did) -> Result<u64, Error> {
    const SQL: &str = "WITH own AS (SELECT no FROM organisations WHERE did = ?) SELECT \
        (SELECT count(*) FROM line WHERE organisation IN own) + \
        (SELECT count(*) FROM line_earlier WHERE organisation IN own)";
    let count: i64 = sqlx::query_scalar(SQL)
        .bind(organisation.digest().to_vec())
        .fetch_one(pool)
        .await
        .map_err(fault)?;
    natural(count)
}

async fn write(
    connection: &mut SqliteConnection,
    organisation: i64,
    rows: Vec<LineRow>,
    mut earlier: Vec<(u64, LineRecord)>,
) -> Result<(), Error> {
    let count = |n: Option<u64>| n.map(integer).transpose();
    LINE.run(connection, &rows, |query, row| {
        let record = &row.record;
        let query = query.bind(organisation).bind(record.serial.clone());
        let query = query.bind(text(&record.lot)).bind(text(&record.order));
        let query = query.bind(text(&record.station)).bind(integer(record.result.number())?);
        let query = query.bind(count(record.before)?).bind(count(record.after)?);
        Ok(query.bind(integer(row.runs)?).bind(count(row.batch)?).bind(i64::from(row.born)))
    })
    .await?;
    earlier.sort_by(|a, b| (&a.1.serial, a.0).cmp(&(&b.1.serial, b.0)));
    EARLIER
        .run(connection, &earlier, |query, (run, record)| {
            let query = query.bind(organisation).bind(record.serial.clone()).bind(integer(*run)?);
            let query = query.bind(text(&record.lot)).bind(text(&record.order));
            let query = query.bind(text(&record.station)).bind(integer(record.result.number())?);
            Ok(query.bind(count(record.before)?).bind(count(record.after)?))
        })
        .await?;
    Ok(())
}

async fn rows(
    connection: &mut SqliteConnection,
    organisation: i64,
    serials: &str,
) -> Result<BTreeMap<String, LineRow>, Error> {
    const WORDS: &str = "SELECT serial, lot, ord, station, result, counter_before, counter_after \
        FROM line WHERE organisation = ? AND serial IN (SELECT value FROM json_each(?))";
    const STANDS: &str = "SELECT serial, runs, batch, born FROM line \
        WHERE organisation = ? AND serial IN (SELECT value FROM json_each(?))";
    let words: Vec<WordColumns> = sqlx::query_as(WORDS)
        .bind(organisation)
        .bind(serials)
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
    if words.is_empty() {
        return Ok(BTreeMap::new());
    }
    let stands: Vec<StandColumns> = sqlx::query_as(STANDS)
        .bind(organisation)
        .bind(serials)
        .fetch_all(connection)
        .await
        .map_err(fault)?;
    rows_from(words, stands)
}

async fn earlier(
    connection: &mut SqliteConnection,
    organisation: i64,
    serials: &str,
) -> Result<BTreeMap<String, Vec<LineRecord>>, Error> {
    const SQL: &str = "SELECT serial, lot, ord, station, result, counter_before, counter_after \
        FROM line_earlier WHERE organisation = ? AND serial IN (SELECT value FROM json_each(?))";
    let words: Vec<WordColumns> = sqlx::query_as(SQL)
        .bind(organisation)
        .bind(serials)
        .fetch_all(connection)
        .await
        .map_err(fault)?;
    earlier_from(words)
}

/// The upload or batch of each device, and whether it is a batch.
async fn places(
    connection: &mut SqliteConnection,
    organisation: i64,
    serials: &str,
) -> Result<BTreeMap<String, (u64, bool)>, Error> {
    const SQL: &str = "SELECT serial_of.serial, serials.upload, batches.no IS NOT NULL \
        FROM serial_of JOIN serials ON serials.name = serial_of.name \
        AND serials.serial = serial_of.serial LEFT JOIN batches ON batches.no = serials.upload \
        WHERE serial_of.organisation = ? \
        AND serial_of.serial IN (SELECT value FROM json_each(?))";
    let found: Vec<PlaceColumns> = sqlx::query_as(SQL)
        .bind(organisation)
        .bind(serials)
        .fetch_all(connection)
        .await
        .map_err(fault)?;
    places_from(found)
}
