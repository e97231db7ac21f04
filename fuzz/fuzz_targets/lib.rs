//! The fuzz targets and the invariants they share. Each target is one file with
//! `pub fn run(data: &[u8]) -> bool`: it panics if an invariant breaks and returns whether the
//! input was accepted. The file is a module here, for the `smoke` driver on stable Rust, and
//! under the feature `libfuzzer` a binary of its own, for cargo-fuzz.

extern crate self as muster_fuzz;

use muster_identity::cbor::{Decode, Encode, Reader};
use muster_provisioning::formats::{Format, Item};
use muster_provisioning::limits::ROW_BYTES;
use std::fmt::Display;
use std::str::FromStr;

/// One fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name: that of its file.
    pub name: &'static str,
    /// Feeds it one input.
    pub run: fn(&[u8]) -> bool,
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[cfg(not(feature = "libfuzzer"))] mod $name;)*

        /// Every target. Empty under the feature `libfuzzer`, where each is a binary.
        pub const TARGETS: &[Target] = &[
            $(#[cfg(not(feature = "libfuzzer"))] Target { name: stringify!($name), run: $name::run },)*
        ];
    };
}

targets! {
    acknowledgement,
    api_feed,
    api_leaves,
    api_line,
    api_rows,
    certificate,
    csv,
    did,
    did_key,
    exchange,
    gateway_proof,
    inception,
    invite,
    json,
    jsonl,
    ledger_block,
    ledger_checkpoint,
    ledger_device_part,
    ledger_entry,
    ledger_entry_proof,
    ledger_genesis,
    ledger_leaf,
    ledger_operation,
    ledger_payload,
    ledger_receipt,
    ledger_records,
    ledger_snapshot,
    ledger_state_proof,
    ledger_upload,
    login,
    microchip,
    presentation,
    read,
    registration,
}

/// Makes a file's `run` the entry point of libFuzzer; without the feature it does nothing.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! target {
    ($run:path) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            $run(data);
        });
    };
}

/// Makes a file's `run` the entry point of libFuzzer; without the feature it does nothing.
#[cfg(not(feature = "libfuzzer"))]
#[macro_export]
macro_rules! target {
    ($run:path) => {};
}

/// There is one encoding (RFC 8949 §4.2.1): what decodes must encode to the same bytes.
pub fn one_encoding<T: Decode + Encode>(data: &[u8]) -> bool {
    let Ok(value) = T::from_cbor(data) else { return false };
    assert_eq!(value.to_cbor(), data, "decodes, but encodes to other bytes");
    true
}

/// There is one text: what parses must print as the same text.
pub fn one_text<T: FromStr + Display>(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let Ok(value) = text.parse::<T>() else { return false };
    assert_eq!(value.to_string(), text, "parses, but prints as other text");
    true
}

/// The payload of a COSE_Sign1 (RFC 9052 §4.2) as the ledger writes it.
pub fn sign1_payload(data: &[u8]) -> Option<&[u8]> {
    let mut r = Reader::new(data);
    r.tuple(4).ok()?;
    r.bytes(data.len()).ok()?;
    r.map().ok()?.end().ok()?;
    r.bytes(data.len()).ok()
}

/// Reads a manifest; whether it holds a row with a device.
pub fn manifest(format: Format, data: &[u8]) -> bool {
    let (mut drafts, mut last) = (0, 0);
    for item in format.read("fuzz", data) {
        let Ok(item) = item else { return false };
        let line = match &item {
            Item::Draft(draft) => draft.line,
            Item::Refused { line, .. } => *line,
            Item::Warning(_) => continue,
        };
        // Every row has a place of its own, or a user could not find it.
        assert!(line > last, "two rows in one place, or backwards");
        last = line;
        if let Item::Draft(draft) = item {
            drafts += 1;
            assert!(draft.serial.is_none_or(|text| text.len() <= ROW_BYTES), "above the bound");
            if let Some(key) = &draft.public_key {
                // Must not panic.
                let _ = key.read(draft.key_type.as_deref());
            }
        }
    }
    drafts > 0
}
