//! Entries of the log.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::Entry;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<Entry>(data)
}

muster_fuzz::target!(run);
