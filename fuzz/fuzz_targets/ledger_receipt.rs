//! Receipts.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::Receipt;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<Receipt>(data)
}

muster_fuzz::target!(run);
