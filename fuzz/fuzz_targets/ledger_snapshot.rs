//! Snapshots: one form, and no state that the checkpoint does not state.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_identity::cbor::Decode;
use muster_ledger::{Alone, Genesis, Snapshot, ValidatorSet};
use std::sync::OnceLock;

/// Who signed the snapshot of the vectors, so that more than the signature is tried.
fn genesis() -> Option<&'static Genesis> {
    static GENESIS: OnceLock<Option<Genesis>> = OnceLock::new();
    let read = || {
        let text = include_str!("../../tests/vectors/valid/ledger-snapshot.json");
        let words =
            text.split('"').filter_map(|word| data_encoding::HEXLOWER.decode(word.as_bytes()).ok());
        words.filter_map(|bytes| Genesis::from_cbor(&bytes).ok()).next()
    };
    GENESIS.get_or_init(read).as_ref()
}

pub fn run(data: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::parse(data) else { return false };
    assert_eq!(snapshot.to_bytes(), data, "parses, but writes other bytes");
    let head = *snapshot.checkpoint().head();
    let nobody = ValidatorSet(Vec::new());
    assert!(snapshot.check(&head.network, &nobody, &Alone).is_err(), "signed by nobody");
    if let Some(genesis) = genesis() {
        let checked = snapshot.check(&genesis.network(), &genesis.validators, &Alone);
        if let Ok((chain, quorum)) = checked {
            assert_eq!(chain.state().root(), head.state_root, "another state");
            let again = chain.snapshot(&quorum).expect("its own checkpoint");
            assert_eq!(again.as_deref(), Some(data), "another snapshot of the same ledger");
        }
    }
    true
}

muster_fuzz::target!(run);
