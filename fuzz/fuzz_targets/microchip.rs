//! Microchip manifests: files of a stranger's tools, each entry signed by somebody.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_provisioning::Sources;
use muster_provisioning::formats::{Format, Item, Verdict};
use muster_provisioning::limits::ROW_BYTES;

pub fn run(data: &[u8]) -> bool {
    let sources = Sources::default();
    let (mut entries, mut last) = (0, 0);
    for item in Format::Microchip.read("fuzz", data) {
        let Ok(item) = item else { return false };
        let line = match &item {
            Item::Draft(draft) => draft.line,
            Item::Refused { line, .. } => *line,
            Item::Warning(_) => continue,
        };
        // Every entry has a place of its own, or a user could not find it.
        assert!(line > last, "two entries in one place, or backwards");
        last = line;
        if let Item::Draft(draft) = item {
            let finding = draft.document.expect("an entry is a document").judge(&sources);
            assert!(finding.serial.is_none_or(|text| text.len() <= ROW_BYTES), "above the bound");
            // Nobody is trusted, so nothing may be vouched for.
            let nothing = !matches!(finding.verdict, Verdict::Key { .. } | Verdict::NoKey);
            assert!(nothing, "an entry is believed without a signer");
            entries += usize::from(matches!(finding.verdict, Verdict::Waiting(_)));
        }
    }
    entries > 0
}

muster_fuzz::target!(run);
