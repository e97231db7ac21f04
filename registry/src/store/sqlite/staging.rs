use super::bulk::Insert;
use super::fault::{fault, fixed, integer, natural};
use super::reading::hex_list;
use super::uploads;
use crate::Error;
use crate::claims::Claim;
use crate::store::columns::{DirectoryColumns, directory_from};
use crate::store::{CheckedRow, DirectoryRow, Found, Judge, Place, Plan, Staged};
use muster_api::Problem;
use muster_identity::Did;
use muster_identity::cbor::Decode as _;
use muster_ledger::{BatchId, Leaf};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Looks the rows up, asks the judge, and does as it says: one small transaction.
///
/// Rows that nobody claims are the rule: their claims are written first, and only if one of them
/// stands already are all of them looked up.
pub(super) async fn stage(
    pool: &SqlitePool,
    upload: u64,
    rows: Arc<[CheckedRow]>,
    judge: Judge,
) -> Result<Staged, Problem> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    sqlx::raw_sql("SAVEPOINT fresh").execute(&mut *tx).await.map_err(fault)?;
    let all: Vec<&CheckedRow> = rows.iter().collect();
    let fresh = claim_new(&mut tx, upload, &all).await?;
    let found = if fresh {
        Found::fresh(uploads::by_number(&mut tx, upload).await?)
    } else {
        sqlx::raw_sql("ROLLBACK TO fresh").execute(&mut *tx).await.map_err(fault)?;
        find(&mut tx, upload, &rows).await?
    };
    let plan = judge(&found)?;
    let anew = fresh && plan.writes_all(rows.len());
    if anew {
        put(&mut tx, upload, &all, &plan).await?;
    } else {
        sqlx::raw_sql("ROLLBACK TO fresh").execute(&mut *tx).await.map_err(fault)?;
        if !plan.write.is_empty() || !plan.evict.is_empty() {
            write(&mut tx, upload, &rows, &plan).await?;
        }
    }
    tx.commit().await.map_err(fault)?;
    Ok(Staged { verdicts: plan.verdicts, anew })
}

/// Writes the claims of rows; whether none of them was there.
async fn claim_new(
    connection: &mut SqliteConnection,
    upload: u64,
    rows: &[&CheckedRow],
) -> Result<bool, Error> {
    static CLAIMS: Insert =
        Insert::new("INSERT INTO claims(batch, digest)", "(?,?)", "ON CONFLICT DO NOTHING");
    let claims: Vec<Claim> = rows.iter().flat_map(|row| row.claims()).collect();
    let number = integer(upload)?;
    let written = CLAIMS
        .run(connection, &claims, |query, claim| Ok(query.bind(number).bind(claim.0.to_vec())));
    Ok(written.await? == claims.len() as u64)
}

async fn find(
    connection: &mut SqliteConnection,
    upload: u64,
    rows: &[CheckedRow],
) -> Result<Found, Error> {
    let upload = uploads::by_number(connection, upload).await?;
    let claims = claims_of(connection, rows).await?;
    let named = match &upload {
        None => Vec::new(),
        Some(upload) => {
            let names = hex_list(rows.iter().map(|r| &r.name.0[..]));
            directory(connection, &upload.organisation, &names).await?
        }
    };
    let numbers = claims.values().copied().chain(named.iter().map(|row| row.upload)).collect();
    let places = places(connection, &numbers).await?;
    let by_name = named.into_iter().map(|row| (row.name, row)).collect();
    Ok(Found { upload, claims, places, by_name, fresh: false })
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Us(e.to_string()))
}

async fn claims_of(
    connection: &mut SqliteConnection,
    rows: &[CheckedRow],
) -> Result<BTreeMap<Claim, u64>, Error> {
    const SQL: &str =
        "SELECT digest, batch FROM claims WHERE digest IN (SELECT unhex(value) FROM json_each(?))";
    let claims: Vec<Claim> = rows.iter().flat_map(CheckedRow::claims).collect();
    let list = hex_list(claims.iter().map(|claim| &claim.0[..]));
    let found: Vec<(Vec<u8>, i64)> =
        sqlx::query_as(SQL).bind(list).fetch_all(connection).await.map_err(fault)?;
    found.iter().map(|(digest, n)| Ok((Claim(fixed(digest)?), natural(*n)?))).collect()
}

/// Directory rows of an organisation by a list of names.
async fn directory(
    connection: &mut SqliteConnection,
    organisation: &Did,
    names: &str,
) -> Result<Vec<DirectoryRow>, Error> {
    const SQL: &str = "SELECT name, serial, lot, upload, row FROM serials \
        WHERE name IN (SELECT unhex(value) FROM json_each(?2)) AND organisation = \
        (SELECT no FROM organisations WHERE did = ?1)";
    let rows: Vec<DirectoryColumns> = sqlx::query_as(SQL)
        .bind(&organisation.digest()[..])
        .bind(names)
        .fetch_all(connection)
        .await
        .map_err(fault)?;
    rows.into_iter().map(directory_from).collect()
}

/// Where numbers lead.
pub(super) async fn places(
    connection: &mut SqliteConnection,
    numbers: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Place>, Error> {
    const SQL: &str = "SELECT no, id FROM batches WHERE no IN (SELECT value FROM json_each(?))";
    let list = json(numbers)?;
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
    connection: &mut SqliteConnection,
    upload: u64,
    rows: &[CheckedRow],
    plan: &Plan,
) -> Result<(), Error> {
    evict(connection, &plan.evict).await?;
    forget(connection, &plan.forget).await?;
    let rows: Vec<&CheckedRow> = plan.write.iter().filter_map(|i| rows.get(*i)).collect();
    static CLAIMS: Insert = Insert::new(
        "INSERT INTO claims(batch, digest)",
        "(?,?)",
        "ON CONFLICT DO UPDATE SET batch = excluded.batch",
    );
    let claims: Vec<Claim> = rows.iter().flat_map(|row| row.claims()).collect();
    let number = integer(upload)?;
    CLAIMS
        .run(connection, &claims, |query, claim| Ok(query.bind(number).bind(claim.0.to_vec())))
        .await?;
    put(connection, upload, &rows, plan).await
}

/// Takes leaves out of other uploads.
pub(super) async fn evict(
    connection: &mut SqliteConnection,
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

/// Writes rows whose claims stand already: leaves and directory.
async fn put(
    connection: &mut SqliteConnection,
    upload: u64,
    rows: &[&CheckedRow],
    plan: &Plan,
) -> Result<(), Error> {
    static LEAVES: Insert = Insert::new(
        "INSERT INTO leaves",
        "(?,?,?)",
        "ON CONFLICT DO UPDATE SET leaf = excluded.leaf",
    );
    static SERIALS: Insert = Insert::new(
        "INSERT INTO serials(organisation, name, serial, lot, row, upload)",
        "(?,?,?,?,?,?)",
        "ON CONFLICT(name) DO UPDATE SET organisation = excluded.organisation, \
         serial = excluded.serial, lot = excluded.lot, upload = excluded.upload, \
         row = excluded.row",
    );
    const ORGANISATION: &str = "SELECT no FROM organisations \
        WHERE did = (SELECT organisation FROM uploads WHERE no = ?)";
    const COUNT: &str =
        "UPDATE uploads SET staged = staged + ?, version = version + 1, active = ? WHERE no = ?";
    let number = integer(upload)?;
    let organisation: i64 = sqlx::query_scalar(ORGANISATION)
        .bind(number)
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    LEAVES
        .run(connection, rows, |query, row| {
            Ok(query.bind(number).bind(row.name.0.to_vec()).bind(row.row.leaf.clone()))
        })
        .await?;
    let listed = if plan.leaves_only { &[] } else { rows };
    SERIALS
        .run(connection, listed, |query, row| {
            let (serial, lot) = (row.row.serial.clone(), row.row.lot.clone());
            let query = query.bind(organisation).bind(row.name.0.to_vec()).bind(serial).bind(lot);
            Ok(query.bind(integer(row.row.number)?).bind(number))
        })
        .await?;
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
    connection: &mut SqliteConnection,
    upload: u64,
    names: &[Claim],
) -> Result<(), Error> {
    const LEAVES: &str = "DELETE FROM leaves \
        WHERE batch = ?1 AND name IN (SELECT unhex(value) FROM json_each(?2)) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = ?1) RETURNING leaf";
    const CLAIMS: &str = "DELETE FROM claims \
        WHERE batch = ?1 AND digest IN (SELECT unhex(value) FROM json_each(?2)) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = ?1)";
    const UPLOADS: &str = "UPDATE uploads SET staged = staged - ?1, version = version + 1, \
        count = NULL, root = NULL, expires = CASE WHEN ?3 THEN 0 ELSE expires END WHERE no = ?2";
    let leaves: Vec<Vec<u8>> = sqlx::query_scalar(LEAVES)
        .bind(integer(upload)?)
        .bind(hex_list(names.iter().map(|name| &name.0[..])))
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
        .bind(hex_list(claims.iter().map(|claim| &claim.0[..])))
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
async fn forget(connection: &mut SqliteConnection, names: &[Claim]) -> Result<(), Error> {
    const SERIAL_OF: &str = "DELETE FROM serial_of \
        WHERE (organisation, serial) IN (SELECT organisation, serial FROM serials \
            WHERE name IN (SELECT unhex(value) FROM json_each(?1)) \
            AND NOT EXISTS (SELECT 1 FROM batches WHERE no = serials.upload)) \
        AND name IN (SELECT unhex(value) FROM json_each(?1))";
    const SERIALS: &str = "DELETE FROM serials \
        WHERE name IN (SELECT unhex(value) FROM json_each(?)) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = serials.upload)";
    if names.is_empty() {
        return Ok(());
    }
    let list = hex_list(names.iter().map(|name| &name.0[..]));
    for sql in [SERIAL_OF, SERIALS] {
        sqlx::query(sql).bind(&list).execute(&mut *connection).await.map_err(fault)?;
    }
    Ok(())
}
