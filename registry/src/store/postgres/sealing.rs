use super::fault::fault;
use super::text::Text;
use super::writer::Writer;
use super::{staging, uploads};
use crate::Error;
use crate::claims::Claim;
use crate::store::columns::{fixed, natural};
use crate::store::{Clash, Clashes, Serial, Settle, Upload};
use muster_api::{Problem, RowVerdict};
use sqlx::PgConnection;
use std::collections::BTreeMap;

const ENTER: &str = "INSERT INTO serial_of SELECT $1::bigint, * FROM unnest($2::text[], $3::bytea[]) \
    ON CONFLICT DO NOTHING";
const TAKE: &str = "INSERT INTO serial_of SELECT $1::bigint, * FROM unnest($2::text[], $3::bytea[]) \
    ON CONFLICT(organisation, serial) DO UPDATE SET name = excluded.name";

async fn insert(
    how: &'static str,
    connection: &mut PgConnection,
    organisation: i64,
    serials: &[Serial],
) -> Result<u64, Error> {
    let done = sqlx::query(how)
        .bind(organisation)
        .bind(Text::all(serials.iter().map(|serial| &serial.serial[..])))
        .bind(serials.iter().map(|serial| serial.name.0).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(done.rows_affected())
}

/// Enters serial numbers that nobody has, in their own order: one small transaction. False:
/// somebody has some of them, which are left to [`enter`].
pub(super) async fn enter_new(
    writer: &Writer,
    upload: u64,
    serials: Vec<Serial>,
) -> Result<bool, Problem> {
    let mut write = writer.begin().await?;
    let done = enter_free(write.on(), upload, &serials).await;
    write.end(done).await
}

async fn enter_free(
    connection: &mut PgConnection,
    upload: u64,
    serials: &[Serial],
) -> Result<bool, Problem> {
    let (_, organisation) = begin(connection, upload).await?;
    let written = insert(ENTER, connection, organisation, serials).await?;
    Ok(written == serials.len() as u64)
}

/// Enters serial numbers, likewise; those that somebody has are looked up and settled.
pub(super) async fn enter(
    writer: &Writer,
    upload: u64,
    serials: Vec<Serial>,
    settle: Settle,
) -> Result<Vec<RowVerdict>, Problem> {
    let mut write = writer.begin().await?;
    let done = enter_all(write.on(), upload, serials, settle).await;
    write.end(done).await
}

async fn enter_all(
    connection: &mut PgConnection,
    upload: u64,
    serials: Vec<Serial>,
    settle: Settle,
) -> Result<Vec<RowVerdict>, Problem> {
    let (found, organisation) = begin(connection, upload).await?;
    let written = insert(ENTER, connection, organisation, &serials).await?;
    if written == serials.len() as u64 {
        return Ok(Vec::new());
    }
    let clashes = clashes(connection, organisation, serials).await?;
    let numbers = clashes.iter().filter_map(|clash| clash.upload).collect();
    let places = staging::places(connection, &numbers).await?;
    let settled = settle(&Clashes { upload: found, clashes, places })?;
    staging::evict(connection, &settled.evict).await?;
    // A statement may change a row once: of a serial number that comes twice, the last has it.
    let last: BTreeMap<&str, &Serial> =
        settled.take.iter().map(|serial| (&serial.serial[..], serial)).collect();
    let take: Vec<Serial> = last.into_values().cloned().collect();
    insert(TAKE, connection, organisation, &take).await?;
    if !settled.refuse.is_empty() {
        staging::remove(connection, upload, &settled.refuse).await?;
    }
    Ok(settled.verdicts)
}

/// The upload, if it is still there, and the number of its organisation.
async fn begin(connection: &mut PgConnection, upload: u64) -> Result<(Upload, i64), Problem> {
    let Some(found) = uploads::by_number(connection, upload).await? else {
        return Err(crate::upload::unknown());
    };
    let organisation = organisation(connection, &found).await?;
    Ok((found, organisation))
}

async fn organisation(connection: &mut PgConnection, upload: &Upload) -> Result<i64, Error> {
    sqlx::query_scalar("SELECT no FROM organisations WHERE did = $1")
        .bind(upload.organisation.digest())
        .fetch_one(connection)
        .await
        .map_err(fault)
}

/// Those of the serial numbers that another device has, with that device.
async fn clashes(
    connection: &mut PgConnection,
    organisation: i64,
    serials: Vec<Serial>,
) -> Result<Vec<Clash>, Error> {
    /// An entry whose device has another serial number by now is nobody's.
    const SQL: &str = "SELECT serial_of.serial, serial_of.name, serials.upload FROM serial_of \
        LEFT JOIN serials ON serials.name = serial_of.name AND serials.serial = serial_of.serial \
        AND serials.organisation = serial_of.organisation \
        WHERE serial_of.organisation = $1 \
        AND serial_of.serial = ANY($2)";
    let list = Text::all(serials.iter().map(|serial| &serial.serial[..]));
    let rows: Vec<(Text, Vec<u8>, Option<i64>)> = sqlx::query_as(SQL)
        .bind(organisation)
        .bind(list)
        .fetch_all(connection)
        .await
        .map_err(fault)?;
    let mut holders = BTreeMap::new();
    for (Text(serial), name, upload) in rows {
        holders.insert(serial, (Claim(fixed(&name)?), upload.map(natural).transpose()?));
    }
    let clash = |ours: Serial| {
        let (name, upload) = *holders.get(&ours.serial)?;
        (name != ours.name).then_some(Clash { ours, name, upload })
    };
    Ok(serials.into_iter().filter_map(clash).collect())
}
