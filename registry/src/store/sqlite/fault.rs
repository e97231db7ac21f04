use crate::Error;

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

/// A number as SQLite keeps it. Nothing the ledger counts reaches 2^63.
pub(super) fn integer(n: u64) -> Result<i64, Error> {
    i64::try_from(n).map_err(|_| Error::Us("a number above 2^63 in the store".into()))
}

/// A number from SQLite.
pub(super) fn natural(n: i64) -> Result<u64, Error> {
    u64::try_from(n).map_err(|_| Error::damaged("a negative number"))
}

/// Bytes of a fixed size from SQLite.
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::damaged("bytes of another length"))
}
