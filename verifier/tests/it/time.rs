//! The edges of a presentation's time, and nonces.

use crate::world::{Device, START, World, audience};
use muster_identity::{Freshness, present};
use muster_ledger::{DevicePart, Time};
use muster_verifier::*;

struct Case {
    world: World,
    device: Device,
    part: DevicePart,
    policy: Policy,
}

impl Case {
    fn new() -> Self {
        let (mut world, device) = (World::new(), Device::new(10));
        let part = world.enrol(&[&device]).1.remove(0);
        Self { world, device, part, policy: Policy::new(audience()) }
    }

    fn ask(&self, token: &str, now: u64, given: Option<u64>) -> Result<Verified, Rejected> {
        let roll = RollView {
            network: self.world.genesis.network(),
            state: self.world.state(),
            checkpoint_time: Time(now),
            age_ms: 0,
        };
        let inquiry = Inquiry {
            presentation: token,
            request_id: None,
            nonce_given: given.map(Time),
            path: None,
            now: Time(now),
            policy: &self.policy,
            roll,
            evidence: Evidence::Part(&self.part),
        };
        verify(&inquiry, &mut ReplayMemory::new(0))
    }

    fn code(&self, token: &str, now: u64, given: Option<u64>) -> &'static str {
        self.ask(token, now, given).map_or_else(|rejected| rejected.code(), |_| "verified")
    }
}

#[test]
fn a_window_has_exact_edges() {
    let mut case = Case::new();
    let iat = START / 1_000;
    let token = case.device.presents(iat, 1);
    for (skew, counts_as) in [(0, 0), (5_000, 5_000), (30_000, 30_000), (u64::MAX, 30_000)] {
        case.policy.max_skew_ms = skew;
        let (begin, end) = (START - counts_as, START + 60_000 + counts_as);
        assert_eq!(case.code(&token, begin - 1, None), "not-yet-valid", "skew {skew}");
        assert_eq!(case.code(&token, begin, None), "verified", "skew {skew}");
        assert_eq!(case.code(&token, end - 1, None), "verified", "skew {skew}");
        assert_eq!(case.code(&token, end, None), "expired", "skew {skew}");
    }
}

#[test]
fn times_beyond_all_measure_are_refused() {
    let case = Case::new();
    let far = Freshness::Window { iat: u64::MAX - 60, exp: u64::MAX };
    let token = present(&case.device.did, &audience(), &far, &[1; 16], &case.device.key).unwrap();
    assert_eq!(case.code(&token, START, None), "not-yet-valid");
    let past = Freshness::Window { iat: 0, exp: 1 };
    let token = present(&case.device.did, &audience(), &past, &[1; 16], &case.device.key).unwrap();
    assert_eq!(case.code(&token, START, None), "expired");
}

#[test]
fn a_nonce_counts_only_if_asked_for() {
    let mut case = Case::new();
    let nonce = Freshness::Nonce("n0nce".into());
    let token = present(&case.device.did, &audience(), &nonce, &[1; 16], &case.device.key).unwrap();
    assert_eq!(case.code(&token, START, Some(START)), "nonce-not-accepted");
    case.policy.nonces = true;
    assert_eq!(case.code(&token, START, None), "nonce-unknown");
    assert_eq!(case.code(&token, START, Some(START)), "verified");
    assert_eq!(case.code(&token, START + 59_999, Some(START)), "verified");
    assert_eq!(case.code(&token, START + 60_000, Some(START)), "nonce-unknown");
}

#[test]
fn a_class_may_require_a_nonce_and_says_so_only_to_the_keys_holder() {
    let mut case = Case::new();
    case.policy.nonces = true;
    case.policy.rules.nonce_required = true;
    let token = case.device.presents(START / 1_000, 1);
    assert_eq!(case.code(&token, START, None), "nonce-required");
    let other = Device::new(11);
    let token = case.device.presents_with(&other.key, START / 1_000, 1);
    assert_eq!(case.code(&token, START, None), "wrong-key");
    let nonce = Freshness::Nonce("n0nce".into());
    let token = present(&case.device.did, &audience(), &nonce, &[1; 16], &case.device.key).unwrap();
    assert_eq!(case.code(&token, START, Some(START)), "verified");
}

#[test]
fn a_nonce_key_knows_its_own_for_a_minute_and_no_other() {
    let key = |secret: u8, name: &str| NonceKey::new(&[secret; 32].into(), &name.parse().unwrap());
    let ours = key(1, "a.example");
    let nonce = ours.give(Time(START), &[7; 16]);
    assert_eq!(nonce.len(), 43);
    assert_eq!(ours.given(&nonce, Time(START)), Some(Time(START)));
    assert_eq!(ours.given(&nonce, Time(START + 59_999)), Some(Time(START)));
    assert_eq!(ours.given(&nonce, Time(START + 60_000)), None);
    // From the future: the clock went back, and how old it is cannot be known.
    assert_eq!(ours.given(&nonce, Time(START - 1)), None);
    for other in [key(2, "a.example"), key(1, "b.example")] {
        assert_eq!(other.given(&nonce, Time(START)), None);
    }
    assert_ne!(nonce, ours.give(Time(START), &[8; 16]), "two nonces of one moment");
    for at in 0..nonce.len() {
        let mut altered = nonce.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(ours.given(&altered, Time(START)), None, "character {at}");
    }
    for text in ["", "n0nce", "=", &nonce[1..], &format!("{nonce}A")] {
        assert_eq!(ours.given(text, Time(START)), None, "{text:?}");
    }
}
