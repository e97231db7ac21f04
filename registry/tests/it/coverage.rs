//! Gateways acknowledge; the node says who already refuses what was revoked, and since when.

use crate::network::{Network, START, admin, secret};
use muster_api::{CoverageView, CoveredView, Problem, limits};
use muster_identity::{
    Did, Holder, Inception, Mode, Registered, Report, SecretKey, Signer as _, Statement,
    acknowledge, register,
};
use muster_ledger::{Action, ChangeKeys, Revoke, Target};
use muster_registry::Covered;

fn registration(network: &Network, name: &str, key: Option<&SecretKey>) -> String {
    signed(network, name, key, &admin())
}

fn signed(network: &Network, name: &str, key: Option<&SecretKey>, by: &SecretKey) -> String {
    use muster_api::Host as _;
    let site = format!("site of {name}");
    let holder = key.map(|key| Holder { key: key.public_key(), site });
    let said = Registered { gateway: name.into(), holder, made: network.host.now().0 };
    register(&network.owner(), &said, by).unwrap()
}

/// Registers a gateway whose key is made of its name.
pub(crate) async fn add(network: &Network, name: &str) -> SecretKey {
    let key = secret(name);
    let token = registration(network, name, Some(&key));
    let view = network.registry.register_gateway(&token).await.unwrap();
    assert_eq!((view.gateway.as_str(), view.state.as_str()), (name, "never"));
    key
}

/// What a gateway says that goes by the node's head, since so many milliseconds.
pub(crate) fn statement(network: &Network, lasted: u64) -> Statement {
    use muster_api::Host as _;
    let head = *network.registry.head().unwrap().head();
    let made = network.host.now().0;
    Statement {
        size: head.size,
        log_root: head.log_root,
        height: head.height,
        checkpoint: head.time.0,
        adopted: made - lasted,
        made,
        mode: Mode::Live,
        report: None,
    }
}

pub(crate) async fn say(
    network: &Network,
    key: &SecretKey,
    said: &Statement,
) -> Result<(), Problem> {
    let token = acknowledge(&network.owner(), said, key).unwrap();
    network.registry.acknowledge(&token).await
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, status: u16, code: &str) {
    let problem = result.expect_err("it must be refused");
    assert_eq!((problem.status, problem.code()), (status, code), "{problem}");
}

fn of<'a>(view: &'a CoverageView, name: &str) -> &'a CoveredView {
    view.gateways.iter().find(|g| g.gateway == name).unwrap()
}

async fn revoke(network: &Network, devices: u64) -> (Did, u64) {
    let fleet = network.devices(0..devices);
    network.enrol(&fleet).await;
    for (name, key) in [("a", secret("a")), ("b", secret("b")), ("c", secret("c"))] {
        let view = network.registry.gateways().await.unwrap();
        if view.gateways.iter().any(|g| g.gateway == name) {
            say(network, &key, &statement(network, 0)).await.unwrap();
        }
    }
    network.host.advance(1_000);
    let target: Target = network.target(&fleet[0]).await;
    let proof = network.act(Action::Revoke(Revoke { target, reason: String::new() })).await;
    (fleet[0].did, proof.unwrap().index)
}

#[tokio::test]
async fn who_refuses_since_when() {
    let mut network = Network::new().await;
    let a = add(&network, "a").await;
    let b = add(&network, "b").await;
    add(&network, "c").await;
    let never = add(&network, "d").await;
    let (did, entry) = revoke(&network, 3).await;
    let block = network.registry.head().unwrap().head().time.0;

    let view = network.registry.coverage(Covered::Device(did)).await.unwrap();
    assert_eq!((view.entry, view.action.as_str(), view.time), (entry, "revoke", block));
    assert_eq!((view.registered, view.acknowledged, view.waiting, view.silent), (4, 0, 3, 1));
    assert_eq!((view.p50_ms, view.p99_ms), (None, None));

    // `a` took it 40 ms later and its word travelled for 60; `b` took 900, its clock is from 1970.
    network.host.advance(100);
    say(&network, &a, &statement(&network, 60)).await.unwrap();
    network.host.advance(800);
    let mut said = statement(&network, 0);
    (said.adopted, said.made) = (7_000, 7_000);
    say(&network, &b, &said).await.unwrap();
    let view = network.registry.coverage(Covered::Entry(entry)).await.unwrap();
    assert_eq!((view.registered, view.acknowledged, view.waiting, view.silent), (4, 2, 1, 1));
    let row = of(&view, "a");
    assert_eq!((row.refuses, row.since, row.delay_ms), (true, Some(block + 40), Some(40)));
    assert_eq!((row.stated, row.received), (Some(block + 40), Some(block + 100)));
    assert_eq!(row.site, "site of a");
    let row = of(&view, "b");
    assert_eq!((row.delay_ms, row.stated), (Some(900), Some(7_000)));
    assert!(!of(&view, "c").refuses && of(&view, "c").state == "live");
    assert!(!of(&view, "d").refuses && of(&view, "d").state == "never");
    assert_eq!((view.p50_ms, view.p99_ms), (Some(40), Some(900)));

    // A gateway that comes later goes by it too, but nobody knows how long it took.
    say(&network, &never, &statement(&network, 0)).await.unwrap();
    let view = network.registry.coverage(Covered::Entry(entry)).await.unwrap();
    assert_eq!((of(&view, "d").refuses, of(&view, "d").delay_ms), (true, None));
    assert_eq!((view.acknowledged, view.p99_ms), (3, Some(900)));

    // All of it is on disk.
    network.registry.close().await;
    network.reopen().await.unwrap();
    assert_eq!(network.registry.coverage(Covered::Entry(entry)).await.unwrap(), view);

    // `c` says nothing for long. The others keep what they said.
    network.pass(limits::SILENT_AFTER_MS).await;
    let later = network.registry.coverage(Covered::Entry(entry)).await.unwrap();
    assert_eq!((of(&later, "c").state.as_str(), later.waiting, later.silent), ("silent", 0, 1));
    assert_eq!(later.acknowledged, 3);
    // It comes back after a long cut, and says since when.
    say(&network, &secret("c"), &statement(&network, 0)).await.unwrap();
    let later = network.registry.coverage(Covered::Entry(entry)).await.unwrap();
    let delay = limits::SILENT_AFTER_MS + 900;
    assert_eq!((of(&later, "c").delay_ms, later.p99_ms), (Some(delay), Some(delay)));

    refused(network.registry.coverage(Covered::Entry(entry + 1)).await, 404, "not-found");
    let other = network.device(2).did;
    refused(network.registry.coverage(Covered::Device(other)).await, 404, "not-restricted");
}

#[tokio::test]
async fn false_words_are_refused() {
    let network = Network::new().await;
    let a = add(&network, "a").await;
    let b = add(&network, "b").await;
    let (_, entry) = revoke(&network, 2).await;
    let good = statement(&network, 10);

    // Nobody's key; another organisation's name; a key that is an operator's and no gateway's.
    refused(say(&network, &secret("x"), &good).await, 403, "not-registered");
    let other = Did::of(&Inception::from_key(secret("other").public_key()));
    let token = acknowledge(&other, &good, &a).unwrap();
    refused(network.registry.acknowledge(&token).await, 403, "not-registered");
    refused(say(&network, &admin(), &good).await, 403, "not-registered");
    // Forged: the head and claims of `a`, the signature of another.
    let (of_a, of_b) = (
        acknowledge(&network.owner(), &good, &a).unwrap(),
        acknowledge(&network.owner(), &good, &b).unwrap(),
    );
    let forged =
        format!("{}.{}", of_a.rsplit_once('.').unwrap().0, of_b.rsplit_once('.').unwrap().1);
    refused(network.registry.acknowledge(&forged).await, 403, "signature");
    refused(network.registry.acknowledge("a.b.c").await, 400, "malformed");
    // More than there is; of a later moment; of another ledger.
    let more = Statement { size: good.size + 1, ..good.clone() };
    refused(say(&network, &a, &more).await, 409, "ahead");
    let later = Statement { checkpoint: good.checkpoint + 1, ..good.clone() };
    refused(say(&network, &a, &later).await, 409, "ahead");
    let fork = Statement { log_root: [1; 32], ..good.clone() };
    refused(say(&network, &a, &fork).await, 409, "other-ledger");
    let view = network.registry.coverage(Covered::Entry(entry)).await.unwrap();
    assert_eq!(view.acknowledged, 0, "none of it counts");

    // An older word, though well signed; the same word again is no harm.
    network.registry.acknowledge(&of_a).await.unwrap();
    network.registry.acknowledge(&of_a).await.unwrap();
    let older = Statement { made: good.made - 1, adopted: good.adopted - 1, ..good.clone() };
    refused(say(&network, &a, &older).await, 409, "older");
    // A flood of one gateway is stopped, and no other suffers.
    let mut last = Ok(());
    for n in 1..=limits::ACKNOWLEDGEMENTS_AT_ONCE {
        last = say(&network, &a, &Statement { made: good.made + n, ..good.clone() }).await;
    }
    refused(last, 429, "too-often");
    network.registry.acknowledge(&of_b).await.unwrap();
}

#[tokio::test]
async fn who_is_a_gateway() {
    let network = Network::new().await;
    let a = add(&network, "a").await;
    // Not by a stranger, nor by a gateway, nor under a key that has a name.
    for stranger in [&secret("x"), &a] {
        let token = signed(&network, "b", Some(&secret("b")), stranger);
        refused(network.registry.register_gateway(&token).await, 403, "not-an-operator");
    }
    let token = registration(&network, "b", Some(&a));
    refused(network.registry.register_gateway(&token).await, 409, "key-used");
    let unknown = registration(&network, "b", None);
    refused(network.registry.register_gateway(&unknown).await, 404, "not-registered");
    refused(network.registry.register_gateway("x").await, 400, "malformed");

    // Ended: its word counts no more, and its registration does not come back.
    let first = registration(&network, "a", Some(&a));
    network.host.advance(1);
    say(&network, &a, &statement(&network, 0)).await.unwrap();
    let ended = network.registry.register_gateway(&registration(&network, "a", None)).await;
    assert_eq!(ended.unwrap().state, "ended");
    refused(say(&network, &a, &statement(&network, 0)).await, 403, "not-registered");
    refused(network.registry.register_gateway(&first).await, 409, "older");
    assert_eq!(network.registry.gateways().await.unwrap().gateways, []);
    // Another key is another machine: nothing of the first one's words is left.
    let slow = registration(&network, "z", Some(&secret("z")));
    network.pass(2 * limits::REGISTRATION_LIFETIME_MS + 1).await;
    refused(network.registry.register_gateway(&slow).await, 409, "expired");
    refused(network.registry.register_gateway(&first).await, 409, "expired");
    add(&network, "a").await;
    let view = network.registry.gateways().await.unwrap();
    assert_eq!((view.registered, view.acknowledging, view.gateways[0].size), (1, 0, None));
}

#[tokio::test]
async fn a_registration_ends_with_its_operators_key() {
    let network = Network::new().await;
    // The organisation's second key has the capability `gateway`.
    let operator = secret("gateway");
    let token = signed(&network, "a", Some(&secret("a")), &operator);
    network.registry.register_gateway(&token).await.unwrap();
    say(&network, &secret("a"), &statement(&network, 0)).await.unwrap();
    let text = network.registry.metrics().await;
    assert!(text.contains("\nmuster_gateways_registered 1\n"), "{text}");
    assert!(text.contains("\nmuster_gateways_acknowledging 1\n"), "{text}");
    assert!(text.contains("\nmuster_gateways_slowest_entries 0\n"), "{text}");

    let seq = network.registry.network().await.unwrap().organisations[0].seq;
    let change = ChangeKeys { seq, add: vec![], remove: vec![operator.public_key()] };
    network.host.advance(10);
    let entry = network.act(Action::ChangeKeys(change)).await.unwrap().index;
    let said = statement(&network, 0);
    refused(say(&network, &secret("a"), &said).await, 403, "registration-void");
    let again = signed(&network, "c", Some(&secret("c")), &operator);
    refused(network.registry.register_gateway(&again).await, 403, "not-an-operator");
    let view = network.registry.gateways().await.unwrap();
    assert_eq!((view.registered, view.gateways[0].state.as_str()), (0, "void"));
    assert_eq!(network.registry.coverage(Covered::Entry(entry)).await.unwrap().registered, 0);
    // A present key takes it over, with what is known of it.
    network
        .registry
        .register_gateway(&registration(&network, "a", Some(&secret("a"))))
        .await
        .unwrap();
    say(&network, &secret("a"), &said).await.unwrap();
    let view = network.registry.coverage(Covered::Entry(entry)).await.unwrap();
    assert_eq!((view.registered, view.acknowledged, view.p50_ms), (1, 1, Some(0)));
}

#[tokio::test]
async fn reports_are_kept_and_devices_seen() {
    let mut network = Network::new().await;
    let a = add(&network, "a").await;
    let fleet = network.devices(0..2);
    network.enrol(&fleet).await;
    network.host.advance(5_000);
    let stranger = network.device(77).did;
    let mut seen = vec![(fleet[0].did, START + 4_000), (stranger, START + 4_500)];
    seen.sort();
    let report = Report {
        uptime: 60,
        roll_age: 1_234,
        accepted: 9,
        refused: vec![("expired".into(), 2), ("revoked".into(), 1)],
        forks: 0,
        seen,
    };
    let said = Statement { report: Some(report), mode: Mode::Stale, ..statement(&network, 0) };
    say(&network, &a, &said).await.unwrap();
    // A plain acknowledgement leaves the last report standing.
    network.host.advance(20);
    say(&network, &a, &statement(&network, 0)).await.unwrap();
    for _ in 0..2 {
        let view = network.registry.gateways().await.unwrap();
        let gateway = &view.gateways[0];
        let report = gateway.report.as_ref().unwrap();
        assert_eq!((report.accepted, report.refused["expired"], report.roll_age_ms), (9, 2, 1_234));
        assert_eq!((gateway.lag_entries, gateway.clock_ahead_ms), (Some(0), Some(0)));
        let device = network.registry.device(&fleet[0].did).await.unwrap().unwrap();
        assert_eq!(device.last_seen, Some(START + 4_000));
        assert_eq!(device.last_seen_by.as_deref(), Some("a"));
        let other = network.registry.device(&fleet[1].did).await.unwrap().unwrap();
        assert_eq!(other.last_seen, None);
        network.registry.close().await;
        network.reopen().await.unwrap();
    }
}

/// Gateways in numbers: all answer a revocation at once, and the question stays cheap.
#[tokio::test]
async fn many_gateways_at_once() {
    const GATEWAYS: usize = 60;
    let network = Network::new().await;
    let mut keys = Vec::new();
    for n in 0..GATEWAYS {
        keys.push(add(&network, &format!("g{n}")).await);
    }
    let everybody = async |said: Statement| {
        let words = keys.iter().map(|key| say(&network, key, &said));
        for answer in futures_util::future::join_all(words).await {
            answer.unwrap();
        }
    };
    everybody(statement(&network, 0)).await;
    let (_, entry) = revoke(&network, 1).await;
    network.host.advance(50);
    everybody(statement(&network, 30)).await;
    let view = network.registry.coverage(Covered::Entry(entry)).await.unwrap();
    assert_eq!((view.registered, view.acknowledged), (GATEWAYS as u64, GATEWAYS as u64));
    assert_eq!((view.p50_ms, view.p99_ms), (Some(20), Some(20)));
}
