use super::fault::fault;
use super::staging;
use super::writer::Writer;
use crate::Error;
use crate::claims::{BY_OPERATION, Claim};
use crate::store::columns::integer;
use crate::store::{Commit, Flip};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Writes blocks and everything that follows from them: all or nothing.
pub(super) async fn commit(writer: &Writer, commits: Vec<Commit>) -> Result<(), Error> {
    let mut write = writer.begin().await?;
    let done = write_blocks(write.on(), &commits).await;
    write.end(done).await
}

async fn write_blocks(connection: &mut PgConnection, commits: &[Commit]) -> Result<(), Error> {
    for commit in commits {
        write_block(connection, commit).await?;
    }
    Ok(())
}

async fn write_block(connection: &mut PgConnection, commit: &Commit) -> Result<(), Error> {
    let count = integer(commit.entries.len() as u64)?;
    let first = integer(commit.first)?;
    let places: Vec<i64> = (first..first + count).collect();
    sqlx::query("INSERT INTO entries SELECT * FROM unnest($1::bigint[], $2::bytea[])")
        .bind(places)
        .bind(&commit.entries)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let block = &commit.block;
    sqlx::query("INSERT INTO blocks VALUES ($1, $2, $3, $4, $5)")
        .bind(integer(block.height)?)
        .bind(integer(block.time.0)?)
        .bind(integer(block.size)?)
        .bind(block.log_root)
        .bind(block.state_root)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let records = commit.state.iter().map(|(key, value)| (&key[..], &value[..]));
    write_records(connection, records).await?;
    staging::evict(connection, &commit.evict).await?;
    write_keys(connection, &commit.keys).await?;
    for flip in &commit.flips {
        write_flip(connection, flip).await?;
    }
    let (mut subjects, mut entries) = (Vec::new(), Vec::new());
    for (subject, entry) in &commit.touched {
        subjects.push(*subject);
        entries.push(integer(*entry)?);
    }
    sqlx::query("INSERT INTO touched SELECT * FROM unnest($1::bytea[], $2::bigint[])")
        .bind(subjects)
        .bind(entries)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}

/// Makes a sealed upload a batch whose entry is on the ledger already.
pub(super) async fn flip_alone(writer: &Writer, flip: Flip) -> Result<(), Error> {
    let mut write = writer.begin().await?;
    let done = write_flip(write.on(), &flip).await;
    write.end(done).await
}

/// The upload's rows are in their final place: one row makes them a batch.
async fn write_flip(connection: &mut PgConnection, flip: &Flip) -> Result<(), Error> {
    sqlx::query("INSERT INTO batches VALUES ($1, $2)")
        .bind(integer(flip.upload)?)
        .bind(flip.batch.0)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let ended = sqlx::query("DELETE FROM uploads WHERE no = $1 AND count = $2 AND root = $3")
        .bind(integer(flip.upload)?)
        .bind(integer(flip.count)?)
        .bind(flip.root)
        .execute(connection)
        .await
        .map_err(fault)?;
    if ended.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::Us("a sealed upload changed under its operation".into()))
    }
}

/// Writes state records in place of what they were; of one that comes twice, the later counts.
pub(super) async fn write_records<'a>(
    connection: &mut PgConnection,
    records: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO state SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
        ON CONFLICT(key) DO UPDATE SET value = excluded.value";
    let records: BTreeMap<&[u8], &[u8]> = records.collect();
    let (keys, values): (Vec<&[u8]>, Vec<&[u8]>) = records.into_iter().unzip();
    sqlx::query(SQL).bind(keys).bind(values).execute(connection).await.map_err(fault)?;
    Ok(())
}

/// Writes claims of keys that entered by the genesis or an operation.
pub(super) async fn write_keys(connection: &mut PgConnection, keys: &[Claim]) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO claims SELECT one, $2::bigint FROM unnest($1::bytea[]) AS one";
    sqlx::query(SQL)
        .bind(super::reading::digests(keys))
        .bind(integer(BY_OPERATION)?)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}
