use super::fault::{fault, fixed, integer, natural};
use super::reading::{DirectoryColumns, directory_from, hex_list};
use super::uploads;
use crate::Error;
use crate::claims::Claim;
use crate::store::{CheckedRow, DirectoryRow, Found, Judge, Place, Plan};
use data_encoding::HEXLOWER;
use muster_api::{Problem, RowVerdict};
use muster_identity::Did;
use muster_identity::cbor::Decode as _;
use muster_ledger::{BatchId, Leaf};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use std::collections::{BTreeMap, BTreeSet};

/// Looks the rows up, asks the judge, and does as it says: one small transaction.
pub(super) async fn stage(
    pool: &SqlitePool,
    upload: u64,
    rows: Vec<CheckedRow>,
    judge: Judge,
) -> Result<Vec<RowVerdict>, Problem> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let found = find(&mut tx, upload, &rows).await?;
    let plan = judge(&found)?;
    if !plan.write.is_empty() || !plan.evict.is_empty() {
        write(&mut tx, upload, &rows, &plan).await?;
    }
    tx.commit().await.map_err(fault)?;
    Ok(plan.verdicts)
}

async fn find(
    connection: &mut SqliteConnection,
    upload: u64,
    rows: &[CheckedRow],
) -> Result<Found, Error> {
    let upload = uploads::by_number(connection, upload).await?;
    let claims = claims_of(connection, rows).await?;
    let (by_did, by_serial) = match &upload {
        None => Default::default(),
        Some(upload) => {
            let dids = hex_list(rows.iter().map(|r| &r.did.digest()[..]));
            let by_did = directory(connection, BY_DID, &upload.organisation, &dids).await?;
            let serials: Vec<&str> = rows.iter().map(|r| r.row.serial.as_str()).collect();
            let serials = json(&serials)?;
            let by_serial =
                directory(connection, BY_SERIAL, &upload.organisation, &serials).await?;
            (by_did, by_serial)
        }
    };
    let named = by_did.iter().chain(&by_serial).map(|row| row.upload);
    let numbers: BTreeSet<u64> = claims.values().copied().chain(named).collect();
    let places = places(connection, &numbers).await?;
    Ok(Found {
        upload,
        claims,
        places,
        by_did: by_did.into_iter().map(|row| (row.did, row)).collect(),
        by_serial: by_serial.into_iter().map(|row| (row.serial.clone(), row)).collect(),
    })
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
    let claims = rows.iter().flat_map(|r| [&r.did_claim.0[..], &r.key_claim.0[..]]);
    let found: Vec<(Vec<u8>, i64)> =
        sqlx::query_as(SQL).bind(hex_list(claims)).fetch_all(connection).await.map_err(fault)?;
    found.iter().map(|(digest, n)| Ok((Claim(fixed(digest)?), natural(*n)?))).collect()
}

/// The `+` keeps the planner from the index of serials, in which it would walk all of an
/// organisation's devices.
const BY_DID: &str = "SELECT did, organisation, serial, lot, upload, row FROM directory.serials \
    WHERE +organisation = ?1 AND did IN (SELECT unhex(value) FROM json_each(?2))";
const BY_SERIAL: &str = "SELECT did, organisation, serial, lot, upload, row FROM directory.serials \
    WHERE organisation = ?1 AND serial IN (SELECT value FROM json_each(?2))";

async fn directory(
    connection: &mut SqliteConnection,
    sql: &'static str,
    organisation: &Did,
    list: &str,
) -> Result<Vec<DirectoryRow>, Error> {
    let rows: Vec<DirectoryColumns> = sqlx::query_as(sql)
        .bind(&organisation.digest()[..])
        .bind(list)
        .fetch_all(connection)
        .await
        .map_err(fault)?;
    rows.into_iter().map(directory_from).collect()
}

async fn places(
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
    let mut evict: BTreeMap<u64, Vec<Did>> = BTreeMap::new();
    for (from, did) in &plan.evict {
        evict.entry(*from).or_default().push(*did);
    }
    for (from, dids) in &evict {
        remove(connection, *from, dids).await?;
    }
    forget(connection, &plan.forget).await?;
    let rows: Vec<&CheckedRow> = plan.write.iter().filter_map(|i| rows.get(*i)).collect();
    put(connection, upload, &rows).await?;
    const SQL: &str = "UPDATE uploads SET staged = staged + ?, version = version + 1 WHERE no = ?";
    sqlx::query(SQL)
        .bind(integer(plan.added)?)
        .bind(integer(upload)?)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}

/// Writes rows: leaves, claims and directory.
async fn put(
    connection: &mut SqliteConnection,
    upload: u64,
    rows: &[&CheckedRow],
) -> Result<(), Error> {
    const LEAVES: &str = "INSERT INTO leaves SELECT ?1, unhex(value->>0), unhex(value->>1) \
        FROM json_each(?2) WHERE true ON CONFLICT DO UPDATE SET leaf = excluded.leaf";
    const CLAIMS: &str = "INSERT INTO claims SELECT unhex(value), ?1 \
        FROM json_each(?2) WHERE true ON CONFLICT DO UPDATE SET batch = excluded.batch";
    const SERIALS: &str = "INSERT INTO directory.serials \
        SELECT unhex(value->>0), (SELECT organisation FROM uploads WHERE no = ?1), \
        value->>1, value->>2, ?1, value->>3 FROM json_each(?2) WHERE true \
        ON CONFLICT(did) DO UPDATE SET organisation = excluded.organisation, \
        serial = excluded.serial, lot = excluded.lot, upload = excluded.upload, row = excluded.row";
    let did = |r: &CheckedRow| HEXLOWER.encode(r.did.digest());
    let leaves: Vec<_> = rows.iter().map(|r| (did(r), HEXLOWER.encode(&r.row.leaf))).collect();
    let claims = hex_list(rows.iter().flat_map(|r| [&r.did_claim.0[..], &r.key_claim.0[..]]));
    let serials: Vec<_> =
        rows.iter().map(|r| (did(r), &r.row.serial, &r.row.lot, r.row.number)).collect();
    for (sql, list) in [(LEAVES, json(&leaves)?), (CLAIMS, claims), (SERIALS, json(&serials)?)] {
        sqlx::query(sql)
            .bind(integer(upload)?)
            .bind(list)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    Ok(())
}

/// Takes leaves out of an upload, and whatever belongs to them; it is not sealed any more. What
/// belongs to a batch stays, whoever asks.
pub(super) async fn remove(
    connection: &mut SqliteConnection,
    upload: u64,
    dids: &[Did],
) -> Result<(), Error> {
    const LEAVES: &str = "DELETE FROM leaves \
        WHERE batch = ?1 AND did IN (SELECT unhex(value) FROM json_each(?2)) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = ?1) RETURNING leaf";
    const CLAIMS: &str = "DELETE FROM claims \
        WHERE batch = ?1 AND digest IN (SELECT unhex(value) FROM json_each(?2)) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = ?1)";
    const UPLOADS: &str = "UPDATE uploads SET staged = staged - ?, version = version + 1, \
        count = NULL, root = NULL WHERE no = ?";
    let leaves: Vec<Vec<u8>> = sqlx::query_scalar(LEAVES)
        .bind(integer(upload)?)
        .bind(hex_list(dids.iter().map(|did| &did.digest()[..])))
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
    let mut claims = Vec::new();
    for leaf in &leaves {
        let leaf = Leaf::from_cbor(leaf).map_err(Error::damaged)?;
        claims.extend([Claim::of_did(&leaf.did()), Claim::of_key(&leaf.inception.key)]);
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
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    forget(connection, dids).await
}

async fn forget(connection: &mut SqliteConnection, dids: &[Did]) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM directory.serials \
        WHERE did IN (SELECT unhex(value) FROM json_each(?)) \
        AND NOT EXISTS (SELECT 1 FROM batches WHERE no = serials.upload)";
    sqlx::query(SQL)
        .bind(hex_list(dids.iter().map(|did| &did.digest()[..])))
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}
