//! Device parts: what a device carries and a stranger may send to a gateway.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::DevicePart;

pub fn run(data: &[u8]) -> bool {
    muster_fuzz::one_encoding::<DevicePart>(data)
}

muster_fuzz::target!(run);
