//! Properties: a token counts only as it was signed, for the key that signed it.

use crate::standing::ask;
use crate::world::{Device, START, World, key_of};
use muster_identity::{Algorithm, Signer as _};
use muster_ledger::DevicePart;
use muster_verifier::Evidence;
use proptest::prelude::*;
use std::sync::LazyLock;

/// Devices of both algorithms, their device parts, and the world before and after every key was
/// revoked.
struct Fleet {
    devices: Vec<Device>,
    parts: Vec<DevicePart>,
    good: World,
    revoked: World,
}

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let algorithms = [Algorithm::Ed25519, Algorithm::P256].into_iter().cycle();
    let devices = algorithms.zip(30..36).map(|(a, seed)| Device::with(key_of(a, seed)));
    let devices: Vec<_> = devices.collect();
    let mut good = World::new();
    let (_, parts) = good.enrol(&devices.iter().collect::<Vec<_>>());
    let mut revoked = good.clone();
    for (device, part) in devices.iter().zip(&parts) {
        revoked.revoke_key(device.as_ref(Some(part)), &device.key);
    }
    Fleet { devices, parts, good, revoked }
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_altered_byte_is_refused(
        who in 0..6usize, at in any::<prop::sample::Index>(), to in 0x20..0x7fu8,
    ) {
        let fleet = &*FLEET;
        let token = fleet.devices[who].presents(START / 1_000, 1);
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let altered = String::from_utf8(bytes).unwrap();
        let part = Evidence::Part(&fleet.parts[who]);
        prop_assert!(ask(&fleet.good, &altered, part, 0).is_err());
    }

    #[test]
    fn verified_is_the_key_that_signed(
        who in 0..6usize, with in 0..6usize, part in 0..6usize, iat in 0..120u64,
    ) {
        let fleet = &*FLEET;
        let iat = START / 1_000 - 60 + iat;
        let token = fleet.devices[who].presents_with(&fleet.devices[with].key, iat, 1);
        let answer = ask(&fleet.good, &token, Evidence::Part(&fleet.parts[part]), 0);
        if let Ok(verified) = answer {
            prop_assert_eq!(who, with);
            prop_assert_eq!(who, part);
            prop_assert_eq!(*verified.key(), fleet.devices[with].key.public_key());
            prop_assert_eq!(*verified.did(), fleet.devices[who].did);
        } else {
            let in_time = iat + 90 > START / 1_000 && iat <= START / 1_000 + 30;
            prop_assert!(who != with || who != part || !in_time);
        }
    }

    #[test]
    fn a_revoked_key_never_verifies(
        who in 0..6usize, with in 0..6usize, part in 0..7usize, iat in 0..120u64, jti in any::<u8>(),
    ) {
        let fleet = &*FLEET;
        let iat = START / 1_000 - 60 + iat;
        let token = fleet.devices[who].presents_with(&fleet.devices[with].key, iat, jti);
        let evidence = fleet.parts.get(part).map_or(Evidence::None, Evidence::Part);
        prop_assert!(ask(&fleet.revoked, &token, evidence, 0).is_err());
    }
}
