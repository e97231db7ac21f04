use super::PATIENCE;
use super::fault::fault;
use crate::Error;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use std::path::Path;

/// Copies one database as it stands at one moment into an empty file. In WAL mode whoever writes
/// goes on meanwhile; the write-ahead log grows until the copy is done.
pub(crate) async fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::File::open(from).map_err(|e| Error::file(from, &e))?;
    let options = SqliteConnectOptions::new()
        .filename(from)
        .read_only(true)
        .busy_timeout(PATIENCE)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(fault)?;
    // <https://www.sqlite.org/lang_vacuum.html#vacuuminto>: the target may be an empty file.
    let copied = sqlx::query("VACUUM INTO ?")
        .bind(to.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await
        .map_err(fault);
    connection.close().await.map_err(fault)?;
    copied.map(|_| ())
}
