//! What an importer tells a node of the line.
#![cfg_attr(feature = "libfuzzer", no_main)]

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<muster_api::LineRecords>(data)
}

muster_fuzz::target!(run);
