use super::fault::{fault, integer};
use super::staging;
use crate::Error;
use crate::claims::{BY_OPERATION, Claim};
use crate::store::{Commit, Flip};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

/// Writes blocks and everything that follows from them: all or nothing.
pub(super) async fn commit(pool: &SqlitePool, commits: Vec<Commit>) -> Result<(), Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    for commit in &commits {
        write(&mut tx, commit).await?;
    }
    tx.commit().await.map_err(fault)
}

async fn write(tx: &mut SqliteConnection, commit: &Commit) -> Result<(), Error> {
    for (place, entry) in (commit.first..).zip(&commit.entries) {
        sqlx::query("INSERT INTO entries VALUES (?, ?)")
            .bind(integer(place)?)
            .bind(&entry[..])
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
    }
    let block = &commit.block;
    sqlx::query("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)")
        .bind(integer(block.height)?)
        .bind(integer(block.time.0)?)
        .bind(integer(block.size)?)
        .bind(&block.log_root[..])
        .bind(&block.state_root[..])
        .execute(&mut *tx)
        .await
        .map_err(fault)?;
    for (key, value) in &commit.state {
        write_record(tx, key, value).await?;
    }
    staging::evict(tx, &commit.evict).await?;
    for claim in &commit.keys {
        write_claim(tx, claim).await?;
    }
    for flip in &commit.flips {
        write_flip(tx, flip).await?;
    }
    for (subject, entry) in &commit.touched {
        sqlx::query("INSERT INTO touched VALUES (?, ?)")
            .bind(&subject[..])
            .bind(integer(*entry)?)
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
    }
    Ok(())
}

/// Makes a sealed upload a batch whose entry is on the ledger already.
pub(super) async fn flip_alone(pool: &SqlitePool, flip: Flip) -> Result<(), Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    write_flip(&mut tx, &flip).await?;
    tx.commit().await.map_err(fault)
}

/// The upload's rows are in their final place: one row makes them a batch.
async fn write_flip(connection: &mut SqliteConnection, flip: &Flip) -> Result<(), Error> {
    sqlx::query("INSERT INTO batches VALUES (?, ?)")
        .bind(integer(flip.upload)?)
        .bind(&flip.batch.0[..])
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let ended = sqlx::query("DELETE FROM uploads WHERE no = ? AND count = ? AND root = ?")
        .bind(integer(flip.upload)?)
        .bind(integer(flip.count)?)
        .bind(&flip.root[..])
        .execute(connection)
        .await
        .map_err(fault)?;
    if ended.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::Us("a sealed upload changed under its operation".into()))
    }
}

pub(super) async fn write_record(
    connection: &mut SqliteConnection,
    key: &[u8],
    value: &[u8],
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO state VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    )
    .bind(key)
    .bind(value)
    .execute(connection)
    .await
    .map_err(fault)?;
    Ok(())
}

pub(super) async fn write_claim(
    connection: &mut SqliteConnection,
    claim: &Claim,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO claims VALUES (?, ?)")
        .bind(&claim.0[..])
        .bind(integer(BY_OPERATION)?)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}
