//! Each presentation once; the same request may ask again; the memory is bounded and forgets
//! nothing that could still be used.

use crate::world::{Device, START, World, audience};
use muster_ledger::{DevicePart, Target, Time};
use muster_verifier::*;

struct Gate {
    world: World,
    parts: Vec<DevicePart>,
    devices: Vec<Device>,
    memory: ReplayMemory,
}

const NOW: u64 = START / 1_000;

impl Gate {
    fn with(memory: ReplayMemory) -> Self {
        let mut world = World::new();
        let devices: Vec<_> = (10..13).map(Device::new).collect();
        let (_, parts) = world.enrol(&devices.iter().collect::<Vec<_>>());
        Self { world, parts, devices, memory }
    }

    fn new() -> Self {
        Self::with(ReplayMemory::new(0))
    }

    fn ask(&mut self, who: usize, token: &str, id: Option<&str>, now: u64) -> &'static str {
        let policy = Policy::new(audience());
        let roll = RollView {
            network: self.world.genesis.network(),
            state: self.world.state(),
            checkpoint_time: Time(now),
            age_ms: 0,
        };
        let inquiry = Inquiry {
            presentation: token,
            request_id: id,
            nonce_given: None,
            path: None,
            now: Time(now),
            policy: &policy,
            roll,
            evidence: Evidence::Part(&self.parts[who]),
        };
        verify(&inquiry, &mut self.memory).map_or_else(|rejected| rejected.code(), |_| "verified")
    }

    fn token(&self, who: usize, iat: u64, jti: u8) -> String {
        self.devices[who].presents(iat, jti)
    }
}

#[test]
fn a_presentation_is_used_once() {
    let mut gate = Gate::new();
    let token = gate.token(0, NOW, 1);
    assert_eq!(gate.ask(0, &token, None, START), "verified");
    for later in [0, 1, 5_000, 89_999] {
        assert_eq!(gate.ask(0, &token, None, START + later), "replayed");
    }
    assert_eq!(gate.ask(0, &token, None, START + 90_000), "expired");
    let (next, other) = (gate.token(0, NOW, 2), gate.token(1, NOW, 1));
    assert_eq!(gate.ask(0, &next, None, START), "verified");
    assert_eq!(gate.ask(1, &other, None, START), "verified");
}

#[test]
fn the_same_request_gets_the_same_verdict_for_five_seconds() {
    let mut gate = Gate::new();
    let token = gate.token(0, NOW, 1);
    assert_eq!(gate.ask(0, &token, Some("r1"), START), "verified");
    assert_eq!(gate.ask(0, &token, Some("r1"), START + 5_000), "verified");
    assert_eq!(gate.ask(0, &token, Some("r2"), START + 1), "replayed");
    assert_eq!(gate.ask(0, &token, None, START + 1), "replayed");
    assert_eq!(gate.ask(0, &token, Some("r1"), START + 5_001), "replayed");
    // The id alone is no right: another presentation is a presentation of its own.
    let other = gate.token(0, NOW, 2);
    assert_eq!(gate.ask(0, &other, Some("r1"), START + 1), "verified");
    // At the very end of its time the second question is still the same request.
    let last = gate.token(0, NOW, 3);
    assert_eq!(gate.ask(0, &last, Some("r3"), START + 89_999), "verified");
    assert_eq!(gate.ask(0, &last, Some("r3"), START + 94_999), "verified");
    assert_eq!(gate.ask(0, &last, Some("r3"), START + 95_000), "expired");
}

#[test]
fn a_refusal_repeats_and_a_verdict_does_not_outlive_a_revocation() {
    let mut gate = Gate::new();
    let held = Target::Device(gate.devices[0].as_ref(Some(&gate.parts[0])));
    let (first, second) = (gate.token(0, NOW, 1), gate.token(0, NOW, 2));
    assert_eq!(gate.ask(0, &first, Some("r1"), START), "verified");
    let good = gate.world.clone();
    gate.world.hold(held, None);
    assert_eq!(gate.ask(0, &first, Some("r1"), START + 1), "held");
    assert_eq!(gate.ask(0, &second, Some("r2"), START + 1), "held");
    gate.world = good;
    assert_eq!(gate.ask(0, &second, Some("r2"), START + 2), "held");
    // A presentation that was refused after it was authenticated is used up.
    assert_eq!(gate.ask(0, &second, Some("r4"), START + 2), "replayed");
}

#[test]
fn one_device_cannot_fill_the_memory_and_a_full_one_refuses() {
    let mut gate = Gate::with(ReplayMemory::with_limits(0, 3, 2));
    for jti in 1..=2 {
        let token = gate.token(0, NOW, jti);
        assert_eq!(gate.ask(0, &token, None, START), "verified");
    }
    let third = gate.token(0, NOW, 3);
    assert_eq!(gate.ask(0, &third, None, START), "busy");
    let other = gate.token(1, NOW, 1);
    assert_eq!(gate.ask(1, &other, None, START), "verified");
    let full = gate.token(2, NOW, 1);
    assert_eq!(gate.ask(2, &full, None, START), "busy");
    // Live entries stay.
    let first = gate.token(0, NOW, 1);
    assert_eq!(gate.ask(0, &first, None, START + 89_999), "replayed");
    // When their time is over there is room again.
    let later = gate.token(2, NOW + 91, 1);
    assert_eq!(gate.ask(2, &later, None, START + 91_000), "verified");
    assert_eq!(gate.memory.len(), 1);
}

#[test]
fn what_may_have_been_used_before_the_start_is_refused() {
    let mut gate = Gate::with(ReplayMemory::new(NOW));
    let (before, after) = (gate.token(0, NOW - 1, 1), gate.token(0, NOW, 2));
    assert_eq!(gate.ask(0, &before, None, START), "replayed");
    assert_eq!(gate.ask(0, &after, None, START), "verified");
    assert_eq!(gate.memory.latest_iat(), NOW);
}

#[test]
fn a_clock_that_steps_back_revives_nothing() {
    let mut gate = Gate::new();
    let token = gate.token(0, NOW, 1);
    assert_eq!(gate.ask(0, &token, None, START), "verified");
    let later = gate.token(0, NOW + 600, 2);
    assert_eq!(gate.ask(0, &later, None, START + 600_000), "verified");
    assert_eq!(gate.ask(0, &token, None, START), "replayed");
}

#[test]
fn forgeries_leave_no_trace() {
    let mut gate = Gate::new();
    let thief = gate.devices[0].presents_with(&gate.devices[1].key, NOW, 1);
    assert_eq!(gate.ask(0, &thief, None, START), "wrong-key");
    let mut forged = gate.token(0, NOW, 1).into_bytes();
    let at = forged.len() - 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(gate.ask(0, &forged, None, START), "bad-signature");
    assert!(gate.memory.is_empty());
    let good = gate.token(0, NOW, 1);
    assert_eq!(gate.ask(0, &good, None, START), "verified");
}
