use super::fault::fault;
use super::text::Text;
use super::writer::Writer;
use crate::Error;
use crate::claims::Claim;
use crate::store::columns::{BlockColumns, block_from, fixed, integer, natural, tile_from};
use crate::store::{BlockRow, DirectoryRow, LeafRow, SerialOf, StagedLeaf};
use crate::tiles::Tile;
use muster_identity::Did;
use muster_ledger::BatchId;
use sqlx::postgres::PgPool;

type Bytes = Vec<u8>;

pub(super) async fn entries(pool: &PgPool, from: u64, count: u64) -> Result<Vec<Bytes>, Error> {
    sqlx::query_scalar("SELECT entry FROM entries WHERE idx >= $1 ORDER BY idx LIMIT $2")
        .bind(integer(from)?)
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)
}

pub(super) async fn entries_at(
    pool: &PgPool,
    places: Vec<u64>,
) -> Result<Vec<(u64, Bytes)>, Error> {
    const SQL: &str = "SELECT idx, entry FROM entries \
        WHERE idx = ANY($1) ORDER BY idx";
    let places: Vec<i64> = places.into_iter().map(integer).collect::<Result<_, _>>()?;
    let rows: Vec<(i64, Bytes)> =
        sqlx::query_as(SQL).bind(places).fetch_all(pool).await.map_err(fault)?;
    rows.into_iter().map(|(place, entry)| Ok((natural(place)?, entry))).collect()
}

pub(super) async fn blocks(pool: &PgPool, from: u64, count: u64) -> Result<Vec<BlockRow>, Error> {
    const SQL: &str = "SELECT height, time, size, log_root, state_root FROM blocks \
        WHERE height >= $1 ORDER BY height LIMIT $2";
    let rows: Vec<BlockColumns> = sqlx::query_as(SQL)
        .bind(integer(from)?)
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    rows.into_iter().map(block_from).collect()
}

pub(super) async fn state(pool: &PgPool) -> Result<Vec<(Bytes, Bytes)>, Error> {
    sqlx::query_as("SELECT key, value FROM state").fetch_all(pool).await.map_err(fault)
}

pub(super) async fn batch_ids(pool: &PgPool) -> Result<Vec<BatchId>, Error> {
    let ids: Vec<Bytes> =
        sqlx::query_scalar("SELECT id FROM batches").fetch_all(pool).await.map_err(fault)?;
    ids.iter().map(|id| Ok(BatchId(fixed(id)?))).collect()
}

/// Claims as an array of a statement.
pub(super) fn digests(claims: &[Claim]) -> Vec<[u8; 16]> {
    claims.iter().map(|claim| claim.0).collect()
}

pub(super) async fn claimed(writer: &Writer, claims: Vec<Claim>) -> Result<Vec<Claim>, Error> {
    const SQL: &str = "SELECT digest FROM claims WHERE digest = ANY($1)";
    let mut look = writer.look().await?;
    let found: Result<Vec<Bytes>, Error> =
        sqlx::query_scalar(SQL).bind(digests(&claims)).fetch_all(look.on()).await.map_err(fault);
    look.end(found)?.iter().map(|digest| Ok(Claim(fixed(digest)?))).collect()
}

pub(super) async fn leaf(pool: &PgPool, did: Did) -> Result<Option<LeafRow>, Error> {
    const SQL: &str = "SELECT batches.id, batches.no, leaves.leaf FROM claims \
        JOIN batches ON batches.no = claims.batch \
        JOIN leaves ON leaves.batch = batches.no AND leaves.name = claims.digest \
        WHERE claims.digest = $1";
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

pub(super) async fn tile_of(pool: &PgPool, batch: u64, did: Did) -> Result<Option<Tile>, Error> {
    const SQL: &str = "SELECT level, idx, first, hashes FROM tiles \
        WHERE batch = $1 AND level = 0 AND first <= $2 ORDER BY first DESC LIMIT 1";
    let row = sqlx::query_as(SQL)
        .bind(integer(batch)?)
        .bind(&did.digest()[..])
        .fetch_optional(pool)
        .await
        .map_err(fault)?;
    row.map(tile_from).transpose()
}

pub(super) async fn tile(
    pool: &PgPool,
    batch: u64,
    level: u64,
    index: u64,
) -> Result<Option<Tile>, Error> {
    const SQL: &str = "SELECT level, idx, first, hashes FROM tiles \
        WHERE batch = $1 AND level = $2 AND idx = $3";
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
    pool: &PgPool,
    subjects: Vec<[u8; 32]>,
    newest: u64,
) -> Result<Vec<u64>, Error> {
    const SQL: &str = "SELECT DISTINCT entry FROM touched \
        WHERE subject = ANY($1) ORDER BY entry DESC LIMIT $2";
    let mut found: Vec<i64> = sqlx::query_scalar(SQL)
        .bind(subjects)
        .bind(integer(newest)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    found.reverse();
    found.into_iter().map(natural).collect()
}

/// The row of a device, and whose it is.
pub(super) async fn directory(
    pool: &PgPool,
    did: Did,
) -> Result<Option<(Did, DirectoryRow)>, Error> {
    const SQL: &str = "SELECT organisations.did, serials.serial, serials.lot, serials.upload, \
        serials.row FROM serials JOIN organisations ON organisations.no = serials.organisation \
        WHERE serials.name = $1";
    let row: Option<(Bytes, Text, Option<Text>, i64, i64)> = sqlx::query_as(SQL)
        .bind(&Claim::of_did(&did).0[..])
        .fetch_optional(pool)
        .await
        .map_err(fault)?;
    row.map(|(owner, Text(serial), lot, upload, row)| {
        let lot = lot.map(|lot| lot.0);
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
    pool: &PgPool,
    batch: u64,
    after: Option<Claim>,
    count: u64,
) -> Result<Vec<StagedLeaf>, Error> {
    const SQL: &str =
        "SELECT name, leaf FROM leaves WHERE batch = $1 AND name > $2 ORDER BY name LIMIT $3";
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
    pool: &PgPool,
    batch: BatchId,
    after: Option<Claim>,
    count: u64,
) -> Result<Vec<StagedLeaf>, Error> {
    const SQL: &str = "SELECT no FROM batches WHERE id = $1";
    let number: Option<(i64,)> =
        sqlx::query_as(SQL).bind(&batch.0[..]).fetch_optional(pool).await.map_err(fault)?;
    match number {
        Some((number,)) => leaves(pool, natural(number)?, after, count).await,
        None => Ok(Vec::new()),
    }
}

pub(super) async fn serials(
    pool: &PgPool,
    upload: u64,
    after: Option<Claim>,
    count: u64,
) -> Result<Vec<SerialOf>, Error> {
    const SQL: &str = "SELECT leaves.name, serial, row FROM leaves \
        LEFT JOIN serials ON serials.name = leaves.name AND upload = leaves.batch \
        WHERE leaves.batch = $1 AND leaves.name > $2 ORDER BY leaves.name LIMIT $3";
    let rows: Vec<(Bytes, Option<Text>, Option<i64>)> = sqlx::query_as(SQL)
        .bind(integer(upload)?)
        .bind(place(after))
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let one = |(name, serial, row): (Bytes, Option<Text>, Option<i64>)| {
        let name = Claim(fixed(&name)?);
        let serial = match (serial, row) {
            (Some(Text(serial)), Some(row)) => Some((serial, natural(row)?)),
            _ => None,
        };
        Ok((name, serial))
    };
    rows.into_iter().map(one).collect()
}
