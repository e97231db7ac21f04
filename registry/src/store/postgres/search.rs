//! What a console looks up: ranges of indexes that stand anyway, and rows by their names.

use super::fault::fault;
use super::reading::digests;
use super::text::Text;
use crate::Error;
use crate::claims::Claim;
use crate::store::columns::{fixed, integer, natural};
use crate::store::{
    GatewayHour, ListedLeaf, NameRange, Private, SeenBy, SeenOf, SerialFound, SerialRange,
    StagedLeaf,
};
use muster_identity::Did;
use muster_ledger::BatchId;
use sqlx::PgPool;
use std::collections::BTreeMap;

type Bytes = Vec<u8>;

pub(super) async fn batch_numbers(pool: &PgPool) -> Result<BTreeMap<BatchId, u64>, Error> {
    let rows: Vec<(i64, Bytes)> =
        sqlx::query_as("SELECT no, id FROM batches").fetch_all(pool).await.map_err(fault)?;
    rows.into_iter().map(|(no, id)| Ok((BatchId(fixed(&id)?), natural(no)?))).collect()
}

/// Leaves by the number of their batch and their name, in any order.
pub(super) async fn leaves_of(
    pool: &PgPool,
    of: Vec<(u64, Claim)>,
) -> Result<Vec<StagedLeaf>, Error> {
    const SQL: &str = "SELECT leaves.name, leaf \
        FROM unnest($1::bigint[], $2::bytea[]) AS one(number, name) \
        JOIN leaves ON leaves.batch = one.number AND leaves.name = one.name";
    let numbers: Vec<i64> =
        of.iter().map(|(number, _)| integer(*number)).collect::<Result<_, _>>()?;
    let names: Vec<[u8; 16]> = of.iter().map(|(_, name)| name.0).collect();
    let rows: Vec<(Bytes, Bytes)> =
        sqlx::query_as(SQL).bind(numbers).bind(names).fetch_all(pool).await.map_err(fault)?;
    let leaf = |(name, leaf): (Bytes, Bytes)| Ok(StagedLeaf { name: Claim(fixed(&name)?), leaf });
    rows.into_iter().map(leaf).collect()
}

/// Leaves of a batch behind a name, with lots.
pub(super) async fn listed(
    pool: &PgPool,
    batch: u64,
    after: Option<Claim>,
    count: u64,
) -> Result<Vec<ListedLeaf>, Error> {
    const SQL: &str = "SELECT leaves.name, leaf, did, lot FROM leaves \
        LEFT JOIN serials ON serials.name = leaves.name AND serials.upload = leaves.batch \
        LEFT JOIN organisations ON organisations.no = serials.organisation \
        WHERE leaves.batch = $1 AND leaves.name > $2 ORDER BY leaves.name LIMIT $3";
    let rows: Vec<(Bytes, Bytes, Option<Bytes>, Option<Text>)> = sqlx::query_as(SQL)
        .bind(integer(batch)?)
        .bind(after.map_or(Vec::new(), |name| name.0.to_vec()))
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let one = |(name, leaf, did, lot): (Bytes, Bytes, Option<Bytes>, Option<Text>)| {
        let lot = match did.zip(lot) {
            Some((did, Text(lot))) => Some((Did::from_digest(fixed(&did)?), lot)),
            None => None,
        };
        Ok(ListedLeaf { name: Claim(fixed(&name)?), leaf, lot })
    };
    rows.into_iter().map(one).collect()
}

pub(super) async fn private(
    pool: &PgPool,
    organisation: Did,
    of: Vec<Claim>,
) -> Result<Private, Error> {
    const SQL: &str = "SELECT name, serial, lot FROM serials \
        WHERE name = ANY($2) AND organisation = \
        (SELECT no FROM organisations WHERE did = $1)";
    let rows: Vec<(Bytes, Text, Option<Text>)> = sqlx::query_as(SQL)
        .bind(&organisation.digest()[..])
        .bind(digests(&of))
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let one = |(name, Text(serial), lot): (Bytes, Text, Option<Text>)| {
        Ok((Claim(fixed(&name)?), (serial, lot.map(|lot| lot.0))))
    };
    rows.into_iter().map(one).collect()
}

/// Serial numbers in their order. An entry whose device has another serial number by now is
/// nobody's.
pub(super) async fn serials_from(
    pool: &PgPool,
    range: SerialRange,
) -> Result<Vec<SerialFound>, Error> {
    const SQL: &str = "SELECT serial_of.serial, serial_of.name, serials.upload FROM serial_of \
        JOIN serials ON serials.name = serial_of.name \
        AND serials.serial = serial_of.serial AND serials.organisation = serial_of.organisation \
        WHERE serial_of.organisation = (SELECT no FROM organisations WHERE did = $1) \
        AND serial_of.serial >= $2 AND ($3::text IS NULL OR serial_of.serial > $3) \
        AND ($4::text IS NULL OR serial_of.serial < $4) ORDER BY serial_of.serial LIMIT $5";
    let low = match &range.after {
        Some(after) => after.max(&range.low).clone(),
        None => range.low,
    };
    let rows: Vec<(Text, Bytes, i64)> = sqlx::query_as(SQL)
        .bind(range.organisation.digest())
        .bind(Text(low))
        .bind(range.after.map(Text))
        .bind(range.behind.map(Text))
        .bind(integer(range.count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let found = |(Text(serial), name, number): (Text, Bytes, i64)| {
        Ok(SerialFound { serial, name: Claim(fixed(&name)?), number: natural(number)? })
    };
    rows.into_iter().map(found).collect()
}

fn claim_from((name, number): (Bytes, i64)) -> Result<(Claim, u64), Error> {
    Ok((Claim(fixed(&name)?), natural(number)?))
}

/// What is claimed, in the order of names, and the number of its batch or upload.
pub(super) async fn claims_from(
    pool: &PgPool,
    range: NameRange,
) -> Result<Vec<(Claim, u64)>, Error> {
    const SQL: &str = "SELECT digest, batch FROM claims \
        WHERE digest >= $1 AND digest <= $2 AND digest > $3 ORDER BY digest LIMIT $4";
    let low = range.after.map_or(range.low, |after| after.max(range.low));
    let rows: Vec<(Bytes, i64)> = sqlx::query_as(SQL)
        .bind(low.0.to_vec())
        .bind(range.high.0.to_vec())
        .bind(range.after.map_or(Vec::new(), |name| name.0.to_vec()))
        .bind(integer(range.count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    rows.into_iter().map(claim_from).collect()
}

/// The number of the batch or upload of each of these claims that is one.
pub(super) async fn claims_of(
    pool: &PgPool,
    of: Vec<Claim>,
) -> Result<BTreeMap<Claim, u64>, Error> {
    const SQL: &str = "SELECT digest, batch FROM claims \
        WHERE digest = ANY($1)";
    let rows: Vec<(Bytes, i64)> =
        sqlx::query_as(SQL).bind(digests(&of)).fetch_all(pool).await.map_err(fault)?;
    rows.into_iter().map(claim_from).collect()
}

/// When these devices were last seen.
pub(super) async fn seen_times(
    pool: &PgPool,
    of: Vec<Claim>,
) -> Result<BTreeMap<Claim, u64>, Error> {
    const SQL: &str = "SELECT name, time FROM seen WHERE name = ANY($1)";
    let rows: Vec<(Bytes, i64)> =
        sqlx::query_as(SQL).bind(digests(&of)).fetch_all(pool).await.map_err(fault)?;
    rows.into_iter().map(claim_from).collect()
}

/// The last entry below a size that concerns each of some subjects.
pub(super) async fn last_touched(
    pool: &PgPool,
    of: Vec<[u8; 32]>,
    size: u64,
) -> Result<BTreeMap<[u8; 32], u64>, Error> {
    const SQL: &str = "SELECT one, (SELECT max(entry) FROM touched \
        WHERE subject = one AND entry < $2) FROM unnest($1::bytea[]) AS one";
    let rows: Vec<(Bytes, Option<i64>)> =
        sqlx::query_as(SQL).bind(of).bind(integer(size)?).fetch_all(pool).await.map_err(fault)?;
    let some = rows.into_iter().filter_map(|(subject, entry)| Some((subject, entry?)));
    some.map(|(subject, entry)| Ok((fixed(&subject)?, natural(entry)?))).collect()
}

/// The first entry that concerns a subject.
pub(super) async fn first_touched(pool: &PgPool, subject: [u8; 32]) -> Result<Option<u64>, Error> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT min(entry) FROM touched WHERE subject = $1")
            .bind(&subject[..])
            .fetch_one(pool)
            .await
            .map_err(fault)?;
    found.map(natural).transpose()
}

/// The newest entries below a place that concern a subject, descending.
pub(super) async fn touched_below(
    pool: &PgPool,
    subject: [u8; 32],
    below: u64,
    count: u64,
) -> Result<Vec<u64>, Error> {
    const SQL: &str = "SELECT entry FROM touched WHERE subject = $1 AND entry < $2 \
        ORDER BY entry DESC LIMIT $3";
    let rows: Vec<i64> = sqlx::query_scalar(SQL)
        .bind(&subject[..])
        .bind(integer(below)?)
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    rows.into_iter().map(natural).collect()
}

/// Which gateways saw devices last, and since when that is a day and a week ago.
pub(super) async fn seen_by(
    pool: &PgPool,
    of: SeenOf,
    (day, week): (u64, u64),
) -> Result<Vec<SeenBy>, Error> {
    const OF_NAMES: &str = "SELECT name FROM unnest($1::bytea[]) AS name LIMIT $4";
    const OF_BATCH: &str = "SELECT name FROM leaves WHERE batch = $1 ORDER BY name LIMIT $4";
    let which = match &of {
        SeenOf::Names(_) => OF_NAMES,
        SeenOf::Batch(..) => OF_BATCH,
    };
    let sql = format!(
        "SELECT gateways.organisation, gateways.name, n, day, week, last FROM \
         (SELECT seen.gateway AS by, count(*) AS n, \
         count(*) FILTER (WHERE seen.time >= $2) AS day, \
         count(*) FILTER (WHERE seen.time >= $3) AS week, max(seen.time) AS last \
         FROM ({which}) AS one JOIN seen ON seen.name = one.name GROUP BY seen.gateway) AS seen_by \
         JOIN gateways ON gateways.no = seen_by.by"
    );
    type Columns = (Bytes, Text, i64, i64, i64, i64);
    let query = sqlx::query_as::<_, Columns>(sqlx::AssertSqlSafe(sql));
    let (query, limit) = match of {
        SeenOf::Names(of) => (query.bind(digests(&of)), of.len() as u64),
        SeenOf::Batch(number, limit) => (query.bind(integer(number)?), limit),
    };
    let rows = query
        .bind(integer(day)?)
        .bind(integer(week)?)
        .bind(integer(limit)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let one = |(organisation, Text(gateway), devices, day, week, last): Columns| {
        Ok(SeenBy {
            organisation: Did::from_digest(fixed(&organisation)?),
            gateway,
            devices: natural(devices)?,
            day: natural(day)?,
            week: natural(week)?,
            last: natural(last)?,
        })
    };
    rows.into_iter().map(one).collect()
}

/// What all gateways, or those of an organisation, let through and refused, hour by hour, from one
/// hour up to another.
pub(super) async fn gateway_hours(
    pool: &PgPool,
    of: Option<Did>,
    from: u64,
    to: u64,
) -> Result<Vec<GatewayHour>, Error> {
    const SQL: &str = "SELECT hour, sum(allowed)::bigint, sum(refused)::bigint FROM gateway_hours \
        WHERE hour >= $1 AND hour < $2 AND ($3::bytea IS NULL OR gateway IN \
        (SELECT no FROM gateways WHERE organisation = $3)) GROUP BY hour ORDER BY hour";
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(SQL)
        .bind(integer(from)?)
        .bind(integer(to)?)
        .bind(of.map(|of| of.digest().to_vec()))
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let one = |(hour, allowed, refused): (i64, i64, i64)| {
        Ok(GatewayHour {
            hour: natural(hour)?,
            allowed: natural(allowed)?,
            refused: natural(refused)?,
        })
    };
    rows.into_iter().map(one).collect()
}
