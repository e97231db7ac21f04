use crate::Error;

pub(super) use crate::store::columns::{fixed, integer, natural};

/// What SQLite says if a file may not grow for another reason than a full disk, such as a limit on
/// its size or a quota; also if the disk fails.
const IOERR_WRITE: u32 = 778;

/// Whose fault an error of the database is, by SQLite's primary result code
/// (<https://www.sqlite.org/rescode.html>).
pub(super) fn fault(error: sqlx::Error) -> Error {
    if matches!(error, sqlx::Error::PoolClosed) {
        return Error::Closing;
    }
    let extended =
        error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<u32>().ok());
    let text = error.to_string();
    if extended == Some(IOERR_WRITE) {
        return Error::Full(text);
    }
    match extended.map(|code| code & 0xff) {
        // READONLY, FULL
        Some(8 | 13) => Error::Full(text),
        // IOERR, CANTOPEN, PERM, NOLFS
        Some(10 | 14 | 3 | 22) => {
            Error::operator(text, "check the disk and the folder's permissions")
        }
        // CORRUPT, NOTADB
        Some(11 | 26) => Error::Damaged(text),
        _ => Error::Us(text),
    }
}
