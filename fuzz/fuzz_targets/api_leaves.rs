//! What a node gives of a batch to who loads its devices beforehand.
#![cfg_attr(feature = "libfuzzer", no_main)]

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<muster_api::Leaves>(data)
}

muster_fuzz::target!(run);
