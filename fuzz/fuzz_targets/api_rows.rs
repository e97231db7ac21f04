//! What an importer sends a node.
#![cfg_attr(feature = "libfuzzer", no_main)]

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<muster_api::Rows>(data)
}

muster_fuzz::target!(run);
