use super::bulk::{Binding, Insert};
use super::fault::{fault, integer};
use super::staging;
use crate::Error;
use crate::claims::{BY_OPERATION, Claim};
use crate::store::{Commit, Flip};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use std::sync::Arc;

/// Writes blocks and everything that follows from them: all or nothing.
pub(super) async fn commit(pool: &SqlitePool, commits: Vec<Commit>) -> Result<(), Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    for commit in &commits {
        write(&mut tx, commit).await?;
    }
    tx.commit().await.map_err(fault)
}

async fn write(tx: &mut SqliteConnection, commit: &Commit) -> Result<(), Error> {
    static ENTRIES: Insert = Insert::new("INSERT INTO entries", "(?,?)", "");
    static TOUCHED: Insert = Insert::new("INSERT INTO touched", "(?,?)", "");
    let entries: Vec<_> = (commit.first..).zip(&commit.entries).collect();
    let bind = |query: Binding, (place, entry): &(u64, &Vec<u8>)| {
        Ok(query.bind(integer(*place)?).bind((*entry).clone()))
    };
    ENTRIES.run(tx, &entries, bind).await?;
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
    write_records(tx, &commit.state).await?;
    staging::evict(tx, &commit.evict).await?;
    for claim in &commit.keys {
        write_claim(tx, claim).await?;
    }
    for flip in &commit.flips {
        write_flip(tx, flip).await?;
    }
    let bind = |query: Binding, (subject, entry): &([u8; 32], u64)| {
        Ok(query.bind(subject.to_vec()).bind(integer(*entry)?))
    };
    TOUCHED.run(tx, &commit.touched, bind).await?;
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

pub(super) async fn write_records(
    connection: &mut SqliteConnection,
    records: &[(Vec<u8>, Arc<[u8]>)],
) -> Result<(), Error> {
    static STATE: Insert = Insert::new(
        "INSERT INTO state(key, value)",
        "(?,?)",
        "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    );
    let bind = |query: Binding, (key, value): &(Vec<u8>, Arc<[u8]>)| {
        Ok(query.bind(key.clone()).bind(value.to_vec()))
    };
    STATE.run(connection, records, bind).await.map(drop)
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
