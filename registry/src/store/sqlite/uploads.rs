use super::fault::{fault, fixed, integer, natural};
use super::staging;
use crate::Error;
use crate::claims::Claim;
use crate::store::{NewUpload, Opened, Upload};
use crate::tiles::Tile;
use muster_identity::Did;
use muster_ledger::{GrantId, Time};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

/// Leaves that one transaction removes: a commit waits for no more than these.
const CHUNK: i64 = 4_096;

const BY_TOKEN: &str = "SELECT * FROM uploads WHERE token = ?";
const BY_NUMBERS: &str = "SELECT * FROM uploads WHERE no IN (SELECT value FROM json_each(?))";
const ALL: &str = "SELECT * FROM uploads ORDER BY no";

fn upload_from(row: &SqliteRow) -> Result<Upload, Error> {
    let number = |column| natural(row.try_get(column).map_err(fault)?);
    let bytes = |column| fixed::<32>(row.try_get::<&[u8], _>(column).map_err(fault)?);
    let count: Option<i64> = row.try_get("count").map_err(fault)?;
    let sealed = match count {
        Some(count) => Some((natural(count)?, bytes("root")?)),
        None => None,
    };
    Ok(Upload {
        number: number("no")?,
        token: bytes("token")?,
        organisation: Did::from_digest(bytes("organisation")?),
        grant: GrantId(bytes("grant_id")?),
        model: row.try_get("model").map_err(fault)?,
        rows: number("rows")?,
        rehearsal: number("rehearsal")? == 1,
        opened: Time(number("opened")?),
        expires: Time(number("expires")?),
        active: Time(number("active")?),
        staged: number("staged")?,
        version: number("version")?,
        sealed,
    })
}

pub(super) async fn by_token(pool: &SqlitePool, token: [u8; 32]) -> Result<Option<Upload>, Error> {
    let row = sqlx::query(BY_TOKEN).bind(&token[..]).fetch_optional(pool).await.map_err(fault)?;
    row.as_ref().map(upload_from).transpose()
}

pub(super) async fn by_number(
    connection: &mut SqliteConnection,
    number: u64,
) -> Result<Option<Upload>, Error> {
    Ok(by_numbers(connection, &format!("[{number}]")).await?.pop())
}

/// Uploads by a JSON array of numbers.
pub(super) async fn by_numbers(
    connection: &mut SqliteConnection,
    numbers: &str,
) -> Result<Vec<Upload>, Error> {
    let rows = sqlx::query(BY_NUMBERS).bind(numbers).fetch_all(connection).await.map_err(fault)?;
    rows.iter().map(upload_from).collect()
}

pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<Upload>, Error> {
    let rows = sqlx::query(ALL).fetch_all(pool).await.map_err(fault)?;
    rows.iter().map(upload_from).collect()
}

pub(super) async fn open(pool: &SqlitePool, new: NewUpload, at_most: u64) -> Result<Opened, Error> {
    // A number that anything goes by is never given again, whatever became of SQLite's own
    // counter: each maximum is one step in an index.
    const INSERT: &str = "INSERT INTO uploads(no, token, organisation, grant_id, model, rows, \
        rehearsal, opened, active, expires) VALUES (1 + max( \
        coalesce((SELECT max(seq) FROM ledger.sqlite_sequence WHERE name = 'uploads'), 0), \
        coalesce((SELECT max(no) FROM batches), 0), \
        coalesce((SELECT max(no) FROM uploads), 0), \
        coalesce((SELECT max(batch) FROM leaves), 0), \
        coalesce((SELECT max(batch) FROM tiles), 0)), ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    if !use_request(&mut tx, &new).await? {
        return Ok(Opened::Replayed);
    }
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM uploads")
        .fetch_one(&mut *tx)
        .await
        .map_err(fault)?;
    if natural(open)? >= at_most {
        return Ok(Opened::Full);
    }
    sqlx::query("INSERT INTO organisations(did) VALUES (?) ON CONFLICT DO NOTHING")
        .bind(&new.organisation.digest()[..])
        .execute(&mut *tx)
        .await
        .map_err(fault)?;
    sqlx::query(INSERT)
        .bind(&new.token[..])
        .bind(&new.organisation.digest()[..])
        .bind(&new.grant.0[..])
        .bind(new.model)
        .bind(integer(new.rows)?)
        .bind(new.rehearsal)
        .bind(integer(new.opened.0)?)
        .bind(integer(new.opened.0)?)
        .bind(integer(new.expires.0)?)
        .execute(&mut *tx)
        .await
        .map_err(fault)?;
    tx.commit().await.map_err(fault)?;
    Ok(Opened::Yes)
}

/// Raises SQLite's counter above every number that the private directory goes by, which may be
/// younger than the ledger beside it.
pub(super) async fn pass_numbers(pool: &SqlitePool) -> Result<(), Error> {
    const HIGHEST: &str = "SELECT max(coalesce((SELECT max(upload) FROM serials), 0), \
        coalesce((SELECT max(batch) FROM line), 0))";
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let highest: i64 = sqlx::query_scalar(HIGHEST).fetch_one(&mut *tx).await.map_err(fault)?;
    for sql in [
        "INSERT INTO ledger.sqlite_sequence(name, seq) SELECT 'uploads', ?1 \
            WHERE NOT EXISTS (SELECT 1 FROM ledger.sqlite_sequence WHERE name = 'uploads')",
        "UPDATE ledger.sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'uploads'",
    ] {
        sqlx::query(sql).bind(highest).execute(&mut *tx).await.map_err(fault)?;
    }
    tx.commit().await.map_err(fault)
}

/// Notes a request until nobody could use it any more; false: it opened an upload before,
/// whatever became of that.
async fn use_request(connection: &mut SqliteConnection, new: &NewUpload) -> Result<bool, Error> {
    sqlx::query("DELETE FROM used_requests WHERE until < ?")
        .bind(integer(new.opened.0)?)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let noted = sqlx::query("INSERT INTO used_requests VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(&new.request[..])
        .bind(integer(new.valid_until.0)?)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(noted.rows_affected() == 1)
}

/// False: there is no such upload any more.
pub(super) async fn write_tiles(
    pool: &SqlitePool,
    upload: u64,
    tiles: Vec<Tile>,
    anew: bool,
) -> Result<bool, Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    if by_number(&mut tx, upload).await?.is_none() {
        return Ok(false);
    }
    if anew {
        delete_tiles(&mut tx, upload).await?;
    }
    for tile in &tiles {
        sqlx::query("INSERT INTO tiles VALUES (?, ?, ?, ?, ?)")
            .bind(integer(upload)?)
            .bind(integer(tile.level)?)
            .bind(integer(tile.index)?)
            .bind(&tile.first.digest()[..])
            .bind(&tile.hashes[..])
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
    }
    tx.commit().await.map_err(fault)?;
    Ok(true)
}

/// Never those of a batch.
async fn delete_tiles(connection: &mut SqliteConnection, upload: u64) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM tiles \
        WHERE batch = ?1 AND NOT EXISTS (SELECT 1 FROM batches WHERE no = ?1)";
    sqlx::query(SQL).bind(integer(upload)?).execute(connection).await.map_err(fault)?;
    Ok(())
}

pub(super) async fn seal(
    pool: &SqlitePool,
    upload: u64,
    version: u64,
    count: u64,
    root: [u8; 32],
) -> Result<bool, Error> {
    let sealed = sqlx::query("UPDATE uploads SET count = ?, root = ? WHERE no = ? AND version = ?")
        .bind(integer(count)?)
        .bind(&root[..])
        .bind(integer(upload)?)
        .bind(integer(version)?)
        .execute(pool)
        .await
        .map_err(fault)?;
    Ok(sealed.rows_affected() == 1)
}

/// Ends an upload at once, then removes what it staged, a chunk at a time. Nothing happens if it
/// has gone, or has become a batch, since whoever asks saw it.
pub(super) async fn discard(pool: &SqlitePool, upload: u64) -> Result<(), Error> {
    const END: &str = "UPDATE uploads SET expires = 0 \
        WHERE no = ?1 AND NOT EXISTS (SELECT 1 FROM batches WHERE no = ?1)";
    let ended = sqlx::query(END).bind(integer(upload)?).execute(pool).await.map_err(fault)?;
    if ended.rows_affected() == 0 {
        return Ok(());
    }
    loop {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        if by_number(&mut tx, upload).await?.is_none() {
            return Ok(());
        }
        let names: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT name FROM leaves WHERE batch = ? LIMIT ?")
                .bind(integer(upload)?)
                .bind(CHUNK)
                .fetch_all(&mut *tx)
                .await
                .map_err(fault)?;
        if names.is_empty() {
            delete_tiles(&mut tx, upload).await?;
            sqlx::query("DELETE FROM uploads WHERE no = ?")
                .bind(integer(upload)?)
                .execute(&mut *tx)
                .await
                .map_err(fault)?;
            return tx.commit().await.map_err(fault);
        }
        let names: Result<Vec<Claim>, Error> =
            names.iter().map(|name| Ok(Claim(fixed(name)?))).collect();
        staging::remove(&mut tx, upload, &names?).await?;
        tx.commit().await.map_err(fault)?;
    }
}
