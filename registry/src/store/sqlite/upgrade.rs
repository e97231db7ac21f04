//! Folders of earlier formats become what this code writes, after a copy of them was put aside.

use super::copying::copy_file;
use super::fault::fault;
use super::{PATIENCE, schema};
use crate::Error;
use crate::folder::{DIRECTORY, Folder, LEDGER, private};
use muster_ledger::Time;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What turns one format into the next: statements over both files, the ledger attached as
/// `ledger`, the directory as `main`.
pub(crate) struct Step {
    pub(crate) from: &'static [u8],
    pub(crate) to: &'static [u8],
    pub(crate) sql: &'static str,
}

/// From the first released format on. Whoever raises [`schema::FORMAT`] after a release adds a
/// step, and a folder of the old format to `tests/fixtures`.
pub(crate) const STEPS: &[Step] = &[Step { from: b"4", to: b"5", sql: CONSOLE }];

/// What gateways let through and refused is counted by the hour; people of the console and what
/// they did have tables. The directory may have them all already: only the ledger says its format,
/// so an old ledger beside a newer directory is possible. Letter by letter as in [`schema::DIRECTORY`],
/// which the audit compares.
const CONSOLE: &str = "CREATE TABLE IF NOT EXISTS main.gateway_hours(
    hour INTEGER NOT NULL, gateway INTEGER NOT NULL, allowed INTEGER NOT NULL,
    refused INTEGER NOT NULL, PRIMARY KEY(hour, gateway)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS main.notes(name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS main.acts(
    no INTEGER PRIMARY KEY, time INTEGER NOT NULL, organisation BLOB NOT NULL, who TEXT NOT NULL,
    act TEXT NOT NULL, about TEXT NOT NULL) STRICT;";

/// Brings the files of a folder to this code's format; where the copy is, if that was necessary.
/// `now` names the copy; without it none is made, since the files are copies themselves.
pub(crate) async fn upgrade(folder: &Folder, now: Option<Time>) -> Result<Option<PathBuf>, Error> {
    upgrade_by(folder, now, STEPS, schema::FORMAT).await
}

pub(crate) async fn upgrade_by(
    folder: &Folder,
    now: Option<Time>,
    steps: &[Step],
    ours: &[u8],
) -> Result<Option<PathBuf>, Error> {
    let ledger = folder.file(LEDGER);
    let Some(found) = format(&ledger).await? else { return Ok(None) };
    if found == ours {
        return Ok(None);
    }
    let mut way = Vec::new();
    let mut at = &found[..];
    while let Some(step) = steps.iter().find(|step| step.from == at && at != ours) {
        way.push(step);
        at = step.to;
    }
    let (found, ours) = (String::from_utf8_lossy(&found), String::from_utf8_lossy(ours));
    if at != ours.as_bytes() {
        return Err(Error::operator(
            format!(
                "{} is of format {found}, this is muster {} and reads format {ours}",
                ledger.display(),
                env!("CARGO_PKG_VERSION")
            ),
            "use the version of muster that wrote it, or a newer one",
        ));
    }
    let copy = match now {
        Some(now) => Some(put_aside(folder, &format!("backup-{found}-{}", now.0)).await?),
        None => None,
    };
    let place = copy
        .as_ref()
        .map_or(String::new(), |copy| format!("; it is as it was in {}", copy.display()));
    tracing::warn!("{} is of format {found} and becomes {ours}{place}", ledger.display());
    migrate(folder, &way).await?;
    Ok(copy)
}

/// The format that a ledger says it has; none if nothing was ever written.
async fn format(ledger: &Path) -> Result<Option<Vec<u8>>, Error> {
    if fs::metadata(ledger).map_or(0, |found| found.len()) == 0 {
        return Ok(None);
    }
    let mut connection = SqliteConnection::connect_with(&options(ledger)).await.map_err(fault)?;
    const TABLES: &str = "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'";
    let tables: i64 = sqlx::query_scalar(TABLES).fetch_one(&mut connection).await.map_err(fault)?;
    let found: Option<Vec<u8>> = match tables {
        0 => None,
        _ => sqlx::query_scalar("SELECT value FROM meta WHERE key = 'format'")
            .fetch_optional(&mut connection)
            .await
            .map_err(fault)?,
    };
    connection.close().await.map_err(fault)?;
    Ok(found)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE).disable_statement_logging()
}

/// Copies both files into a folder beside them.
async fn put_aside(folder: &Folder, name: &str) -> Result<PathBuf, Error> {
    let to = folder.file(name);
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&to).map_err(|e| Error::file(&to, &e))?;
    for name in [LEDGER, DIRECTORY] {
        let target = to.join(name);
        private().create_new(true).open(&target).map_err(|e| Error::file(&target, &e))?;
        copy_file(&folder.file(name), &target).await?;
        let synced = File::open(&target).and_then(|file| file.sync_all());
        synced.map_err(|e| Error::file(&target, &e))?;
    }
    let synced = File::open(&to).and_then(|folder| folder.sync_all());
    synced.map_err(|e| Error::file(&to, &e))?;
    Ok(to)
}

/// All steps in one transaction. With a rollback journal, unlike in WAL mode, SQLite makes it
/// atomic over both files (<https://www.sqlite.org/lang_attach.html>).
async fn migrate(folder: &Folder, way: &[&Step]) -> Result<(), Error> {
    let options = options(&folder.file(DIRECTORY)).journal_mode(SqliteJournalMode::Delete);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(fault)?;
    let migrated = steps(&mut connection, folder, way).await;
    // Whatever was begun and not committed is undone.
    connection.close().await.map_err(fault)?;
    migrated
}

async fn steps(
    connection: &mut SqliteConnection,
    folder: &Folder,
    way: &[&Step],
) -> Result<(), Error> {
    sqlx::query("ATTACH DATABASE ? AS ledger")
        .bind(folder.file(LEDGER).to_string_lossy().into_owned())
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    const BEGIN: &str = "PRAGMA ledger.journal_mode = DELETE; PRAGMA ledger.synchronous = FULL; \
        PRAGMA main.synchronous = FULL; BEGIN EXCLUSIVE;";
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await.map_err(fault)?;
    for step in way {
        sqlx::raw_sql(step.sql).execute(&mut *connection).await.map_err(fault)?;
        sqlx::query("UPDATE ledger.meta SET value = ? WHERE key = 'format'")
            .bind(step.to)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    sqlx::raw_sql("COMMIT").execute(connection).await.map_err(fault)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Sqlite;
    use super::*;
    use crate::tests::genesis;
    use sqlx::Row as _;

    const NEW_TABLES: Step = Step {
        from: schema::FORMAT,
        to: b"later",
        sql: "CREATE TABLE ledger.later(a); CREATE TABLE main.mine(a);",
    };
    const FILLED: Step = Step {
        from: b"later",
        to: b"latest",
        sql: "INSERT INTO later VALUES (7); INSERT INTO mine VALUES (8);",
    };
    const BROKEN: Step =
        Step { from: b"later", to: b"latest", sql: "INSERT INTO nowhere VALUES (7);" };

    fn written() -> String {
        String::from_utf8(schema::FORMAT.to_vec()).unwrap()
    }

    async fn made() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::take(dir.path()).await.unwrap();
        let (ledger, directory) = (folder.file(LEDGER), folder.file(DIRECTORY));
        assert_eq!(upgrade(&folder, Some(Time(5))).await, Ok(None), "an empty folder");
        let store = Sqlite::open(&ledger, &directory, &genesis()).await.unwrap();
        crate::store::Store::close(&store).await;
        assert_eq!(upgrade(&folder, Some(Time(5))).await, Ok(None), "our own format");
        (dir, folder)
    }

    async fn numbers(folder: &Folder, file: &str, sql: &'static str) -> Result<i64, sqlx::Error> {
        let mut connection = SqliteConnection::connect_with(&options(&folder.file(file))).await?;
        let row = sqlx::query(sql).fetch_one(&mut connection).await;
        connection.close().await?;
        row?.try_get(0)
    }

    #[tokio::test]
    async fn steps_are_taken_after_a_copy() {
        let (_dir, folder) = made().await;
        let copy =
            upgrade_by(&folder, Some(Time(5)), &[NEW_TABLES, FILLED], b"latest").await.unwrap();
        assert_eq!(copy, Some(folder.file(&format!("backup-{}-5", written()))));
        assert_eq!(format(&folder.file(LEDGER)).await, Ok(Some(b"latest".to_vec())));
        assert_eq!(format(&copy.unwrap().join(LEDGER)).await, Ok(Some(schema::FORMAT.to_vec())));
        assert_eq!(numbers(&folder, LEDGER, "SELECT a FROM later").await.unwrap(), 7);
        assert_eq!(numbers(&folder, DIRECTORY, "SELECT a FROM mine").await.unwrap(), 8);
        // Once is enough; and this code does not go back.
        assert_eq!(
            upgrade_by(&folder, Some(Time(5)), &[NEW_TABLES, FILLED], b"latest").await,
            Ok(None)
        );
        let refused = upgrade(&folder, Some(Time(6))).await.unwrap_err().to_string();
        let version = env!("CARGO_PKG_VERSION");
        let words = format!(
            "is of format latest, this is muster {version} and reads format {}; use",
            written()
        );
        assert!(refused.contains(&words) && refused.contains("or a newer one"), "{refused}");
        assert!(!folder.file("backup-latest-6").exists());
    }

    #[tokio::test]
    async fn an_old_ledger_beside_a_new_directory_is_upgraded() {
        let (_dir, folder) = made().await;
        let options = options(&folder.file(LEDGER));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        const OLD: &str = "UPDATE meta SET value = CAST('4' AS BLOB) WHERE key = 'format'";
        sqlx::raw_sql(OLD).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        assert!(upgrade(&folder, Some(Time(5))).await.unwrap().is_some());
        assert_eq!(format(&folder.file(LEDGER)).await, Ok(Some(schema::FORMAT.to_vec())));
        // And a directory that has none of the tables gets them.
        let options = super::options(&folder.file(DIRECTORY));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        const DROP: &str = "DROP TABLE gateway_hours; DROP TABLE notes; DROP TABLE acts;";
        sqlx::raw_sql(DROP).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let options = super::options(&folder.file(LEDGER));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(OLD).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        upgrade(&folder, Some(Time(6))).await.unwrap();
        for sql in ["SELECT count(*) FROM gateway_hours", "SELECT count(*) FROM notes"] {
            assert_eq!(numbers(&folder, DIRECTORY, sql).await.unwrap(), 0);
        }
        assert_eq!(numbers(&folder, DIRECTORY, "SELECT count(*) FROM acts").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_step_that_fails_undoes_all() {
        let (_dir, folder) = made().await;
        upgrade_by(&folder, Some(Time(5)), &[NEW_TABLES, BROKEN], b"latest").await.unwrap_err();
        assert_eq!(format(&folder.file(LEDGER)).await, Ok(Some(schema::FORMAT.to_vec())));
        for (file, sql) in
            [(LEDGER, "SELECT count(*) FROM later"), (DIRECTORY, "SELECT count(*) FROM mine")]
        {
            assert!(numbers(&folder, file, sql).await.is_err(), "{file}");
        }
        // The folder still opens as it was.
        let (ledger, directory) = (folder.file(LEDGER), folder.file(DIRECTORY));
        let store = Sqlite::open(&ledger, &directory, &genesis()).await.unwrap();
        crate::store::Store::close(&store).await;
    }
}
