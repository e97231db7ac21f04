//! Manifests in JSON that is not made of lines: files of strangers' tools.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_provisioning::formats::Format;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::manifest(Format::Json, data)
}

muster_fuzz::target!(run);
