//! Device certificates and signing requests: files of a stranger's tools.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_ledger::{Time, VouchedBy};
use muster_provisioning::Sources;
use muster_provisioning::formats::{Format, Item, Verdict};

pub fn run(data: &[u8]) -> bool {
    // November 2026, so that certificates are judged further than by their time.
    let sources = Sources { now: Time(1_795_000_000_000), ..Sources::default() };
    let (mut documents, mut last) = (0, 0);
    for item in Format::X509.read("fuzz", data) {
        let Ok(item) = item else { return false };
        let line = match &item {
            Item::Draft(draft) => draft.line,
            Item::Refused { line, .. } => *line,
            Item::Warning(_) => continue,
        };
        // Rows come in order; two base64 documents never share a line.
        assert!(line >= last, "rows go backwards");
        last = line;
        if let Item::Draft(draft) = item {
            let finding = draft.document.expect("a row is a document").judge(&sources);
            // Nobody is trusted: only a request vouches, by its own signature.
            if let Verdict::Key { by, .. } = &finding.verdict {
                assert_eq!(*by, VouchedBy::SigningRequest, "believed without an issuer");
            }
            documents += usize::from(!matches!(finding.verdict, Verdict::Refused(_)));
        }
    }
    documents > 0
}

muster_fuzz::target!(run);
