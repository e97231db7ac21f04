//! Manifests in separated values: spreadsheets, mostly.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_provisioning::formats::Format;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::manifest(Format::Csv, data)
}

muster_fuzz::target!(run);
