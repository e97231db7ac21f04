//! Rows in the order of the leaves, however many: sorted in memory a share at a time, each share
//! written out, all shares merged when they are read.

use crate::spool::{Reading, Spool, Spooled};
use muster_identity::Did;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

/// Bytes sorted at once: 200,000 ordinary rows.
const SHARE: usize = 48 << 20;

/// Where a row stands: its batch, then its DID. Equal ones keep the order of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) batch: u16,
    pub(crate) did: Did,
    /// Number of the row over all files.
    pub(crate) row: u32,
}

const PLACE: usize = 2 + 32 + 4;

/// Takes rows in any order.
#[derive(Debug)]
pub(crate) struct Sorter {
    dir: PathBuf,
    bytes: Vec<u8>,
    /// Place, and where its bytes end; they begin where those taken before end.
    taken: Vec<(Place, usize)>,
    shares: Vec<Spooled>,
}

impl Sorter {
    /// An empty one; its files would be made in this folder.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.into(), bytes: Vec::new(), taken: Vec::new(), shares: Vec::new() }
    }

    /// Takes a row.
    pub(crate) fn push(&mut self, place: Place, row: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(row);
        self.taken.push((place, self.bytes.len()));
        if self.bytes.len() + self.taken.len() * size_of::<(Place, usize)>() > SHARE {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let mut begin = 0;
        let mut order: Vec<(Place, usize, usize)> = Vec::with_capacity(self.taken.len());
        for (place, end) in self.taken.drain(..) {
            order.push((place, begin, end));
            begin = end;
        }
        order.sort_unstable();
        let mut share = Spool::new(&self.dir);
        for (place, begin, end) in order {
            share.write_all(&place.batch.to_le_bytes())?;
            share.write_all(place.did.digest())?;
            share.write_all(&place.row.to_le_bytes())?;
            share.write_all(&((end - begin) as u32).to_le_bytes())?;
            share.write_all(&self.bytes[begin..end])?;
        }
        self.bytes.clear();
        self.shares.push(share.finish()?);
        Ok(())
    }

    /// No more rows come.
    pub(crate) fn finish(mut self) -> io::Result<Sorted> {
        self.write()?;
        Ok(Sorted(self.shares))
    }
}

/// Rows in order.
#[derive(Debug)]
pub(crate) struct Sorted(Vec<Spooled>);

impl Sorted {
    /// All of them, in order.
    pub(crate) fn read(&self) -> io::Result<Merge<'_>> {
        let shares = self.0.iter().map(|share| share.read()).collect();
        let mut merge = Merge { shares, next: BinaryHeap::new() };
        for share in 0..merge.shares.len() {
            merge.fetch(share)?;
        }
        Ok(merge)
    }
}

type Waiting = Reverse<(Place, usize, Vec<u8>)>;

/// Merges the shares.
#[derive(Debug)]
pub(crate) struct Merge<'s> {
    shares: Vec<BufReader<Reading<'s>>>,
    /// The next row of each share that has one.
    next: BinaryHeap<Waiting>,
}

impl Merge<'_> {
    fn fetch(&mut self, share: usize) -> io::Result<()> {
        let reader = &mut self.shares[share];
        let mut head = [0; PLACE + 4];
        match reader.read_exact(&mut head) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let (place, length) = head.split_at(PLACE);
        let place = Place {
            batch: u16::from_le_bytes(fixed(&place[..2])),
            did: Did::from_digest(fixed(&place[2..34])),
            row: u32::from_le_bytes(fixed(&place[34..])),
        };
        let mut row = vec![0; u32::from_le_bytes(fixed(length)) as usize];
        reader.read_exact(&mut row)?;
        self.next.push(Reverse((place, share, row)));
        Ok(())
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

impl Iterator for Merge<'_> {
    type Item = io::Result<(Place, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((place, share, row)) = self.next.pop()?;
        Some(self.fetch(share).map(|()| (place, row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_shares_give_one_order() {
        let dir = std::env::temp_dir();
        let mut sorter = Sorter::new(&dir);
        let mut all = Vec::new();
        for row in 0..5_000_u32 {
            let mixed = row.wrapping_mul(2_654_435_761);
            let mut digest = [0; 32];
            // Some DIDs come more than once.
            digest[..4].copy_from_slice(&(mixed % 4_000).to_be_bytes());
            let place = Place { batch: (row % 3) as u16, did: Did::from_digest(digest), row };
            // Rows of different sizes, some of them large, so that there are several shares.
            let bytes = vec![row as u8; 10 + (row as usize % 7) * 9_000];
            sorter.push(place, &bytes).expect("a temporary folder");
            all.push((place, bytes));
        }
        let sorted = sorter.finish().expect("written");
        assert!(sorted.0.len() > 2, "{} shares", sorted.0.len());
        all.sort_unstable();
        for _ in 0..2 {
            let read: Vec<_> = sorted.read().expect("read").map(|row| row.expect("read")).collect();
            assert!(read == all);
        }
    }
}
