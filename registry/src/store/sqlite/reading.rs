use super::fault::{fault, fixed, integer, natural};
use crate::Error;
use crate::claims::Claim;
use crate::store::columns::{BlockColumns, DirectoryColumns, block_from, tile_from};
use crate::store::{BlockRow, DirectoryRow, LeafRow, SerialOf, StagedLeaf};
use crate::tiles::Tile;
use data_encoding::HEXLOWER;
use muster_identity::Did;
use muster_ledger::BatchId;
use sqlx::sqlite::SqlitePool;

type Bytes = Vec<u8>;

pub(super) async fn entries(pool: &SqlitePool, from: u64, count: u64) -> Result<Vec<Bytes>, Error> {
    sqlx::query_scalar("SELECT entry FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?")
        .bind(integer(from)?)
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)
}

pub(super) async fn entries_at(
    pool: &SqlitePool,
    places: Vec<u64>,
) -> Result<Vec<(u64, Bytes)>, Error> {
    const SQL: &str = "SELECT idx, entry FROM entries \
        WHERE idx IN (SELECT value FROM json_each(?)) ORDER BY idx";
    let places = places.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let rows: Vec<(i64, Bytes)> =
        sqlx::query_as(SQL).bind(format!("[{places}]")).fetch_all(pool).await.map_err(fault)?;
    rows.into_iter().map(|(place, entry)| Ok((natural(place)?, entry))).collect()
}

pub(super) async fn blocks(
    pool: &SqlitePool,
    from: u64,
    count: u64,
) -> Result<Vec<BlockRow>, Error> {
    const SQL: &str = "SELECT height, time, size, log_root, state_root FROM blocks \
        WHERE height >= ? ORDER BY height LIMIT ?";
    let rows: Vec<BlockColumns> = sqlx::query_as(SQL)
        .bind(integer(from)?)
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    rows.into_iter().map(block_from).collect()
}

pub(super) async fn state(pool: &SqlitePool) -> Result<Vec<(Bytes, Bytes)>, Error> {
    sqlx::query_as("SELECT key, value FROM state").fetch_all(pool).await.map_err(fault)
}

pub(super) async fn batch_ids(pool: &SqlitePool) -> Result<Vec<BatchId>, Error> {
    let ids: Vec<Bytes> =
        sqlx::query_scalar("SELECT id FROM batches").fetch_all(pool).await.map_err(fault)?;
    ids.iter().map(|id| Ok(BatchId(fixed(id)?))).collect()
}

/// A JSON array of hexadecimal strings, which `unhex` and `json_each` turn into rows.
pub(super) fn hex_list<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut json = String::from("[");
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        json.push('"');
        HEXLOWER.encode_append(item, &mut json);
        json.push('"');
    }
    json.push(']');
    json
}

pub(super) async fn claimed(pool: &SqlitePool, claims: Vec<Claim>) -> Result<Vec<Claim>, Error> {
    const SQL: &str =
        "SELECT digest FROM claims WHERE digest IN (SELECT unhex(value) FROM json_each(?))";
    let found: Vec<Bytes> = sqlx::query_scalar(SQL)
        .bind(hex_list(claims.iter().map(|c| &c.0[..])))
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    found.iter().map(|digest| Ok(Claim(fixed(digest)?))).collect()
}

pub(super) async fn leaf(pool: &SqlitePool, did: Did) -> Result<Option<LeafRow>, Error> {
    const SQL: &str = "SELECT batches.id, batches.no, leaves.leaf FROM claims \
        JOIN batches ON batches.no = claims.batch \
        JOIN leaves ON leaves.batch = batches.no AND leaves.name = claims.digest \
        WHERE claims.digest = ?";
    let row: Option<(Bytes, i64, Bytes)> = sqlx::query_as(SQL)
        .bind(&Claim::of_did(&did).0[..])
        .fetch_optional(pool)
        .await
        .map_err(fault)?;
    row.map(|(id, number, leaf)| {
        Ok(LeafRow { batch: BatchId(fixed(&id)?), number: natural(number)?, leaf })
    })
    .transpose()
}

pub(super) async fn tile_of(
    pool: &SqlitePool,
    batch: u64,
    did: Did,
) -> Result<Option<Tile>, Error> {
    const SQL: &str = "SELECT level, idx, first, hashes FROM tiles \
        WHERE batch = ? AND level = 0 AND first <= ? ORDER BY first DESC LIMIT 1";
    let row = sqlx::query_as(SQL)
        .bind(integer(batch)?)
        .bind(&did.digest()[..])
        .fetch_optional(pool)
        .await
        .map_err(fault)?;
    row.map(tile_from).transpose()
}

pub(super) async fn tile(
    pool: &SqlitePool,
    batch: u64,
    level: u64,
    index: u64,
) -> Result<Option<Tile>, Error> {
    const SQL: &str = "SELECT level, idx, first, hashes FROM tiles \
        WHERE batch = ? AND level = ? AND idx = ?";
    let row = sqlx::query_as(SQL)
        .bind(integer(batch)?)
        .bind(integer(level)?)
        .bind(integer(index)?)
        .fetch_optional(pool)
        .await
        .map_err(fault)?;
    row.map(tile_from).transpose()
}

pub(super) async fn touched(
    pool: &SqlitePool,
    subjects: Vec<[u8; 32]>,
    newest: u64,
) -> Result<Vec<u64>, Error> {
    const SQL: &str = "SELECT DISTINCT entry FROM touched \
        WHERE subject IN (SELECT unhex(value) FROM json_each(?)) ORDER BY entry DESC LIMIT ?";
    let mut found: Vec<i64> = sqlx::query_scalar(SQL)
        .bind(hex_list(subjects.iter().map(|s| &s[..])))
        .bind(integer(newest)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    found.reverse();
    found.into_iter().map(natural).collect()
}

/// The row of a device, and whose it is.
pub(super) async fn directory(
    pool: &SqlitePool,
    did: Did,
) -> Result<Option<(Did, DirectoryRow)>, Error> {
    const SQL: &str = "SELECT organisations.did, serials.serial, serials.lot, serials.upload, \
        serials.row FROM serials JOIN organisations ON organisations.no = serials.organisation \
        WHERE serials.name = ?";
    let row: Option<DirectoryColumns> = sqlx::query_as(SQL)
        .bind(&Claim::of_did(&did).0[..])
        .fetch_optional(pool)
        .await
        .map_err(fault)?;
    row.map(|(owner, serial, lot, upload, row)| {
        let owner = Did::from_digest(fixed(&owner)?);
        let name = Claim::of_did(&did);
        let (upload, row) = (natural(upload)?, natural(row)?);
        Ok((owner, DirectoryRow { name, serial, lot, upload, row }))
    })
    .transpose()
}

/// The empty bytes come before every name.
fn place(after: Option<Claim>) -> Bytes {
    after.map_or(Vec::new(), |name| name.0.to_vec())
}

pub(super) async fn leaves(
    pool: &SqlitePool,
    batch: u64,
    after: Option<Claim>,
    count: u64,
) -> Result<Vec<StagedLeaf>, Error> {
    const SQL: &str =
        "SELECT name, leaf FROM leaves WHERE batch = ? AND name > ? ORDER BY name LIMIT ?";
    let rows: Vec<(Bytes, Bytes)> = sqlx::query_as(SQL)
        .bind(integer(batch)?)
        .bind(place(after))
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let leaf = |(name, leaf): (Bytes, Bytes)| Ok(StagedLeaf { name: Claim(fixed(&name)?), leaf });
    rows.into_iter().map(leaf).collect()
}

pub(super) async fn batch_leaves(
    pool: &SqlitePool,
    batch: BatchId,
    after: Option<Claim>,
    count: u64,
) -> Result<Vec<StagedLeaf>, Error> {
    const SQL: &str = "SELECT no FROM batches WHERE id = ?";
    let number: Option<(i64,)> =
        sqlx::query_as(SQL).bind(&batch.0[..]).fetch_optional(pool).await.map_err(fault)?;
    match number {
        Some((number,)) => leaves(pool, natural(number)?, after, count).await,
        None => Ok(Vec::new()),
    }
}

pub(super) async fn serials(
    pool: &SqlitePool,
    upload: u64,
    after: Option<Claim>,
    count: u64,
) -> Result<Vec<SerialOf>, Error> {
    const SQL: &str = "SELECT leaves.name, serial, row FROM leaves \
        LEFT JOIN serials ON serials.name = leaves.name AND upload = leaves.batch \
        WHERE leaves.batch = ? AND leaves.name > ? ORDER BY leaves.name LIMIT ?";
    let rows: Vec<(Bytes, Option<String>, Option<i64>)> = sqlx::query_as(SQL)
        .bind(integer(upload)?)
        .bind(place(after))
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let one = |(name, serial, row): (Bytes, Option<String>, Option<i64>)| {
        let name = Claim(fixed(&name)?);
        let serial = match (serial, row) {
            (Some(serial), Some(row)) => Some((serial, natural(row)?)),
            _ => None,
        };
        Ok((name, serial))
    };
    rows.into_iter().map(one).collect()
}
