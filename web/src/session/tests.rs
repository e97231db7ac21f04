use super::*;
use muster_identity::{Algorithm, SecretKey, Signer as _};

fn session(now: u64) -> Session {
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32].into()).expect("a key");
    Session {
        id: "a".into(),
        key: key.public_key(),
        organisation: Did::from_digest([1; 32]),
        csrf: String::new(),
        made: now,
        used: now,
        browser: String::new(),
    }
}

#[test]
fn a_session_ends_idle_and_after_a_day_of_work() {
    let mut all = Sessions::default();
    all.open(b"s", session(0), 0);
    assert!(all.find(b"other", 1, true).is_none());
    let step = limits::SESSION_IDLE_MS - 1;
    let mut now = 0;
    while now + step < limits::SESSION_MS {
        now += step;
        assert!(all.find(b"s", now, true).is_some(), "in use at {now}");
    }
    assert!(all.find(b"s", limits::SESSION_MS, true).is_none(), "the day is over");
    all.open(b"t", session(0), 0);
    assert!(all.find(b"t", limits::SESSION_IDLE_MS, true).is_none(), "idle");
}

#[test]
fn a_page_that_lies_open_does_not_keep_a_session() {
    let mut all = Sessions::default();
    all.open(b"s", session(0), 0);
    assert!(all.find(b"s", limits::SESSION_IDLE_MS - 1, false).is_some());
    assert!(all.holds("a", limits::SESSION_IDLE_MS - 1));
    assert!(!all.holds("a", limits::SESSION_IDLE_MS) && !all.holds("b", 0));
    assert!(all.find(b"s", limits::SESSION_IDLE_MS, false).is_none(), "not renewed");
    let headers = |name: &'static str, value: &'static str| {
        HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))])
    };
    assert!(touches(&headers("accept", "text/html")));
    assert!(!touches(&headers("accept", "text/event-stream")));
    assert!(!touches(&headers("muster-background", "1")));
}

#[test]
fn a_challenge_is_answered_once_and_soon() {
    let mut all = Sessions::default();
    all.challenge("n".into(), 0);
    assert!(!all.answer("m", 1));
    assert!(all.answer("n", 1) && !all.answer("n", 1));
    all.challenge("n".into(), 0);
    assert!(!all.answer("n", limits::CHALLENGE_MS), "too late");
    for i in 0..=limits::CHALLENGES {
        all.challenge(i.to_string(), 0);
    }
    assert!(!all.answer("0", 1) && all.answer("1", 1), "bounded");
}

#[test]
fn browsers_are_called_by_their_names() {
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36";
    assert_eq!(browser(agent), "Chromium on Linux");
    assert_eq!(browser("curl/8"), "another program");
}

#[test]
fn a_path_stays_one_query_value() {
    assert_eq!(encoded("/devices?q=a&b=%"), "/devices%3Fq%3Da%26b%3D%25");
}
