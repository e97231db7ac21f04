//! Classes, what is asked of them, and sessions.

use crate::standing::ask;
use crate::world::{Device, START, World, audience};
use muster_identity::Did;
use muster_ledger::{BatchId, DevicePart, Target, Time};
use muster_verifier::*;
use zeroize::Zeroizing;

const HOUR: u64 = 3_600_000;

fn rules(hours: u64, stale_hours: u64) -> Rules {
    Rules {
        max_roll_age_ms: hours * HOUR,
        stale_until_ms: stale_hours * HOUR,
        nonce_required: false,
    }
}

fn policy(classes: Vec<Class>) -> Policy {
    Policy { classes, ..Policy::new(audience()) }
}

fn hours(policy: &Policy, model: &str, path: Option<&str>) -> u64 {
    let (owner, batch) = (Did::from_digest([1; 32]), BatchId([2; 32]));
    policy.rules(&owner, &batch, model, path).max_roll_age_ms / HOUR
}

#[test]
fn the_first_class_that_matches_holds() {
    let model = |pattern: &str, hours| Class {
        models: vec![pattern.into()],
        rules: rules(hours, 0),
        ..Class::default()
    };
    let owner = |n, hours| Class {
        owners: vec![Did::from_digest([n; 32])],
        rules: rules(hours, 0),
        ..Class::default()
    };
    let batch = |n, hours| Class {
        batches: vec![BatchId([n; 32])],
        rules: rules(hours, 0),
        ..Class::default()
    };
    let all = policy(vec![model("pump-9", 2), model("pump*", 3), owner(9, 4), batch(2, 5)]);
    for (name, expected) in [("pump-9", 2), ("pump-90", 3), ("pump", 3), ("valve", 5)] {
        assert_eq!(hours(&all, name, None), expected, "{name}");
    }
    assert_eq!(hours(&policy(vec![owner(1, 4), batch(2, 5)]), "valve", None), 4);
    assert_eq!(hours(&policy(vec![owner(9, 4), batch(9, 5)]), "valve", None), 1);
    // Each list that is not empty must match.
    let both = Class { owners: vec![Did::from_digest([9; 32])], ..model("valve", 7) };
    assert_eq!(hours(&policy(vec![both]), "valve", None), 1);
}

#[test]
fn a_path_counts_whole_and_hiding_it_gains_nothing() {
    let path = |place: &str, rules| Class { paths: vec![place.into()], rules, ..Class::default() };
    let all = policy(vec![path("/status/", rules(24, 0)), path("/open/", rules(0, 0))]);
    for (asked, expected) in [
        (Some("/status"), 24),
        (Some("/status/now?x=/open"), 24),
        (Some("/open"), 0),
        (Some("/other"), 1),
        (Some("/statuses"), 1),
        // Not known, or read in more than one way: the strictest of all.
        (None, 0),
        (Some("/status/../open"), 0),
        (Some("/status/%2e%2e/open"), 0),
        (Some("/status//open"), 0),
        (Some("/status;/open"), 0),
        (Some("status"), 0),
    ] {
        assert_eq!(hours(&all, "pump", asked), expected, "{asked:?}");
    }
    assert_eq!(all.longest_roll_age_ms(), 24 * HOUR);
}

#[test]
fn past_the_first_limit_listed_classes_pass_marked_and_past_the_second_nobody() {
    let (mut world, device) = (World::new(), Device::new(10));
    let (_, parts) = world.enrol(&[&device]);
    let policy = Policy { rules: rules(1, 2), ..Policy::new(audience()) };
    let at = |age_ms| {
        let inquiry = Inquiry {
            presentation: &device.presents(START / 1_000, 1),
            request_id: None,
            nonce_given: None,
            path: None,
            now: Time(START),
            policy: &policy,
            roll: RollView {
                network: world.genesis.network(),
                state: world.state(),
                checkpoint_time: Time(world.time),
                age_ms,
            },
            evidence: Evidence::Part(&parts[0]),
        };
        verify(&inquiry, &mut ReplayMemory::new(0)).map_or_else(
            |r| r.code(),
            |v| {
                if v.stale() { "stale" } else { "verified" }
            },
        )
    };
    for (age, verdict) in [
        (HOUR, "verified"),
        (HOUR + 1, "stale"),
        (2 * HOUR, "stale"),
        (2 * HOUR + 1, "stale-roll"),
        (u64::MAX, "stale-roll"),
    ] {
        assert_eq!(at(age), verdict, "{age}");
    }
}

struct Open {
    world: World,
    device: Device,
    part: DevicePart,
    verified: Verified,
    key: SessionKey,
    token: String,
}

impl Open {
    fn new() -> Self {
        let (mut world, device) = (World::new(), Device::new(10));
        let (_, parts) = world.enrol(&[&device]);
        let presentation = device.presents(START / 1_000, 1);
        let verified = ask(&world, &presentation, Evidence::Part(&parts[0]), 0).unwrap();
        let key = SessionKey::new(&Zeroizing::new([7; 32]), &audience());
        let token = key.open(&verified, Time(START), HOUR).unwrap();
        Self { world, device, part: parts[0].clone(), verified, key, token }
    }

    fn with(&self, key: &SessionKey, token: &str, now: u64, age_ms: u64) -> &'static str {
        let roll = RollView {
            network: self.world.genesis.network(),
            state: self.world.state(),
            checkpoint_time: Time(self.world.time),
            age_ms,
        };
        let answer = key.resume(token, Time(now), &Policy::new(audience()), roll, None);
        answer.map_or_else(
            |rejected| rejected.code(),
            |verified| {
                assert_eq!(*verified.did(), self.device.did);
                assert_eq!(verified.presentation(), self.verified.presentation());
                "verified"
            },
        )
    }

    fn code(&self, now: u64, age_ms: u64) -> &'static str {
        self.with(&self.key, &self.token, now, age_ms)
    }
}

#[test]
fn a_session_ends_in_time_and_each_use_is_judged() {
    let mut open = Open::new();
    assert!(open.token.len() <= limits::SESSION_CHARACTERS);
    assert_eq!(open.code(START, 0), "verified");
    assert_eq!(open.code(START + HOUR - 1_000, 0), "verified");
    assert_eq!(open.code(START + HOUR, 0), "session");
    assert_eq!(open.code(START, HOUR + 1), "stale-roll");
    let device = || Target::Device(open.device.as_ref(Some(&open.part)));
    let (held, revoked) = (device(), device());
    open.world.hold(held, None);
    assert_eq!(open.code(START, 0), "held");
    open.world.revoke(revoked);
    assert_eq!(open.code(START, 0), "revoked");
}

#[test]
fn a_session_of_another_key_or_audience_or_form_is_none() {
    let open = Open::new();
    let secret = Zeroizing::new([7; 32]);
    for other in [
        SessionKey::new(&Zeroizing::new([8; 32]), &audience()),
        SessionKey::new(&secret, &"other.example".parse().unwrap()),
    ] {
        assert_eq!(open.with(&other, &open.token, START, 0), "session");
    }
    let presentation = open.device.presents(START / 1_000, 2);
    let none = open.token.split_once('.').map(|(_, rest)| format!("eyJhbGciOiJub25lIn0.{rest}"));
    for token in ["", "a.b.c", &presentation, &none.unwrap(), &"a".repeat(5_000)] {
        assert_eq!(open.with(&open.key, token, START, 0), "session", "{token}");
    }
    for at in 0..open.token.len() {
        let mut altered = open.token.clone().into_bytes();
        altered[at] = if altered[at] == b'Q' { b'R' } else { b'Q' };
        let altered = String::from_utf8(altered).unwrap();
        if altered != open.token {
            assert_eq!(open.with(&open.key, &altered, START, 0), "session", "character {at}");
        }
    }
}
