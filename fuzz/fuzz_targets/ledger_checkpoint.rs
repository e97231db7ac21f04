//! Checkpoint notes: one text for one content.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::Checkpoint;

pub fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let Ok(checkpoint) = Checkpoint::parse(text) else { return false };
    assert_eq!(checkpoint.to_note(), text, "parses, but prints as other text");
    true
}

muster_fuzz::target!(run);
