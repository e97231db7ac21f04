//! What nodes say to each other: requests, and answers.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_consensus::message::{Frame, Response};

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<Frame>(data) | muster_fuzz::one_encoding::<Response>(data)
}

muster_fuzz::target!(run);
