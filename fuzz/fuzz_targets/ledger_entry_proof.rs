//! Acknowledgements, and the batch part of a receipt.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::EntryProof;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<EntryProof>(data)
}

muster_fuzz::target!(run);
