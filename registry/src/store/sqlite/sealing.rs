use super::bulk::Insert;
use super::fault::{fault, fixed, natural};
use super::{staging, uploads};
use crate::Error;
use crate::claims::Claim;
use crate::store::{Clash, Clashes, Serial, Settle, Upload};
use muster_api::{Problem, RowVerdict};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use std::collections::BTreeMap;

static ENTER: Insert = Insert::new("INSERT INTO serial_of", "(?,?,?)", "ON CONFLICT DO NOTHING");
static TAKE: Insert = Insert::new(
    "INSERT INTO serial_of",
    "(?,?,?)",
    "ON CONFLICT DO UPDATE SET name = excluded.name",
);

async fn insert(
    how: &'static Insert,
    connection: &mut SqliteConnection,
    organisation: i64,
    serials: &[Serial],
) -> Result<u64, Error> {
    how.run(connection, serials, |query, serial| {
        let query = query.bind(organisation).bind(serial.serial.clone());
        Ok(query.bind(serial.name.0.to_vec()))
    })
    .await
}

/// Enters serial numbers that nobody has, in their own order: one small transaction. False:
/// somebody has some of them, which are left to [`enter`].
pub(super) async fn enter_new(
    pool: &SqlitePool,
    upload: u64,
    serials: Vec<Serial>,
) -> Result<bool, Problem> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let (_, organisation) = begin(&mut tx, upload).await?;
    let written = insert(&ENTER, &mut tx, organisation, &serials).await?;
    tx.commit().await.map_err(fault)?;
    Ok(written == serials.len() as u64)
}

/// Enters serial numbers, likewise; those that somebody has are looked up and settled.
pub(super) async fn enter(
    pool: &SqlitePool,
    upload: u64,
    serials: Vec<Serial>,
    settle: Settle,
) -> Result<Vec<RowVerdict>, Problem> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let (found, organisation) = begin(&mut tx, upload).await?;
    let written = insert(&ENTER, &mut tx, organisation, &serials).await?;
    let mut verdicts = Vec::new();
    if written < serials.len() as u64 {
        let clashes = clashes(&mut tx, organisation, serials).await?;
        let numbers = clashes.iter().filter_map(|clash| clash.upload).collect();
        let places = staging::places(&mut tx, &numbers).await?;
        let settled = settle(&Clashes { upload: found, clashes, places })?;
        staging::evict(&mut tx, &settled.evict).await?;
        insert(&TAKE, &mut tx, organisation, &settled.take).await?;
        if !settled.refuse.is_empty() {
            staging::remove(&mut tx, upload, &settled.refuse).await?;
        }
        verdicts = settled.verdicts;
    }
    tx.commit().await.map_err(fault)?;
    Ok(verdicts)
}

/// The upload, if it is still there, and the number of its organisation.
async fn begin(connection: &mut SqliteConnection, upload: u64) -> Result<(Upload, i64), Problem> {
    let Some(found) = uploads::by_number(connection, upload).await? else {
        return Err(crate::upload::unknown());
    };
    let organisation = organisation(connection, &found).await?;
    Ok((found, organisation))
}

async fn organisation(connection: &mut SqliteConnection, upload: &Upload) -> Result<i64, Error> {
    sqlx::query_scalar("SELECT no FROM organisations WHERE did = ?")
        .bind(&upload.organisation.digest()[..])
        .fetch_one(connection)
        .await
        .map_err(fault)
}

/// Those of the serial numbers that another device has, with that device.
async fn clashes(
    connection: &mut SqliteConnection,
    organisation: i64,
    serials: Vec<Serial>,
) -> Result<Vec<Clash>, Error> {
    /// An entry whose device has another serial number by now is nobody's.
    const SQL: &str = "SELECT serial_of.serial, serial_of.name, serials.upload FROM serial_of \
        LEFT JOIN serials ON serials.name = serial_of.name AND serials.serial = serial_of.serial \
        AND serials.organisation = serial_of.organisation \
        WHERE serial_of.organisation = ? \
        AND serial_of.serial IN (SELECT value FROM json_each(?))";
    let list: Vec<&str> = serials.iter().map(|serial| serial.serial.as_str()).collect();
    let list = serde_json::to_string(&list).map_err(|e| Error::Us(e.to_string()))?;
    let rows: Vec<(String, Vec<u8>, Option<i64>)> = sqlx::query_as(SQL)
        .bind(organisation)
        .bind(list)
        .fetch_all(connection)
        .await
        .map_err(fault)?;
    let mut holders = BTreeMap::new();
    for (serial, name, upload) in rows {
        holders.insert(serial, (Claim(fixed(&name)?), upload.map(natural).transpose()?));
    }
    let clash = |ours: Serial| {
        let (name, upload) = *holders.get(&ours.serial)?;
        (name != ours.name).then_some(Clash { ours, name, upload })
    };
    Ok(serials.into_iter().filter_map(clash).collect())
}
