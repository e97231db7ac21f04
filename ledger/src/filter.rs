//! Which devices may have a record. Most devices have none, and a gateway asks about each that
//! presents: with a million records in the tree the walk to nothing costs more than the rest of a
//! decision beside the signature, one look at a filter costs next to nothing.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Devices below which there is no filter: the walk is short.
const FEW: usize = 4_096;
/// Bits for each device that there is room for: one absent device in a hundred is walked for.
const BITS: usize = 12;
/// Bits that a device sets, all in one block: a question is one line of the processor's cache.
const SET: usize = 6;

/// A blocked Bloom filter over digests of DIDs. It only ever gains bits, so the states that share
/// it may differ: it holds the devices of each, and more. What it says has no effect but time.
#[derive(Default)]
pub(crate) struct Filter {
    /// A power of two of them; none: whoever asks must walk.
    blocks: Box<[Block]>,
    held: AtomicUsize,
    room: usize,
}

/// 512 bits.
type Block = [AtomicU64; 8];

impl Filter {
    /// With these devices, and room for as many again.
    pub(crate) fn of<'a>(number: usize, devices: impl Iterator<Item = &'a [u8; 32]>) -> Self {
        if number < FEW {
            return Self::default();
        }
        let room = number * 2;
        let blocks = (room * BITS).div_ceil(512).next_power_of_two();
        let blocks = (0..blocks).map(|_| Block::default()).collect();
        let filter = Self { blocks, held: AtomicUsize::new(0), room };
        devices.for_each(|digest| filter.add(digest));
        filter
    }

    /// Adds a device. Digests are hashes already: their bytes place them.
    pub(crate) fn add(&self, digest: &[u8; 32]) {
        if let Some((block, bits)) = self.place(digest) {
            for (word, bit) in bits {
                block[word].fetch_or(bit, Relaxed);
            }
            self.held.fetch_add(1, Relaxed);
        }
    }

    /// Whether a device may be there.
    pub(crate) fn may_hold(&self, digest: &[u8; 32]) -> bool {
        self.place(digest).is_none_or(|(block, mut bits)| {
            bits.all(|(word, bit)| block[word].load(Relaxed) & bit != 0)
        })
    }

    /// Whether a state with so many records needs a larger one.
    pub(crate) fn is_full(&self, records: usize) -> bool {
        match self.blocks.is_empty() {
            true => records >= FEW * 2,
            false => self.held.load(Relaxed) > self.room,
        }
    }

    fn place<'a>(
        &'a self,
        digest: &'a [u8; 32],
    ) -> Option<(&'a Block, impl Iterator<Item = (usize, u64)> + 'a)> {
        let (chunks, _) = digest.as_chunks::<8>();
        let [first, second, ..] = chunks else { return None };
        let mask = self.blocks.len().checked_sub(1)?;
        let block = &self.blocks[u64::from_be_bytes(*first) as usize & mask];
        let second = u64::from_be_bytes(*second);
        let bits = (0..SET).map(move |i| {
            let nine = (second >> (9 * i)) as usize & 511;
            (nine / 64, 1 << (nine % 64))
        });
        Some((block, bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use muster_identity::sha256;

    fn digests(from: u32, to: u32) -> Vec<[u8; 32]> {
        (from..to).map(|n| sha256(&[&n.to_be_bytes()])).collect()
    }

    #[test]
    fn it_holds_all_and_few_others() {
        let all = digests(0, 20_000);
        let filter = Filter::of(all.len(), all.iter());
        assert!(all.iter().all(|digest| filter.may_hold(digest)));
        let more = digests(20_000, 40_000);
        more.iter().for_each(|digest| filter.add(digest));
        assert!(all.iter().chain(&more).all(|digest| filter.may_hold(digest)));
        assert!(!filter.is_full(40_000));
        let others = digests(1_000_000, 1_020_000);
        let wrong = others.iter().filter(|digest| filter.may_hold(digest)).count();
        assert!(wrong < 400, "{wrong} of 20,000, when it is as full as it may be");
        filter.add(&[1; 32]);
        assert!(filter.is_full(40_001));
    }

    #[test]
    fn a_few_devices_need_none() {
        let few = digests(0, 100);
        let filter = Filter::of(few.len(), few.iter());
        assert!(filter.may_hold(&[1; 32]), "whoever asks must walk");
        assert!(!filter.is_full(100) && filter.is_full(2 * FEW));
    }
}
