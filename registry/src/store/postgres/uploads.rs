use super::fault::fault;
use super::text::Text;
use super::writer::Writer;
use super::{limits, staging};
use crate::Error;
use crate::claims::Claim;
use crate::store::columns::{fixed, integer, natural};
use crate::store::{NewUpload, Opened, Upload};
use crate::tiles::Tile;
use muster_identity::Did;
use muster_ledger::{GrantId, Time};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgPool, PgRow};

const BY_TOKEN: &str = "SELECT * FROM uploads WHERE token = $1";
const BY_NUMBERS: &str = "SELECT * FROM uploads WHERE no = ANY($1)";
const ALL: &str = "SELECT * FROM uploads ORDER BY no";

fn upload_from(row: &PgRow) -> Result<Upload, Error> {
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
        model: row.try_get::<Text, _>("model").map_err(fault)?.0,
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

/// Waits for the write that is under way.
pub(super) async fn by_token(writer: &Writer, token: [u8; 32]) -> Result<Option<Upload>, Error> {
    let mut look = writer.look().await?;
    let row = sqlx::query(BY_TOKEN).bind(token).fetch_optional(look.on()).await.map_err(fault);
    look.end(row)?.as_ref().map(upload_from).transpose()
}

pub(super) async fn by_number(
    connection: &mut PgConnection,
    number: u64,
) -> Result<Option<Upload>, Error> {
    Ok(by_numbers(connection, &[integer(number)?]).await?.pop())
}

/// Uploads by their numbers.
pub(super) async fn by_numbers(
    connection: &mut PgConnection,
    numbers: &[i64],
) -> Result<Vec<Upload>, Error> {
    let rows = sqlx::query(BY_NUMBERS).bind(numbers).fetch_all(connection).await.map_err(fault)?;
    rows.iter().map(upload_from).collect()
}

pub(super) async fn all(pool: &PgPool) -> Result<Vec<Upload>, Error> {
    let rows = sqlx::query(ALL).fetch_all(pool).await.map_err(fault)?;
    rows.iter().map(upload_from).collect()
}

/// Opens an upload under a number that anything never went by.
pub(super) async fn open(writer: &Writer, new: NewUpload, at_most: u64) -> Result<Opened, Error> {
    let mut write = writer.begin().await?;
    match open_one(write.on(), new, at_most).await {
        Ok(Opened::Yes) => write.end(Ok(Opened::Yes)).await,
        refused => {
            write.undo().await;
            refused
        }
    }
}

async fn open_one(
    connection: &mut PgConnection,
    new: NewUpload,
    at_most: u64,
) -> Result<Opened, Error> {
    // Each maximum is one step in an index.
    const NUMBER: &str = "UPDATE turn SET given = 1 + greatest(given, \
        (SELECT max(no) FROM batches), (SELECT max(no) FROM uploads), \
        (SELECT max(batch) FROM leaves), (SELECT max(batch) FROM tiles)) RETURNING given";
    const INSERT: &str = "INSERT INTO uploads(no, token, organisation, grant_id, model, rows, \
        rehearsal, opened, active, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)";
    // Without a conflict, which would use a number up.
    const ORGANISATION: &str = "INSERT INTO organisations(did) SELECT $1::bytea \
        WHERE NOT EXISTS (SELECT 1 FROM organisations WHERE did = $1)";
    if !use_request(connection, &new).await? {
        return Ok(Opened::Replayed);
    }
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM uploads")
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    if natural(open)? >= at_most {
        return Ok(Opened::Full);
    }
    sqlx::query(ORGANISATION)
        .bind(new.organisation.digest())
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let number: i64 =
        sqlx::query_scalar(NUMBER).fetch_one(&mut *connection).await.map_err(fault)?;
    sqlx::query(INSERT)
        .bind(number)
        .bind(new.token)
        .bind(new.organisation.digest())
        .bind(new.grant.0)
        .bind(Text(new.model))
        .bind(integer(new.rows)?)
        .bind(i64::from(new.rehearsal))
        .bind(integer(new.opened.0)?)
        .bind(integer(new.expires.0)?)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(Opened::Yes)
}

/// Raises the number that is given next above every one that the private directory goes by, which
/// may be younger than the ledger beside it.
pub(super) async fn pass_numbers(writer: &Writer) -> Result<(), Error> {
    const SQL: &str = "UPDATE turn SET given = greatest(given, \
        (SELECT max(upload) FROM serials), (SELECT max(batch) FROM line))";
    let mut write = writer.begin().await?;
    let done = sqlx::query(SQL).execute(write.on()).await.map_err(fault);
    write.end(done.map(|_| ())).await
}

/// Notes a request until nobody could use it any more; false: it opened an upload before,
/// whatever became of that.
async fn use_request(connection: &mut PgConnection, new: &NewUpload) -> Result<bool, Error> {
    sqlx::query("DELETE FROM used_requests WHERE until < $1")
        .bind(integer(new.opened.0)?)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let noted = sqlx::query("INSERT INTO used_requests VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(&new.request[..])
        .bind(integer(new.valid_until.0)?)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(noted.rows_affected() == 1)
}

/// False: there is no such upload any more.
pub(super) async fn write_tiles(
    writer: &Writer,
    upload: u64,
    tiles: Vec<Tile>,
    anew: bool,
) -> Result<bool, Error> {
    let mut write = writer.begin().await?;
    let done = put_tiles(write.on(), upload, &tiles, anew).await;
    write.end(done).await
}

async fn put_tiles(
    connection: &mut PgConnection,
    upload: u64,
    tiles: &[Tile],
    anew: bool,
) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO tiles SELECT $1::bigint, * \
        FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])";
    if by_number(connection, upload).await?.is_none() {
        return Ok(false);
    }
    if anew {
        delete_tiles(connection, upload).await?;
    }
    let numbers = |of: fn(&Tile) -> u64| -> Result<Vec<i64>, Error> {
        tiles.iter().map(|tile| integer(of(tile))).collect()
    };
    sqlx::query(SQL)
        .bind(integer(upload)?)
        .bind(numbers(|tile| tile.level)?)
        .bind(numbers(|tile| tile.index)?)
        .bind(tiles.iter().map(|tile| *tile.first.digest()).collect::<Vec<_>>())
        .bind(tiles.iter().map(|tile| &tile.hashes[..]).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(true)
}

/// Never those of a batch.
async fn delete_tiles(connection: &mut PgConnection, upload: u64) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM tiles \
        WHERE batch = $1 AND NOT EXISTS (SELECT 1 FROM batches WHERE no = $1)";
    sqlx::query(SQL).bind(integer(upload)?).execute(connection).await.map_err(fault)?;
    Ok(())
}

pub(super) async fn seal(
    writer: &Writer,
    upload: u64,
    version: u64,
    count: u64,
    root: [u8; 32],
) -> Result<bool, Error> {
    const SQL: &str = "UPDATE uploads SET count = $1, root = $2 WHERE no = $3 AND version = $4";
    let query = sqlx::query(SQL)
        .bind(integer(count)?)
        .bind(root)
        .bind(integer(upload)?)
        .bind(integer(version)?);
    let mut write = writer.begin().await?;
    let sealed = query.execute(write.on()).await.map_err(fault);
    write.end(sealed.map(|sealed| sealed.rows_affected() == 1)).await
}

/// Ends an upload at once, then removes what it staged, a chunk at a time. Nothing happens if it
/// has gone, or has become a batch, since whoever asks saw it.
pub(super) async fn discard(writer: &Writer, upload: u64) -> Result<(), Error> {
    const END: &str = "UPDATE uploads SET expires = 0 \
        WHERE no = $1 AND NOT EXISTS (SELECT 1 FROM batches WHERE no = $1)";
    let mut write = writer.begin().await?;
    let ended = sqlx::query(END).bind(integer(upload)?).execute(write.on()).await.map_err(fault);
    let mut more = write.end(ended).await?.rows_affected() > 0;
    while more {
        let mut write = writer.begin().await?;
        let done = discard_some(write.on(), upload).await;
        more = write.end(done).await?;
    }
    Ok(())
}

/// Whether there is more.
async fn discard_some(connection: &mut PgConnection, upload: u64) -> Result<bool, Error> {
    if by_number(connection, upload).await?.is_none() {
        return Ok(false);
    }
    let names: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT name FROM leaves WHERE batch = $1 ORDER BY name LIMIT $2")
            .bind(integer(upload)?)
            .bind(limits::CHUNK)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
    if names.is_empty() {
        delete_tiles(connection, upload).await?;
        sqlx::query("DELETE FROM uploads WHERE no = $1")
            .bind(integer(upload)?)
            .execute(connection)
            .await
            .map_err(fault)?;
        return Ok(false);
    }
    let names: Result<Vec<Claim>, Error> =
        names.iter().map(|name| Ok(Claim(fixed(name)?))).collect();
    staging::remove(connection, upload, &names?).await?;
    Ok(true)
}
