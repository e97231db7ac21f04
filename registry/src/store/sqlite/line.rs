//! What the line says of devices is written: one small transaction for each request, in the order
//! of serial numbers, which is that of the table.

use super::bulk::Insert;
use super::fault::{fault, integer, natural};
use crate::Error;
use crate::store::{LineRow, Noted, Word};
use muster_api::{LineRecord, LineResult};
use muster_identity::Did;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use std::collections::BTreeMap;

/// Different things that are kept of one device: a board is repaired a few times, and a line that
/// says something else each minute fills no disk.
const RUNS: u64 = 64;

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

/// Serial number, lot, order, station, result, counters.
type WordColumns = (String, String, String, String, i64, Option<i64>, Option<i64>);

/// Serial number, times, batch, born; serial number, upload, whether it is live.
type StandColumns = (String, i64, Option<i64>, i64);
type PlaceColumns = (String, i64, bool);

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
    let mut rows = rows(&mut tx, number, &serials).await?;
    let mut earlier = earlier(&mut tx, number, &serials).await?;
    let places = places(&mut tx, number, &serials).await?;
    let (mut noted, mut replaced) = (Noted::default(), Vec::new());
    let mut changed: BTreeMap<String, LineRow> = BTreeMap::new();
    for (place, record) in records.into_iter().enumerate() {
        let serial = record.serial.clone();
        let place_of = places.get(&serial).copied();
        let row = match rows.remove(&serial) {
            None => {
                let born = record.result == LineResult::Scrap && is_staged(place_of);
                noted.further += 1;
                LineRow { record, runs: 1, batch: place_of.map(|(n, _)| n), born }
            }
            Some(mut row) => {
                let said = earlier.entry(serial.clone()).or_default();
                let before = row.clone();
                match row.judge(said, &record) {
                    Word::Known => {}
                    Word::Scrapped => noted.scrapped.push(place),
                    Word::Last => {
                        let old = std::mem::replace(&mut row.record, record);
                        if row.runs <= RUNS {
                            noted.further += 1;
                            replaced.push((row.runs, old.clone()));
                            said.push(old);
                        }
                        row.runs += 1;
                    }
                }
                row.batch = place_of.map(|(n, _)| n);
                row.born |= row.record.result == LineResult::Scrap && is_staged(place_of);
                if row == before {
                    rows.insert(serial, row);
                    continue;
                }
                row
            }
        };
        changed.insert(serial.clone(), row.clone());
        rows.insert(serial, row);
    }
    if noted.further > room {
        return Ok(None);
    }
    write(&mut tx, number, changed.into_values().collect(), replaced).await?;
    tx.commit().await.map_err(fault)?;
    Ok(Some(noted))
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

/// Whether a device is in an upload that is no batch yet.
fn is_staged(place: Option<(u64, bool)>) -> bool {
    place.is_some_and(|(_, live)| !live)
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

/// Nothing is the empty text here, so that lots without a name are found by an index too.
fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

pub(super) fn result(number: i64) -> Result<LineResult, Error> {
    LineResult::of_number(natural(number)?).ok_or_else(|| Error::damaged("a test result"))
}

fn record(columns: WordColumns) -> Result<LineRecord, Error> {
    let (serial, lot, order, station, number, before, after) = columns;
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(LineRecord {
        serial,
        result: result(number)?,
        lot: some(lot),
        order: some(order),
        station: some(station),
        before: before.map(natural).transpose()?,
        after: after.map(natural).transpose()?,
    })
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
    let mut stands: BTreeMap<String, _> = stands
        .into_iter()
        .map(|(serial, runs, batch, born)| (serial, (runs, batch, born)))
        .collect();
    let mut rows = BTreeMap::new();
    for columns in words {
        let record = record(columns)?;
        let Some((runs, batch, born)) = stands.remove(&record.serial) else { continue };
        let batch = batch.map(natural).transpose()?;
        let row = LineRow { runs: natural(runs)?, batch, born: born == 1, record };
        rows.insert(row.record.serial.clone(), row);
    }
    Ok(rows)
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
    let mut earlier: BTreeMap<String, Vec<LineRecord>> = BTreeMap::new();
    for columns in words {
        let record = record(columns)?;
        earlier.entry(record.serial.clone()).or_default().push(record);
    }
    Ok(earlier)
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
    found.into_iter().map(|(serial, upload, live)| Ok((serial, (natural(upload)?, live)))).collect()
}
