//! Manifests in JSON lines: files of strangers' tools.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_provisioning::formats::Format;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::manifest(Format::Jsonl, data)
}

muster_fuzz::target!(run);
