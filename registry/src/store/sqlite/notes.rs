//! Notes and acts of people, in the private directory.

use super::fault::{fault, integer, natural};
use crate::Error;
use crate::store::Act;
use muster_api::limits;
use sqlx::sqlite::SqlitePool;

pub(super) async fn note(pool: &SqlitePool, name: &str) -> Result<Option<Vec<u8>>, Error> {
    sqlx::query_scalar("SELECT body FROM notes WHERE name = ?")
        .bind(name)
        .fetch_optional(pool)
        .await
        .map_err(fault)
}

pub(super) async fn keep(pool: &SqlitePool, name: &str, body: Vec<u8>) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO notes VALUES (?, ?) \
        ON CONFLICT(name) DO UPDATE SET body = excluded.body";
    sqlx::query(SQL).bind(name).bind(body).execute(pool).await.map_err(fault)?;
    Ok(())
}

pub(super) async fn add_act(pool: &SqlitePool, act: Act) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO acts(time, who, act, about) VALUES (?, ?, ?, ?) RETURNING no";
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let no: i64 = sqlx::query_scalar(SQL)
        .bind(integer(act.time)?)
        .bind(act.who)
        .bind(act.act)
        .bind(act.about)
        .fetch_one(&mut *tx)
        .await
        .map_err(fault)?;
    sqlx::query("DELETE FROM acts WHERE no <= ?")
        .bind(no.saturating_sub(integer(limits::ACTS)?))
        .execute(&mut *tx)
        .await
        .map_err(fault)?;
    tx.commit().await.map_err(fault)
}

pub(super) async fn acts(
    pool: &SqlitePool,
    before: u64,
    count: u64,
) -> Result<Vec<(u64, Act)>, Error> {
    const SQL: &str =
        "SELECT no, time, who, act, about FROM acts WHERE no < ? ORDER BY no DESC LIMIT ?";
    let rows: Vec<(i64, i64, String, String, String)> = sqlx::query_as(SQL)
        .bind(i64::try_from(before).unwrap_or(i64::MAX))
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let row = |(no, time, who, act, about)| {
        Ok((natural(no)?, Act { time: natural(time)?, who, act, about }))
    };
    rows.into_iter().map(row).collect()
}
