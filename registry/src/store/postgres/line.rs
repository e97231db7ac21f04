//! What the line says of devices is written: one small transaction for each request.

use super::fault::fault;
use super::text::Text;
use super::writer::Writer;
use crate::Error;
use crate::store::columns::{integer, natural};
use crate::store::line::{Known, WordColumns, earlier_from, places_from, rows_from, text};
use crate::store::{LineRow, Noted};
use muster_api::LineRecord;
use muster_identity::Did;
use sqlx::{PgConnection, PgPool};

pub(super) async fn note(
    writer: &Writer,
    organisation: Did,
    records: Vec<LineRecord>,
    room: u64,
) -> Result<Option<Noted>, Error> {
    let mut write = writer.begin().await?;
    match note_records(write.on(), organisation, records, room).await {
        Ok(Some(noted)) => write.end(Ok(Some(noted))).await,
        refused => {
            write.undo().await;
            refused
        }
    }
}

async fn note_records(
    connection: &mut PgConnection,
    organisation: Did,
    records: Vec<LineRecord>,
    room: u64,
) -> Result<Option<Noted>, Error> {
    let number: i64 = sqlx::query_scalar("SELECT no FROM organisations WHERE did = $1")
        .bind(organisation.digest())
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    let serials = Text::all(records.iter().map(|record| &record.serial[..]));
    let known = known(connection, number, &serials).await?;
    let judged = known.judge(records);
    if judged.noted.further > room {
        return Ok(None);
    }
    write_rows(connection, number, &judged.changed).await?;
    write_earlier(connection, number, &judged.replaced).await?;
    Ok(Some(judged.noted))
}

/// Records of an organisation, present and earlier.
pub(super) async fn count(pool: &PgPool, organisation: Did) -> Result<u64, Error> {
    const SQL: &str = "WITH own AS (SELECT no FROM organisations WHERE did = $1) SELECT \
        (SELECT count(*) FROM line WHERE organisation IN (SELECT no FROM own)) + \
        (SELECT count(*) FROM line_earlier WHERE organisation IN (SELECT no FROM own))";
    let count: i64 =
        sqlx::query_scalar(SQL).bind(organisation.digest()).fetch_one(pool).await.map_err(fault)?;
    natural(count)
}

async fn known(
    connection: &mut PgConnection,
    organisation: i64,
    serials: &[Text],
) -> Result<Known, Error> {
    const WORDS: &str = "SELECT serial, lot, ord, station, result, counter_before, counter_after \
        FROM line WHERE organisation = $1 AND serial = ANY($2)";
    const STANDS: &str = "SELECT serial, runs, batch, born FROM line \
        WHERE organisation = $1 AND serial = ANY($2)";
    const EARLIER: &str = "SELECT serial, lot, ord, station, result, counter_before, \
        counter_after FROM line_earlier WHERE organisation = $1 AND serial = ANY($2) \
        ORDER BY serial, run";
    const PLACES: &str = "SELECT serial_of.serial, serials.upload, batches.no IS NOT NULL \
        FROM serial_of JOIN serials ON serials.name = serial_of.name \
        AND serials.serial = serial_of.serial LEFT JOIN batches ON batches.no = serials.upload \
        WHERE serial_of.organisation = $1 AND serial_of.serial = ANY($2)";
    macro_rules! all {
        ($columns:ty, $sql:expr) => {{
            let query = sqlx::query_as($sql).bind(organisation).bind(serials);
            let all: Vec<$columns> = query.fetch_all(&mut *connection).await.map_err(fault)?;
            all
        }};
    }
    let words = all!(WordTexts, WORDS);
    let stands = if words.is_empty() { Vec::new() } else { all!(StandTexts, STANDS) };
    let stand = |(Text(serial), runs, batch, born): StandTexts| (serial, runs, batch, born);
    let place = |(Text(serial), upload, live): PlaceTexts| (serial, upload, live);
    Ok(Known {
        rows: rows_from(
            words.into_iter().map(word).collect(),
            stands.into_iter().map(stand).collect(),
        )?,
        earlier: earlier_from(all!(WordTexts, EARLIER).into_iter().map(word).collect())?,
        places: places_from(all!(PlaceTexts, PLACES).into_iter().map(place).collect())?,
    })
}

/// As they stand in the database: what `WordColumns` and its like are of texts.
type WordTexts = (Text, Text, Text, Text, i64, Option<i64>, Option<i64>);
type StandTexts = (Text, i64, Option<i64>, i64);
type PlaceTexts = (Text, i64, bool);

fn word((serial, lot, order, station, result, before, after): WordTexts) -> WordColumns {
    (serial.0, lot.0, order.0, station.0, result, before, after)
}

/// Words as the columns of a statement.
#[derive(Default)]
struct Columns {
    serials: Vec<Text>,
    lots: Vec<Text>,
    orders: Vec<Text>,
    stations: Vec<Text>,
    results: Vec<i64>,
    before: Vec<Option<i64>>,
    after: Vec<Option<i64>>,
}

impl Columns {
    fn of<'a>(records: impl Iterator<Item = &'a LineRecord>) -> Result<Self, Error> {
        let mut all = Self::default();
        for record in records {
            all.serials.push(Text::of(&record.serial));
            all.lots.push(Text(text(&record.lot)));
            all.orders.push(Text(text(&record.order)));
            all.stations.push(Text(text(&record.station)));
            all.results.push(integer(record.result.number())?);
            all.before.push(record.before.map(integer).transpose()?);
            all.after.push(record.after.map(integer).transpose()?);
        }
        Ok(all)
    }
}

async fn write_rows(
    connection: &mut PgConnection,
    organisation: i64,
    rows: &[LineRow],
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO line(organisation, serial, lot, ord, station, result, \
        counter_before, counter_after, runs, batch, born) SELECT $1::bigint, * FROM unnest( \
        $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], \
        $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) \
        ON CONFLICT(organisation, serial) DO UPDATE SET lot = excluded.lot, \
        ord = excluded.ord, station = excluded.station, result = excluded.result, \
        counter_before = excluded.counter_before, counter_after = excluded.counter_after, \
        runs = excluded.runs, batch = excluded.batch, born = excluded.born";
    let columns = Columns::of(rows.iter().map(|row| &row.record))?;
    let runs: Vec<i64> = rows.iter().map(|row| integer(row.runs)).collect::<Result<_, _>>()?;
    let batches: Vec<Option<i64>> =
        rows.iter().map(|row| row.batch.map(integer).transpose()).collect::<Result<_, _>>()?;
    let born: Vec<i64> = rows.iter().map(|row| i64::from(row.born)).collect();
    sqlx::query(SQL)
        .bind(organisation)
        .bind(columns.serials)
        .bind(columns.lots)
        .bind(columns.orders)
        .bind(columns.stations)
        .bind(columns.results)
        .bind(columns.before)
        .bind(columns.after)
        .bind(runs)
        .bind(batches)
        .bind(born)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}

async fn write_earlier(
    connection: &mut PgConnection,
    organisation: i64,
    earlier: &[(u64, LineRecord)],
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO line_earlier(organisation, serial, lot, ord, station, result, \
        counter_before, counter_after, run) SELECT $1::bigint, * FROM unnest($2::text[], \
        $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], \
        $9::bigint[]) ON CONFLICT DO NOTHING";
    let columns = Columns::of(earlier.iter().map(|(_, record)| record))?;
    let runs: Vec<i64> = earlier.iter().map(|(run, _)| integer(*run)).collect::<Result<_, _>>()?;
    sqlx::query(SQL)
        .bind(organisation)
        .bind(columns.serials)
        .bind(columns.lots)
        .bind(columns.orders)
        .bind(columns.stations)
        .bind(columns.results)
        .bind(columns.before)
        .bind(columns.after)
        .bind(runs)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}
