//! Manifests in JSON lines: files of strangers' tools.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_provisioning::formats::{Format, Item};
use muster_provisioning::limits::ROW_BYTES;

pub fn run(data: &[u8]) -> bool {
    let (mut drafts, mut last) = (0, 0);
    for item in Format::Jsonl.read("fuzz", data) {
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

muster_fuzz::target!(run);
