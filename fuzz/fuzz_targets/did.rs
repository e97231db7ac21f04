//! `did:muster` identifiers and their DID URLs.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::{Did, DidUrl};

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_text::<Did>(data) | muster_fuzz::one_text::<DidUrl>(data)
}

muster_fuzz::target!(run);
