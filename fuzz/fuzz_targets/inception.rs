//! Inceptions: the bytes a DID is the hash of.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::Inception;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<Inception>(data)
}

muster_fuzz::target!(run);
