//! Lots are read. Balances come from indexes that hold all they need, in their own order.

use super::fault::fault;
use super::reading::digests;
use super::text::Text;
use crate::Error;
use crate::claims::Claim;
use crate::counters::Counters;
use crate::store::columns::{fixed, integer, natural};
use crate::store::line::result;
use crate::store::{Asked, Counted, LotDevice, LotDevices, LotGroup, WhichLots};
use futures_util::TryStreamExt as _;
use muster_api::LineResult;
use muster_ledger::BatchId;
use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, FromRow};
use std::collections::BTreeMap;

/// The lots that are asked for, as parameters 1 to 8.
const LOTS: &str = "line.organisation = (SELECT no FROM organisations WHERE did = $1) \
    AND line.lot >= $2 AND ($3::text IS NULL OR line.lot <= $3) \
    AND ($4::text IS NULL OR line.ord = $4) \
    AND ($5::text IS NULL OR (line.lot, line.ord) > ($5, $6)) \
    AND ($7::text IS NULL OR (line.lot, line.ord) <= ($7, $8))";

/// The device of a line record, if it is in a live batch.
const DEVICE: &str = "serial_of ON serial_of.organisation = line.organisation \
        AND serial_of.serial = line.serial \
    JOIN serials ON serials.name = serial_of.name AND serials.serial = serial_of.serial \
    JOIN batches ON batches.no = serials.upload";

/// Its batch was no live one when the line told of it, or it had none.
const UNSETTLED: &str =
    "(line.batch IS NULL OR NOT EXISTS (SELECT 1 FROM batches AS b WHERE b.no = line.batch))";

/// Where a station counted.
const COUNTED: &str = "counter_before IS NOT NULL AND counter_after IS NOT NULL";

fn lots_of(asked: &Asked) -> Result<PgArguments, Error> {
    let unbound = |e: sqlx::error::BoxDynError| Error::Us(e.to_string());
    let (after, to) = (asked.after.as_ref(), asked.to.as_ref());
    let low = asked.lot.as_ref().or(after.map(|(lot, _)| lot)).cloned().unwrap_or_default();
    let mut all = PgArguments::default();
    all.add(asked.organisation.digest().to_vec()).map_err(unbound)?;
    all.add(Text(low)).map_err(unbound)?;
    let high = asked.lot.as_ref().or(to.map(|(lot, _)| lot));
    all.add(high.cloned().map(Text)).map_err(unbound)?;
    let places =
        [after.map(|(l, _)| l), after.map(|(_, o)| o), to.map(|(l, _)| l), to.map(|(_, o)| o)];
    for text in std::iter::once(asked.order.as_ref()).chain(places) {
        all.add(text.cloned().map(Text)).map_err(unbound)?;
    }
    Ok(all)
}

async fn all<T>(pool: &PgPool, sql: String, with: PgArguments) -> Result<Vec<T>, Error>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    sqlx::query_as_with(AssertSqlSafe(sql), with).fetch_all(pool).await.map_err(fault)
}

pub(super) async fn lots(
    pool: &PgPool,
    asked: Asked,
    count: u64,
) -> Result<Vec<(String, String)>, Error> {
    let count = integer(count)?;
    let sql =
        format!("SELECT DISTINCT lot, ord FROM line WHERE {LOTS} ORDER BY lot, ord LIMIT {count}");
    let found: Vec<(Text, Text)> = all(pool, sql, lots_of(&asked)?).await?;
    Ok(found.into_iter().map(|(lot, order)| (lot.0, order.0)).collect())
}

type GroupColumns = (Text, Text, i64, Option<Vec<u8>>, i64, i64);

fn group(
    (Text(lot), Text(order), number, batch, devices, reruns): GroupColumns,
) -> Result<LotGroup, Error> {
    Ok(LotGroup {
        lot,
        order,
        result: result(number)?,
        batch: batch.map(|id| Ok::<_, Error>(BatchId(fixed(&id)?))).transpose()?,
        devices: natural(devices)?,
        reruns: natural(reruns)?,
    })
}

/// Devices whose batch was live when the line told of them, or is now, are counted in the index
/// alone. The others are looked up, one by one; those found are in the first count as well.
pub(super) async fn groups(pool: &PgPool, asked: Asked) -> Result<Vec<LotGroup>, Error> {
    let sql = format!(
        "SELECT lot, ord, result, (SELECT id FROM batches WHERE no = batch), devices, reruns \
         FROM (SELECT lot, ord, result, batch, count(*) AS devices, sum(runs - 1)::bigint AS reruns \
         FROM line WHERE {LOTS} GROUP BY lot, ord, result, batch) AS counted"
    );
    let found: Vec<GroupColumns> = all(pool, sql, lots_of(&asked)?).await?;
    let mut groups: Vec<LotGroup> = found.into_iter().map(group).collect::<Result<_, _>>()?;
    if groups.iter().all(|group| group.batch.is_some()) {
        return Ok(groups);
    }
    let sql = format!(
        "SELECT line.lot, line.ord, line.result, batches.id, count(*), 0::bigint FROM line JOIN {DEVICE} \
         WHERE {LOTS} AND {UNSETTLED} GROUP BY 1, 2, 3, 4"
    );
    let late: Vec<GroupColumns> = all(pool, sql, lots_of(&asked)?).await?;
    for late in late {
        let late = group(late)?;
        let mut left = late.devices;
        let same = |g: &&mut LotGroup| {
            g.batch.is_none()
                && (&g.lot, &g.order, g.result) == (&late.lot, &late.order, late.result)
        };
        for group in groups.iter_mut().filter(same) {
            let moved = group.devices.min(left);
            (group.devices, left) = (group.devices - moved, left - moved);
        }
        groups.push(late);
    }
    Ok(groups)
}

pub(super) async fn groups_of(
    pool: &PgPool,
    asked: Asked,
    names: Vec<Claim>,
) -> Result<Vec<LotGroup>, Error> {
    let sql = format!(
        "SELECT line.lot, line.ord, line.result, batches.id, 1::bigint, 0::bigint FROM line JOIN {DEVICE} \
         WHERE {LOTS} AND (line.organisation, line.serial) IN (SELECT organisation, serial \
         FROM serials WHERE name = ANY($9))"
    );
    let mut with = lots_of(&asked)?;
    with.add(digests(&names)).map_err(|e| Error::Us(e.to_string()))?;
    let found: Vec<GroupColumns> = all(pool, sql, with).await?;
    found.into_iter().map(group).collect()
}

type CountColumns = (Text, i64, i64, Text, Text, i64);

/// Counts of a station, from the row before the lots that are asked for to the row behind them.
struct Stretch {
    station: Option<String>,
    low: i64,
    high: i64,
}

/// One after the other: a station counts millions.
pub(super) async fn counts(pool: &PgPool, asked: Asked) -> Result<Counters, Error> {
    const SQL: &str = "SELECT station, counter_before, counter_after, lot, ord, again FROM ( \
        SELECT organisation, station, counter_before, counter_after, lot, ord, 0::bigint AS again \
        FROM line WHERE counter_before IS NOT NULL AND counter_after IS NOT NULL UNION ALL \
        SELECT organisation, station, counter_before, counter_after, lot, ord, 1::bigint \
        FROM line_earlier WHERE counter_before IS NOT NULL AND counter_after IS NOT NULL) AS counted \
        WHERE organisation = (SELECT no FROM organisations WHERE did = $1) \
        AND station >= $2 AND ($3::text IS NULL OR station <= $3) \
        AND counter_before BETWEEN $4 AND $5 \
        ORDER BY station, counter_before, counter_after";
    let mut counters = Counters::default();
    for Stretch { station, low, high } in stretches(pool, &asked).await? {
        let query = sqlx::query_as(SQL).bind(asked.organisation.digest().to_vec());
        let query = query.bind(Text(station.clone().unwrap_or_default()));
        let query = query.bind(station.map(Text));
        let mut found = query.bind(low).bind(high).fetch(pool);
        while let Some(row) = found.try_next().await.map_err(fault)? {
            let (Text(station), before, after, Text(lot), Text(order), again): CountColumns = row;
            let (before, after) = (natural(before)?, natural(after)?);
            counters.count(Counted { station, before, after, lot, order, again: again == 1 });
        }
    }
    Ok(counters)
}

/// Of all lots, all that was counted.
async fn stretches(pool: &PgPool, asked: &Asked) -> Result<Vec<Stretch>, Error> {
    if asked.lot.is_none() && asked.order.is_none() && asked.after.is_none() {
        return Ok(vec![Stretch { station: None, low: 0, high: i64::MAX }]);
    }
    let mut ends: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for table in ["line", "line_earlier AS line"] {
        let sql = format!(
            "SELECT station, min(counter_before), max(counter_after) FROM {table} \
             WHERE {LOTS} AND {COUNTED} GROUP BY station"
        );
        let found: Vec<(Text, i64, i64)> = all(pool, sql, lots_of(asked)?).await?;
        for (Text(station), low, high) in found {
            let end = ends.entry(station).or_insert((low, high));
            *end = (end.0.min(low), end.1.max(high));
        }
    }
    let mut stretches = Vec::new();
    for (station, (low, high)) in ends {
        let row = |which: &'static str, end: i64| {
            const ONE: &str = "SELECT counter_before FROM line WHERE organisation = \
                (SELECT no FROM organisations WHERE did = $1) AND station = $2 \
                AND counter_before IS NOT NULL AND counter_after IS NOT NULL";
            sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!("{ONE} {which} LIMIT 1")))
                .bind(asked.organisation.digest().to_vec())
                .bind(Text::of(&station))
                .bind(end)
                .fetch_optional(pool)
        };
        let before = row("AND counter_before < $3 ORDER BY counter_before DESC", low).await;
        let behind = row("AND counter_before >= $3 ORDER BY counter_before", high).await;
        let low = before.map_err(fault)?.unwrap_or(low);
        let high = behind.map_err(fault)?.unwrap_or(high);
        stretches.push(Stretch { station: Some(station), low, high });
    }
    Ok(stretches)
}

type DeviceColumns = (Text, Text, Text, i64, Option<Vec<u8>>, Option<Vec<u8>>);

pub(super) async fn devices(
    pool: &PgPool,
    asked: Asked,
    which: WhichLots,
    after: String,
    count: u64,
) -> Result<LotDevices, Error> {
    let which = match which {
        WhichLots::All => "true".to_owned(),
        WhichLots::Result(result) => format!("line.result = {}", result.number()),
        WhichLots::NotEnrolled => format!("line.result = 0 AND {UNSETTLED}"),
    };
    let count = integer(count)?;
    let sql = format!(
        "SELECT line.serial, line.lot, line.ord, line.result, batches.id, leaves.leaf \
         FROM line LEFT JOIN ({DEVICES}) AS device ON device.organisation = line.organisation \
         AND device.serial = line.serial LEFT JOIN batches ON batches.no = device.no \
         LEFT JOIN leaves ON leaves.batch = device.no AND leaves.name = device.name \
         WHERE {LOTS} AND {which} AND line.serial > $9 ORDER BY line.serial LIMIT {count}",
        DEVICES = "SELECT serial_of.organisation, serial_of.serial, serials.name, \
             serials.upload AS no FROM serial_of JOIN serials ON serials.name = serial_of.name \
             AND serials.serial = serial_of.serial"
    );
    let mut with = lots_of(&asked)?;
    with.add(Text(after)).map_err(|e| Error::Us(e.to_string()))?;
    let found: Vec<DeviceColumns> = all(pool, sql, with).await?;
    let mut devices = LotDevices::default();
    for (Text(serial), Text(lot), Text(order), number, batch, leaf) in found {
        let enrolled = match (batch, leaf) {
            (Some(batch), Some(leaf)) => Some((BatchId(fixed(&batch)?), leaf)),
            _ => None,
        };
        let result = result(number)?;
        devices.devices.push(LotDevice { serial, lot, order, result, enrolled });
    }
    if devices.devices.iter().any(|d| d.result == LineResult::Scrap && d.enrolled.is_some()) {
        const BORN: &str = "SELECT batches.id, count(*) FROM line \
            JOIN batches ON batches.no = line.batch WHERE line.result = 2 AND line.born = 1 \
            AND line.organisation = (SELECT no FROM organisations WHERE did = $1) \
            GROUP BY batches.id";
        let born: Vec<(Vec<u8>, i64)> = sqlx::query_as(BORN)
            .bind(&asked.organisation.digest()[..])
            .fetch_all(pool)
            .await
            .map_err(fault)?;
        for (id, count) in born {
            devices.born.insert(BatchId(fixed(&id)?), natural(count)?);
        }
    }
    Ok(devices)
}
