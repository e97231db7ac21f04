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

    fn ask(&self, token: &str, now: u64, nonce: Option<&str>) -> Result<Verified, Rejected> {
        let roll = RollView {
            network: self.world.genesis.network(),
            state: self.world.state(),
            checkpoint_time: Time(now),
            age_ms: 0,
        };
        let inquiry = Inquiry {
            presentation: token,
            request_id: None,
            nonce,
            now: Time(now),
            policy: &self.policy,
            roll,
            evidence: Evidence::Part(&self.part),
        };
        verify(&inquiry, &mut ReplayMemory::new(0))
    }

    fn code(&self, token: &str, now: u64, nonce: Option<&str>) -> &'static str {
        self.ask(token, now, nonce).map_or_else(|rejected| rejected.code(), |_| "verified")
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
    assert_eq!(case.code(&token, START, Some("n0nce")), "nonce-not-accepted");
    case.policy.nonces = true;
    assert_eq!(case.code(&token, START, None), "nonce-unknown");
    assert_eq!(case.code(&token, START, Some("other")), "nonce-unknown");
    assert_eq!(case.code(&token, START, Some("n0nce")), "verified");
}
