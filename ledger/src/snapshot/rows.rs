//! Devices as rows. Nearly every device that changed has its own key and a standing that one byte
//! tells: revoked. Such a one is its DID's digest and some small numbers.

use super::SnapshotFault;
use crate::{BatchId, DeviceKey, DeviceRecord, Standing, limits};
use alloc::vec::Vec;
use muster_identity::Did;

const REVOKED: u8 = 1;
const DEACTIVATED: u8 = 2;
const RELEASED: u8 = 4;

/// Longest row: digest, standing, four numbers of at most ten bytes.
pub(super) const ROW_BYTES: usize = 32 + 1 + 4 * 10;

/// Shortest row: digest, standing, three numbers of one byte.
pub(super) const LEAST_BYTES: usize = 32 + 1 + 3;

const MALFORMED: SnapshotFault = SnapshotFault::Malformed("a row of a device");

/// Whether a device is no more than a row tells, given that its batch has a place.
pub(super) fn fits(record: &DeviceRecord) -> bool {
    let bare = record.key == DeviceKey::Own && record.standing.holds.is_empty();
    bare && record.left.is_none() && record.offer.is_none()
}

/// Appends a row.
pub(super) fn write(out: &mut Vec<u8>, did: &Did, record: &DeviceRecord, batch: u64) {
    let Standing { revoked, deactivated, released, .. } = record.standing;
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.extend(did.digest());
    out.push(
        flag(revoked, REVOKED) | flag(deactivated, DEACTIVATED) | flag(released > 0, RELEASED),
    );
    number(out, batch);
    number(out, record.index);
    number(out, record.seq);
    if released > 0 {
        number(out, released);
    }
}

/// Reads the next row; `batches` are those that rows name by their places.
pub(super) fn read(
    rows: &mut &[u8],
    batches: &[BatchId],
) -> Result<(Did, DeviceRecord), SnapshotFault> {
    let (digest, rest) = rows.split_first_chunk::<32>().ok_or(MALFORMED)?;
    let (flags, rest) = rest.split_first().ok_or(MALFORMED)?;
    *rows = rest;
    if *flags > (REVOKED | DEACTIVATED | RELEASED) {
        return Err(MALFORMED);
    }
    let place = usize::try_from(take(rows)?).map_err(|_| MALFORMED)?;
    let index = take(rows)?;
    if index > limits::BATCH_DEVICES {
        return Err(MALFORMED);
    }
    let record = DeviceRecord {
        batch: *batches.get(place).ok_or(SnapshotFault::Malformed("a row of an unknown batch"))?,
        index,
        seq: take(rows)?,
        key: DeviceKey::Own,
        retired: Vec::new(),
        next_key: None,
        standing: Standing {
            revoked: flags & REVOKED != 0,
            deactivated: flags & DEACTIVATED != 0,
            released: if flags & RELEASED == 0 { 0 } else { nonzero(take(rows)?)? },
            holds: Vec::new(),
        },
        left: None,
        offer: None,
    };
    Ok((Did::from_digest(*digest), record))
}

fn nonzero(n: u64) -> Result<u64, SnapshotFault> {
    if n == 0 { Err(MALFORMED) } else { Ok(n) }
}

/// An unsigned LEB128 number: seven bits a byte, lowest first, the highest bit says that more follow.
fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Reads a number in its shortest form.
fn take(bytes: &mut &[u8]) -> Result<u64, SnapshotFault> {
    let mut n = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(MALFORMED)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits || (*byte == 0 && shift > 0) {
            return Err(MALFORMED);
        }
        n |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(n);
        }
    }
    Err(MALFORMED)
}

#[cfg(test)]
mod tests {
    use super::{number, take};
    use alloc::vec::Vec;

    #[test]
    fn a_number_has_one_form() {
        for n in [0, 1, 127, 128, 300, 16_383, 16_384, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            number(&mut bytes, n);
            let mut rest = &bytes[..];
            assert_eq!(take(&mut rest), Ok(n));
            assert!(rest.is_empty());
            assert!(take(&mut &bytes[..bytes.len() - 1]).is_err(), "cut");
        }
        for bad in [&[0x80, 0][..], &[0xff; 10], &[0xff, 0x80, 0], &[0x80; 11]] {
            assert!(take(&mut &bad[..]).is_err(), "{bad:?}");
        }
        // 2^64.
        let above = [[0x80; 9].as_slice(), &[2]].concat();
        assert!(take(&mut &above[..]).is_err());
    }
}
