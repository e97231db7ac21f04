//! The records of the state, as a snapshot or a node hands them over, and their keys.
#![cfg_attr(feature = "libfuzzer", no_main)]

use muster_fuzz::one_encoding;
use muster_ledger::{
    BatchRecord, DeviceRecord, GrantRecord, OrganisationRecord, OversightRecord, ProposalRecord,
    ProtocolRecord, Rules, StateKey, ValidatorSet,
};

pub fn run(data: &[u8]) -> bool {
    if let Some(key) = StateKey::from_bytes(data) {
        assert_eq!(key.to_bytes(), data, "a second form of the same key");
    }
    one_encoding::<Rules>(data)
        | one_encoding::<ValidatorSet>(data)
        | one_encoding::<OrganisationRecord>(data)
        | one_encoding::<GrantRecord>(data)
        | one_encoding::<BatchRecord>(data)
        | one_encoding::<DeviceRecord>(data)
        | one_encoding::<ProtocolRecord>(data)
        | one_encoding::<OversightRecord>(data)
        | one_encoding::<ProposalRecord>(data)
}

muster_fuzz::target!(run);
