//! Notes and acts of people, in the private directory.

use super::fault::{fault, integer, natural};
use crate::Error;
use crate::store::Act;
use muster_api::limits;
use muster_identity::Did;
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

/// What a key does again and again within an hour is one act: signing in by a script does not push
/// out what others did.
pub(super) async fn add_act(pool: &SqlitePool, mut act: Act) -> Result<(), Error> {
    const SAME: &str = "SELECT EXISTS (SELECT 1 FROM \
        (SELECT * FROM acts ORDER BY no DESC LIMIT ?1) WHERE time > ?2 AND organisation = ?3 \
        AND who = ?4 AND act = ?5 AND about = ?6)";
    const SQL: &str = "INSERT INTO acts(time, organisation, who, act, about) \
        VALUES (?, ?, ?, ?, ?) RETURNING no";
    if let Some((end, _)) = act.about.char_indices().nth(limits::ACT_ABOUT) {
        act.about.truncate(end);
    }
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let same: bool = sqlx::query_scalar(SAME)
        .bind(integer(limits::ACTS_FOLDED)?)
        .bind(integer(act.time.saturating_sub(limits::ACT_FOLD_MS))?)
        .bind(&act.organisation.digest()[..])
        .bind(&act.who)
        .bind(&act.act)
        .bind(&act.about)
        .fetch_one(&mut *tx)
        .await
        .map_err(fault)?;
    if same {
        return Ok(());
    }
    let no: i64 = sqlx::query_scalar(SQL)
        .bind(integer(act.time)?)
        .bind(&act.organisation.digest()[..])
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
    organisation: Did,
    before: u64,
    count: u64,
) -> Result<Vec<(u64, Act)>, Error> {
    const SQL: &str = "SELECT no, time, who, act, about FROM acts \
        WHERE organisation = ? AND no < ? ORDER BY no DESC LIMIT ?";
    let rows: Vec<(i64, i64, String, String, String)> = sqlx::query_as(SQL)
        .bind(&organisation.digest()[..])
        .bind(i64::try_from(before).unwrap_or(i64::MAX))
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let row = |(no, time, who, act, about)| {
        Ok((natural(no)?, Act { time: natural(time)?, organisation, who, act, about }))
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::schema::DIRECTORY;
    use super::*;
    use sqlx::sqlite::SqlitePoolOptions;

    #[tokio::test]
    async fn acts_are_cut_folded_and_their_own_organisations() {
        // Every connection to `:memory:` has a database of its own.
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:");
        let pool = pool.await.expect("a pool");
        sqlx::raw_sql(DIRECTORY).execute(&pool).await.expect("tables");
        let act = |time, organisation, about: &str| Act {
            time,
            organisation: Did::from_digest([organisation; 32]),
            who: "z6Mk".into(),
            act: "sign-in".into(),
            about: about.into(),
        };
        let hour = limits::ACT_FOLD_MS;
        let long = "ä".repeat(limits::ACT_ABOUT + 1);
        for act in [
            act(hour, 1, "Ann"),
            act(hour + 1, 1, "Ann"),
            act(hour + 2, 2, "Ann"),
            act(2 * hour + 1, 1, "Ann"),
            act(2 * hour + 2, 1, &long),
            act(2 * hour + 3, 1, &long),
        ] {
            add_act(&pool, act).await.expect("added");
        }
        let cut: String = long.chars().take(limits::ACT_ABOUT).collect();
        let own = acts(&pool, Did::from_digest([1; 32]), u64::MAX, 9).await.expect("read");
        let own: Vec<_> = own.into_iter().map(|(_, act)| (act.time, act.about)).collect();
        let expected = [(2 * hour + 2, cut), (2 * hour + 1, "Ann".into()), (hour, "Ann".into())];
        assert_eq!(own, expected, "once an hour, and no other organisation's");
        let others = acts(&pool, Did::from_digest([2; 32]), u64::MAX, 9).await.expect("read");
        assert_eq!(others.len(), 1);
    }
}
