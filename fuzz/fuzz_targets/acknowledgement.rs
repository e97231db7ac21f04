//! Acknowledgements: what gateways, and whoever passes for one, send to nodes.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::{
    Acknowledgement, MAX_ACKNOWLEDGEMENT, PublicKey, REPORTED_REASONS, SEEN_DEVICES,
};

pub fn run(data: &[u8]) -> bool {
    let Ok(token) = str::from_utf8(data) else { return false };
    let Ok(parsed) = Acknowledgement::parse(token) else { return false };

    // The token keeps the bytes that were signed; what must hold is every bound that a node
    // relies on when it keeps what was said.
    assert!(token.len() <= MAX_ACKNOWLEDGEMENT, "a token above its bound");
    let said = parsed.statement();
    assert!(said.adopted <= said.made, "adopted after it was said");
    for number in [said.size, said.height, said.checkpoint, said.made] {
        assert!(number < 1 << 53, "a number above its bound");
    }
    if let Some(report) = &said.report {
        assert!(report.refused.len() <= REPORTED_REASONS, "reasons above their bound");
        assert!(report.seen.len() <= SEEN_DEVICES, "devices above their bound");
        assert!(report.refused.is_sorted_by(|a, b| a.0 < b.0), "a reason twice");
        assert!(report.seen.is_sorted_by(|a, b| a.0 < b.0), "a device twice");
    }
    if let Ok(key) = PublicKey::from_multicodec(parsed.key()) {
        // Must not panic; almost every mutant fails here, as it should.
        let _ = parsed.verify_signature(&key);
    }
    assert_eq!(Acknowledgement::parse(token).as_ref(), Ok(&parsed), "two readings of one token");
    true
}

muster_fuzz::target!(run);
