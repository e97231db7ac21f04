//! Blocks, as peers send them.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::Block;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<Block>(data)
}

muster_fuzz::target!(run);
