//! Leaves of a batch: what strangers stream to a node by the million.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::Leaf;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<Leaf>(data)
}

muster_fuzz::target!(run);
