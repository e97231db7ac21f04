use super::fault::fault;
use super::reading::digests;
use super::text::Text;
use super::uploads;
use super::writer::Writer;
use crate::Error;
use crate::claims::Claim;
use crate::store::columns::{directory_from, fixed, integer, natural};
use crate::store::{CheckedRow, DirectoryRow, Found, Judge, Place, Plan, Staged};
use muster_api::Problem;
use muster_identity::Did;
use muster_identity::cbor::Decode as _;
use muster_ledger::{BatchId, Leaf};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Looks the rows up, asks the judge, and does as it says: one small transaction.
///
/// Rows that nobody claims are the rule: their claims are written first, and only if one of them
/// stands already are all of them looked up.
pub(super) async fn stage(
    writer: &Writer,
    upload: u64,
    rows: Arc<[CheckedRow]>,
    judge: Judge,
) -> Result<Staged, Problem> {
    let mut write = writer.begin().await?;
    let done = stage_rows(write.on(), upload, &rows, judge).await;
    write.end(done).await
}

async fn stage_rows(
    connection: &mut PgConnection,
    upload: u64,
    rows: &[CheckedRow],
    judge: Judge,
) -> Result<Staged, Problem> {
    sqlx::raw_sql("SAVEPOINT fresh").execute(&mut *connection).await.map_err(fault)?;
    let all: Vec<&CheckedRow> = rows.iter().collect();
    let fresh = claim_new(connection, upload, &all).await?;
    let found = if fresh {
        Found::fresh(uploads::by_number(connection, upload).await?)
    } else {
        sqlx::raw_sql(BACK).execute(&mut *connection).await.map_err(fault)?;
        find(connection, upload, rows).await?
    };
    let plan = judge(&found)?;
    let anew = fresh && plan.writes_all(rows.len());
    if anew {
        put(connection, upload, &all, &plan).await?;
    } else {
        sqlx::raw_sql(BACK).execute(&mut *connection).await.map_err(fault)?;
        if !plan.write.is_empty() || !plan.evict.is_empty() {
            write(connection, upload, rows, &plan).await?;
        }
    }
    Ok(Staged { verdicts: plan.verdicts, anew })
}

const BACK: &str = "ROLLBACK TO fresh";

/// Writes the claims of rows; whether none of them was there.
async fn claim_new(
    connection: &mut PgConnection,
    upload: u64,
    rows: &[&CheckedRow],
) -> Result<bool, Error> {
    let claims: Vec<[u8; 16]> =
        rows.iter().flat_map(|row| row.claims()).map(|claim| claim.0).collect();
    let count = claims.len() as u64;
    let done = claim(connection, upload, claims, "ON CONFLICT DO NOTHING").await?;
    Ok(done == count)
}

async fn claim(
    connection: &mut PgConnection,
    upload: u64,
    claims: Vec<[u8; 16]>,
    otherwise: &'static str,
) -> Result<u64, Error> {
    const CLAIMS: &str =
        "INSERT INTO claims SELECT one, $1::bigint FROM unnest($2::bytea[]) AS one ";
    let done = sqlx::query(AssertSqlSafe(format!("{CLAIMS}{otherwise}")))
        .bind(integer(upload)?)
        .bind(claims)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(done.rows_affected())
}

async fn find(
    connection: &mut PgConnection,
    upload: u64,
    rows: &[CheckedRow],
) -> Result<Found, Error> {
    let upload = uploads::by_number(connection, upload).await?;
    let claims = claims_of(connection, rows).await?;
    let named = match &upload {
        None => Vec::new(),
        Some(upload) => {
            let names = rows.iter().map(|row| row.name.0).collect();
            directory(connection, &upload.organisation, names).await?
        }
    };
    let numbers = claims.values().copied().chain(named.iter().map(|row| row.upload)).collect();
    let places = places(connection, &numbers).await?;
    let by_name = named.into_iter().map(|row| (row.name, row)).collect();
    Ok(Found { upload, claims, places, by_name, fresh: false })
}

async fn claims_of(
    connection: &mut PgConnection,
    rows: &[CheckedRow],
) -> Result<BTreeMap<Claim, u64>, Error> {
    const SQL: &str = "SELECT digest, batch FROM claims WHERE digest = ANY($1)";
    let claims: Vec<Claim> = rows.iter().flat_map(CheckedRow::claims).collect();
    let list = digests(&claims);
    let found: Vec<(Vec<u8>, i64)> =
        sqlx::query_as(SQL).bind(list).fetch_all(connection).await.map_err(fault)?;
    found.iter().map(|(digest, n)| Ok((Claim(fixed(digest)?), natural(*n)?))).collect()
}

/// Name, serial number, lot, upload, row.
type DirectoryTexts = (Vec<u8>, Text, Option<Text>, i64, i64);

/// Directory rows of an organisation by a list of names.
async fn directory(
    connection: &mut PgConnection,
    organisation: &Did,
    names: Vec<[u8; 16]>,
) -> Result<Vec<DirectoryRow>, Error> {
    const SQL: &str = "SELECT name, serial, lot, upload, \"row\" FROM serials \
        WHERE name = ANY($2) AND organisation = \
        (SELECT no FROM organisations WHERE did = $1)";
    let rows: Vec<DirectoryTexts> = sqlx::query_as(SQL)
        .bind(organisation.digest())
        .bind(names)
        .fetch_all(connection)
        .await
        .map_err(fault)?;
    let one = |(name, Text(serial), lot, upload, row): (_, _, Option<Text>, _, _)| {
        directory_from((name, serial, lot.map(|lot| lot.0), upload, row))
    };
    rows.into_iter().map(one).collect()
}

/// Where numbers lead.
pub(super) async fn places(
    connection: &mut PgConnection,
    numbers: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Place>, Error> {
    const SQL: &str = "SELECT no, id FROM batches WHERE no = ANY($1)";
    let list: Vec<i64> = numbers.iter().map(|number| integer(*number)).collect::<Result<_, _>>()?;
    let live: Vec<(i64, Vec<u8>)> =
        sqlx::query_as(SQL).bind(&list).fetch_all(&mut *connection).await.map_err(fault)?;
    let mut places = BTreeMap::new();
    for (number, id) in live {
        places.insert(natural(number)?, Place::Live(BatchId(fixed(&id)?)));
    }
    for upload in uploads::by_numbers(connection, &list).await? {
        places.insert(upload.number, Place::Staged(upload));
    }
    Ok(places)
}

async fn write(
    connection: &mut PgConnection,
    upload: u64,
    rows: &[CheckedRow],
    plan: &Plan,
) -> Result<(), Error> {
    evict(connection, &plan.evict).await?;
    forget(connection, &plan.forget).await?;
    let rows: Vec<&CheckedRow> = plan.write.iter().filter_map(|i| rows.get(*i)).collect();
    // A statement may change a row once.
    let claims: BTreeSet<[u8; 16]> =
        rows.iter().flat_map(|row| row.claims()).map(|claim| claim.0).collect();
    let claims = claims.into_iter().collect();
    let over = "ON CONFLICT(digest) DO UPDATE SET batch = excluded.batch";
    claim(connection, upload, claims, over).await?;
    let last: BTreeMap<Claim, &CheckedRow> = rows.iter().map(|row| (row.name, *row)).collect();
    let rows: Vec<&CheckedRow> = last.into_values().collect();
    put(connection, upload, &rows, plan).await
}

/// Takes leaves out of other uploads.
pub(super) async fn evict(
    connection: &mut PgConnection,
    leaves: &[(u64, Claim)],
) -> Result<(), Error> {
    let mut evict: BTreeMap<u64, Vec<Claim>> = BTreeMap::new();
    for (from, name) in leaves {
        evict.entry(*from).or_default().push(*name);
    }
    for (from, names) in &evict {
        remove(connection, *from, names).await?;
    }
    Ok(())
}

/// Writes rows whose claims stand already: leaves and directory. No name comes twice.
async fn put(
    connection: &mut PgConnection,
    upload: u64,
    rows: &[&CheckedRow],
    plan: &Plan,
) -> Result<(), Error> {
    const LEAVES: &str = "INSERT INTO leaves SELECT $1::bigint, * FROM unnest($2::bytea[], $3::bytea[]) \
        ON CONFLICT(batch, name) DO UPDATE SET leaf = excluded.leaf";
    const SERIALS: &str = "INSERT INTO serials(organisation, upload, name, serial, lot, \"row\") \
        SELECT (SELECT no FROM organisations \
            WHERE did = (SELECT organisation FROM uploads WHERE no = $1)), $1::bigint, * \
        FROM unnest($2::bytea[], $3::text[], $4::text[], $5::bigint[]) \
        ON CONFLICT(name) DO UPDATE SET organisation = excluded.organisation, \
        serial = excluded.serial, lot = excluded.lot, upload = excluded.upload, \
        \"row\" = excluded.\"row\"";
    const COUNT: &str = "UPDATE uploads SET staged = staged + $1, version = version + 1, \
        active = $2 WHERE no = $3";
    let number = integer(upload)?;
    let names: Vec<[u8; 16]> = rows.iter().map(|row| row.name.0).collect();
    sqlx::query(LEAVES)
        .bind(number)
        .bind(&names)
        .bind(rows.iter().map(|row| &row.row.leaf[..]).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    if !plan.leaves_only {
        let places: Vec<i64> =
            rows.iter().map(|row| integer(row.row.number)).collect::<Result<_, _>>()?;
        sqlx::query(SERIALS)
            .bind(number)
            .bind(&names)
            .bind(Text::all(rows.iter().map(|row| &row.row.serial[..])))
            .bind(rows.iter().map(|row| row.row.lot.clone().map(Text)).collect::<Vec<_>>())
            .bind(places)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    sqlx::query(COUNT)
        .bind(integer(plan.added)?)
        .bind(integer(plan.now.0)?)
        .bind(number)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}

/// Takes leaves out of an upload, and whatever belongs to them; it is not sealed any more. What
/// belongs to a batch stays, whoever asks.
pub(super) async fn remove(
    connection: &mut PgConnection,
    upload: u64,
    names: &[Claim],
) -> Result<(), Error> {
    const LEAVES: &str = "DELETE FROM leaves \
        WHERE batch = $1 AND name = ANY($2) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = $1) RETURNING leaf";
    const CLAIMS: &str = "DELETE FROM claims \
        WHERE batch = $1 AND digest = ANY($2) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = $1)";
    const UPLOADS: &str = "UPDATE uploads SET staged = staged - $1, version = version + 1, \
        count = NULL, root = NULL, expires = CASE WHEN $3 THEN 0 ELSE expires END WHERE no = $2";
    let leaves: Vec<Vec<u8>> = sqlx::query_scalar(LEAVES)
        .bind(integer(upload)?)
        .bind(digests(names))
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
    // By the names at the least: one leaf that cannot be read must not keep all others.
    let mut claims = names.to_vec();
    for leaf in &leaves {
        if let Ok(leaf) = Leaf::from_cbor(leaf) {
            claims.extend(Claim::of_inception(&leaf.did(), &leaf.inception).1);
        }
    }
    sqlx::query(CLAIMS)
        .bind(integer(upload)?)
        .bind(digests(&claims))
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    sqlx::query(UPLOADS)
        .bind(integer(leaves.len() as u64)?)
        .bind(integer(upload)?)
        // A name without a leaf is the key of a leaf with another name. No index tells which: the
        // upload ends, since sealed it would bring that key a second time.
        .bind(leaves.len() < names.len())
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    forget(connection, names).await
}

/// Takes rows out of the directory, unless they are a batch's.
async fn forget(connection: &mut PgConnection, names: &[Claim]) -> Result<(), Error> {
    const SERIAL_OF: &str = "DELETE FROM serial_of \
        WHERE (organisation, serial) IN (SELECT organisation, serial FROM serials \
            WHERE name = ANY($1) \
            AND NOT EXISTS (SELECT 1 FROM batches WHERE no = serials.upload)) \
        AND name = ANY($1)";
    const SERIALS: &str = "DELETE FROM serials \
        WHERE name = ANY($1) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = serials.upload)";
    if names.is_empty() {
        return Ok(());
    }
    let list = digests(names);
    for sql in [SERIAL_OF, SERIALS] {
        sqlx::query(sql).bind(&list).execute(&mut *connection).await.map_err(fault)?;
    }
    Ok(())
}
