//! Genesis files: whoever holds one checks everything that follows.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::Genesis;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<Genesis>(data)
}

muster_fuzz::target!(run);
