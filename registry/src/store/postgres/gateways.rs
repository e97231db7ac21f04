//! Gateways and their acknowledgements, in the private directory.

use super::fault::fault;
use super::text::Text;
use super::writer::Writer;
use crate::Error;
use crate::claims::Claim;
use crate::store::columns::{fixed, integer, natural};
use crate::store::{CountedHour, GatewayRow, GatewaysSave, Sighting, SizeRow};
use muster_api::limits;
use muster_identity::Did;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;

type GatewayColumns =
    (i64, Vec<u8>, Text, Text, Option<Text>, Option<i64>, Option<Text>, Option<i64>);

/// All gateways with what they acknowledged.
pub(super) async fn all(pool: &PgPool) -> Result<Vec<GatewayRow>, Error> {
    const SQL: &str = "SELECT no, organisation, name, registration, heard, heard_at, told, told_at \
        FROM gateways ORDER BY organisation, name";
    let found: Vec<GatewayColumns> = sqlx::query_as(SQL).fetch_all(pool).await.map_err(fault)?;
    const SIZES: &str =
        "SELECT gateway, size, since, stated, received FROM gateway_sizes ORDER BY gateway, size";
    let list: Vec<(i64, i64, i64, i64, i64)> =
        sqlx::query_as(SIZES).fetch_all(pool).await.map_err(fault)?;
    let mut sizes: BTreeMap<i64, Vec<SizeRow>> = BTreeMap::new();
    for (no, size, since, stated, received) in list {
        sizes.entry(no).or_default().push(SizeRow {
            size: natural(size)?,
            since: natural(since)?,
            stated: natural(stated)?,
            received: natural(received)?,
        });
    }
    let mut all = Vec::with_capacity(found.len());
    for (no, organisation, Text(name), Text(registration), heard, heard_at, told, told_at) in found
    {
        let token = |token: Option<Text>, at: Option<i64>| match token.zip(at) {
            Some((Text(token), at)) => Ok::<_, Error>(Some((token, natural(at)?))),
            None => Ok(None),
        };
        all.push(GatewayRow {
            organisation: Did::from_digest(fixed(&organisation)?),
            name,
            registration,
            heard: token(heard, heard_at)?,
            told: token(told, told_at)?,
            sizes: sizes.remove(&no).unwrap_or_default(),
            least: 0,
        });
    }
    Ok(all)
}

/// Writes what changed: all or nothing.
pub(super) async fn save(writer: &Writer, save: GatewaysSave) -> Result<(), Error> {
    let mut write = writer.begin().await?;
    let done = save_all(write.on(), &save).await;
    write.end(done).await
}

async fn save_all(connection: &mut PgConnection, save: &GatewaysSave) -> Result<(), Error> {
    const ROW: &str = "INSERT INTO gateways \
        (organisation, name, registration, heard, heard_at, told, told_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(organisation, name) DO UPDATE SET \
        registration = excluded.registration, heard = excluded.heard, \
        heard_at = excluded.heard_at, told = excluded.told, told_at = excluded.told_at \
        RETURNING no";
    // What a gateway that is forgotten let through stays counted, as nobody's: number 0.
    const NOBODYS: &str = "INSERT INTO gateway_hours SELECT hour, 0, allowed, refused \
        FROM gateway_hours WHERE gateway = (SELECT no FROM gateways \
        WHERE organisation = $1 AND name = $2) ON CONFLICT(hour, gateway) DO UPDATE SET \
        allowed = gateway_hours.allowed + excluded.allowed, \
        refused = gateway_hours.refused + excluded.refused";
    const HOURS: &str = "DELETE FROM gateway_hours WHERE gateway = \
        (SELECT no FROM gateways WHERE organisation = $1 AND name = $2)";
    const GONE: &str = "DELETE FROM gateway_sizes WHERE gateway = \
        (SELECT no FROM gateways WHERE organisation = $1 AND name = $2)";
    // Only of devices that are on the ledger, so that the table has a bound.
    const SEEN: &str = "INSERT INTO seen SELECT $1::bytea, $2::bigint, no FROM gateways \
        WHERE organisation = $3 AND name = $4 AND EXISTS (SELECT 1 FROM claims WHERE digest = $1) \
        ON CONFLICT(name) DO UPDATE SET time = excluded.time, gateway = excluded.gateway \
        WHERE excluded.time > seen.time";
    for (organisation, name) in &save.gone {
        const ROW: &str = "DELETE FROM gateways WHERE organisation = $1 AND name = $2";
        for sql in [NOBODYS, HOURS, GONE, ROW] {
            sqlx::query(sql)
                .bind(&organisation.digest()[..])
                .bind(Text::of(name))
                .execute(&mut *connection)
                .await
                .map_err(fault)?;
        }
    }
    for row in &save.rows {
        let at =
            |token: &Option<(String, u64)>| token.as_ref().map(|(_, at)| integer(*at)).transpose();
        let no: i64 = sqlx::query_scalar(ROW)
            .bind(&row.organisation.digest()[..])
            .bind(Text::of(&row.name))
            .bind(Text::of(&row.registration))
            .bind(row.heard.as_ref().map(|(token, _)| Text::of(token)))
            .bind(at(&row.heard)?)
            .bind(row.told.as_ref().map(|(token, _)| Text::of(token)))
            .bind(at(&row.told)?)
            .fetch_one(&mut *connection)
            .await
            .map_err(fault)?;
        sqlx::query("DELETE FROM gateway_sizes WHERE gateway = $1 AND size < $2")
            .bind(no)
            .bind(i64::try_from(row.least).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
        for size in &row.sizes {
            sqlx::query(
                "INSERT INTO gateway_sizes VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(no)
            .bind(integer(size.size)?)
            .bind(integer(size.since)?)
            .bind(integer(size.stated)?)
            .bind(integer(size.received)?)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
        }
    }
    for seen in &save.seen {
        sqlx::query(SEEN)
            .bind(&seen.device.0[..])
            .bind(integer(seen.time)?)
            .bind(&seen.by.0.digest()[..])
            .bind(Text::of(&seen.by.1))
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    count(connection, &save.counted).await
}

/// Adds what gateways let through and refused, and forgets what is older than is kept.
async fn count(connection: &mut PgConnection, counted: &[CountedHour]) -> Result<(), Error> {
    const ADD: &str = "INSERT INTO gateway_hours SELECT $1::bigint, no, $2::bigint, $3::bigint FROM gateways \
        WHERE organisation = $4 AND name = $5 ON CONFLICT(hour, gateway) DO UPDATE SET \
        allowed = gateway_hours.allowed + excluded.allowed, \
        refused = gateway_hours.refused + excluded.refused";
    for CountedHour { by, counts } in counted {
        sqlx::query(ADD)
            .bind(integer(counts.hour)?)
            .bind(integer(counts.allowed)?)
            .bind(integer(counts.refused)?)
            .bind(&by.0.digest()[..])
            .bind(Text::of(&by.1))
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    if let Some(newest) = counted.iter().map(|counted| counted.counts.hour).max() {
        let kept = newest.saturating_sub(24 * limits::ACTIVITY_DAYS);
        sqlx::query("DELETE FROM gateway_hours WHERE hour < $1")
            .bind(integer(kept)?)
            .execute(connection)
            .await
            .map_err(fault)?;
    }
    Ok(())
}

/// When a device was last let through, and by which gateway.
pub(super) async fn seen(pool: &PgPool, did: Did) -> Result<Option<Sighting>, Error> {
    const SQL: &str = "SELECT seen.time, gateways.organisation, gateways.name FROM seen \
        JOIN gateways ON gateways.no = seen.gateway WHERE seen.name = $1";
    let row: Option<(i64, Vec<u8>, Text)> = sqlx::query_as(SQL)
        .bind(&Claim::of_did(&did).0[..])
        .fetch_optional(pool)
        .await
        .map_err(fault)?;
    row.map(|(time, organisation, Text(gateway))| {
        let organisation = Did::from_digest(fixed(&organisation)?);
        Ok(Sighting { time: natural(time)?, organisation, gateway })
    })
    .transpose()
}
