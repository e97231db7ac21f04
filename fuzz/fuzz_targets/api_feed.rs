//! What a node sends its followers.
#![cfg_attr(feature = "libfuzzer", no_main)]

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<muster_api::Feed>(data)
}

muster_fuzz::target!(run);
