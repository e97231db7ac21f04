//! The payload of an operation, without its signature.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::Operation;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<Operation>(data)
}

muster_fuzz::target!(run);
