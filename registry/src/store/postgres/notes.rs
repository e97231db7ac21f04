//! Notes and acts of people, in the private directory.

use super::fault::fault;
use super::text::Text;
use super::writer::Writer;
use crate::Error;
use crate::store::Act;
use crate::store::columns::{integer, natural};
use muster_api::limits;
use muster_identity::Did;
use sqlx::{PgConnection, PgPool};

pub(super) async fn note(pool: &PgPool, name: &str) -> Result<Option<Vec<u8>>, Error> {
    sqlx::query_scalar("SELECT body FROM notes WHERE name = $1")
        .bind(name)
        .fetch_optional(pool)
        .await
        .map_err(fault)
}

pub(super) async fn keep(writer: &Writer, name: &str, body: Vec<u8>) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO notes VALUES ($1, $2) \
        ON CONFLICT(name) DO UPDATE SET body = excluded.body";
    let mut write = writer.begin().await?;
    let done = sqlx::query(SQL).bind(name).bind(body).execute(write.on()).await.map_err(fault);
    write.end(done.map(|_| ())).await
}

/// What a key does again and again within an hour is one act: signing in by a script does not push
/// out what others did.
pub(super) async fn add_act(writer: &Writer, mut act: Act) -> Result<(), Error> {
    if let Some((end, _)) = act.about.char_indices().nth(limits::ACT_ABOUT) {
        act.about.truncate(end);
    }
    let mut write = writer.begin().await?;
    let done = add(write.on(), &act).await;
    write.end(done).await
}

async fn add(connection: &mut PgConnection, act: &Act) -> Result<(), Error> {
    const SAME: &str = "SELECT EXISTS (SELECT 1 FROM \
        (SELECT * FROM acts ORDER BY no DESC LIMIT $1) AS last WHERE time > $2 \
        AND organisation = $3 AND who = $4 AND act = $5 AND about = $6)";
    const SQL: &str = "INSERT INTO acts(time, organisation, who, act, about) \
        VALUES ($1, $2, $3, $4, $5) RETURNING no";
    let same: bool = sqlx::query_scalar(SAME)
        .bind(integer(limits::ACTS_FOLDED)?)
        .bind(integer(act.time.saturating_sub(limits::ACT_FOLD_MS))?)
        .bind(act.organisation.digest())
        .bind(Text::of(&act.who))
        .bind(Text::of(&act.act))
        .bind(Text::of(&act.about))
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    if same {
        return Ok(());
    }
    let no: i64 = sqlx::query_scalar(SQL)
        .bind(integer(act.time)?)
        .bind(act.organisation.digest())
        .bind(Text::of(&act.who))
        .bind(Text::of(&act.act))
        .bind(Text::of(&act.about))
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    sqlx::query("DELETE FROM acts WHERE no <= $1")
        .bind(no.saturating_sub(integer(limits::ACTS)?))
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(())
}

pub(super) async fn acts(
    pool: &PgPool,
    organisation: Did,
    before: u64,
    count: u64,
) -> Result<Vec<(u64, Act)>, Error> {
    const SQL: &str = "SELECT no, time, who, act, about FROM acts \
        WHERE organisation = $1 AND no < $2 ORDER BY no DESC LIMIT $3";
    let rows: Vec<(i64, i64, Text, Text, Text)> = sqlx::query_as(SQL)
        .bind(&organisation.digest()[..])
        .bind(i64::try_from(before).unwrap_or(i64::MAX))
        .bind(integer(count)?)
        .fetch_all(pool)
        .await
        .map_err(fault)?;
    let row = |(no, time, Text(who), Text(act), Text(about)): (_, _, Text, Text, Text)| {
        Ok((natural(no)?, Act { time: natural(time)?, organisation, who, act, about }))
    };
    rows.into_iter().map(row).collect()
}
