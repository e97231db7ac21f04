//! What columns hold: signed numbers of 64 bits, and bytes.

use super::{BlockRow, DirectoryRow};
use crate::Error;
use crate::claims::Claim;
use crate::tiles::Tile;
use muster_identity::Did;
use muster_ledger::Time;

type Bytes = Vec<u8>;

/// A number as databases keep it. Nothing the ledger counts reaches 2^63.
pub(crate) fn integer(n: u64) -> Result<i64, Error> {
    i64::try_from(n).map_err(|_| Error::Us("a number above 2^63 in the store".into()))
}

/// A number from a database.
pub(crate) fn natural(n: i64) -> Result<u64, Error> {
    u64::try_from(n).map_err(|_| Error::damaged("a negative number"))
}

/// Bytes of a fixed size from a database.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::damaged("bytes of another length"))
}

/// Columns of a block: height, time, size, log root, state root.
pub(crate) type BlockColumns = (i64, i64, i64, Bytes, Bytes);

pub(crate) fn block_from(
    (height, time, size, log_root, state_root): BlockColumns,
) -> Result<BlockRow, Error> {
    Ok(BlockRow {
        height: natural(height)?,
        time: Time(natural(time)?),
        size: natural(size)?,
        log_root: fixed(&log_root)?,
        state_root: fixed(&state_root)?,
    })
}

/// Columns of a tile: level, place, first, hashes.
pub(crate) type TileColumns = (i64, i64, Bytes, Bytes);

pub(crate) fn tile_from((level, index, first, hashes): TileColumns) -> Result<Tile, Error> {
    let first = Did::from_digest(fixed(&first)?);
    Ok(Tile { level: natural(level)?, index: natural(index)?, first, hashes })
}

/// Columns of a directory row: name, serial number, lot, upload, row.
pub(crate) type DirectoryColumns = (Bytes, String, Option<String>, i64, i64);

pub(crate) fn directory_from(row: DirectoryColumns) -> Result<DirectoryRow, Error> {
    let (name, serial, lot, upload, row) = row;
    let name = Claim(fixed(&name)?);
    Ok(DirectoryRow { name, serial, lot, upload: natural(upload)?, row: natural(row)? })
}
