//! What a gateway tells its nodes, and that nothing waits for it.

use crate::node::{Clock, NOBODY, Node, config, eventually};
use crate::world::{Device, World};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use data_encoding::BASE64URL_NOPAD;
use muster_gateway::{AuthRequest, Gateway, GatewayConfig, Reporting, limits};
use muster_identity::cbor::Encode as _;
use muster_identity::{Acknowledgement, Algorithm, Did, Mode, SecretKey, Signer as _, Statement};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// What a node that takes acknowledgements was told, and when; it may be told to refuse, or to
/// let them wait.
#[derive(Default)]
struct Ear {
    told: Vec<(Instant, Statement)>,
    refuses: bool,
    hangs: bool,
}

type Shared = Arc<Mutex<Ear>>;

async fn hear(State(ear): State<Shared>, token: String) -> StatusCode {
    let said = Acknowledgement::parse(&token).unwrap();
    said.verify_signature(&key().public_key()).unwrap();
    assert_eq!(said.organisation(), &organisation());
    let hangs = {
        let mut ear = ear.lock().unwrap();
        if ear.refuses {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        ear.told.push((Instant::now(), said.into_statement()));
        ear.hangs
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    StatusCode::NO_CONTENT
}

/// A node that only listens: the gateway follows another one.
async fn listen(ear: &Shared) -> String {
    let routes = Router::new().route("/v1/acknowledgements", post(hear)).with_state(ear.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    url
}

fn key() -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &Zeroizing::new([42; 32])).unwrap()
}

fn organisation() -> Did {
    Did::from_digest([8; 32])
}

fn speaking(config: GatewayConfig) -> GatewayConfig {
    let signer = Arc::new(key());
    let reporting = Reporting { organisation: organisation(), signer, last_seen: true };
    GatewayConfig { reporting: Some(reporting), ..config }
}

async fn told(ear: &Shared, what: impl Fn(&[(Instant, Statement)]) -> bool) -> Vec<Statement> {
    for _ in 0..1_500 {
        {
            let ear = ear.lock().unwrap();
            if what(&ear.told) {
                return ear.told.iter().map(|(_, said)| said.clone()).collect();
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never told: {:?}", ear.lock().unwrap().told);
}

#[tokio::test]
async fn each_size_is_acknowledged_and_a_new_signature_is_no_news() {
    let (mut world, clock) = (World::new(), Clock::new());
    let (node, ear) = (Node::start(&world).await, Shared::default());
    let dir = tempfile::tempdir().unwrap();
    let nodes = [node.url.as_str(), &listen(&ear).await];
    let gateway =
        Gateway::start(speaking(config(dir.path(), &world, &nodes, &clock))).await.unwrap();

    // At once, with a report, though nobody has passed.
    let first = &told(&ear, |told| !told.is_empty()).await[0];
    let head = *gateway.roll().unwrap().checkpoint().head();
    assert_eq!((first.size, first.log_root, first.height), (head.size, head.log_root, head.height));
    assert_eq!((first.checkpoint, first.made, first.mode), (head.time.0, clock.ms(), Mode::Live));
    let report = first.report.as_ref().unwrap();
    assert_eq!((report.accepted, &report.refused, &report.seen), (0, &vec![], &vec![]));

    // Signed again: nothing to say. The roll's age is not that of its last growth.
    world.time += 10_000;
    node.serve(&world, world.time);
    let time = world.time;
    eventually(&gateway, move |g| g.status().checkpoint_time == time).await;
    tokio::time::sleep(3 * limits::ACKNOWLEDGE_GAP).await;
    assert_eq!(ear.lock().unwrap().told.len(), 1);

    // Grown: said, with the time since when.
    let before = world.chain.size();
    world.enrol(&[&Device::new(30)]);
    node.serve(&world, world.time);
    let all = told(&ear, |told| told.len() == 2).await;
    assert!(all[1].size > before && all[1].report.is_none());
    assert!(all[1].made - all[1].adopted < 5_000, "{:?}", all[1]);
    gateway.close().await;
}

#[tokio::test]
async fn a_burst_is_one_word_and_the_newest_wins() {
    let (mut world, clock, device) = (World::new(), Clock::new(), Device::new(10));
    let (_, parts) = world.enrol(&[&device]);
    let (node, ear) = (Node::start(&world).await, Shared::default());
    ear.lock().unwrap().refuses = true;
    let dir = tempfile::tempdir().unwrap();
    let nodes = [node.url.as_str(), &listen(&ear).await];
    let gateway =
        Gateway::start(speaking(config(dir.path(), &world, &nodes, &clock))).await.unwrap();
    eventually(&gateway, |g| g.ready()).await;
    let token = device.presents(clock.seconds(), 1);
    let part = BASE64URL_NOPAD.encode(&parts[0].to_cbor());
    let (presentation, receipt) = (Some(token.as_str()), Some(part.as_str()));
    let request = AuthRequest { presentation, receipt, ..AuthRequest::default() };
    gateway.authenticate(request).await.unwrap();
    assert_eq!(gateway.authenticate(request).await.unwrap_err().code(), "replayed");
    for n in 0..5 {
        world.enrol(&[&Device::new(40 + n)]);
        node.serve(&world, world.time);
        let size = world.chain.size();
        eventually(&gateway, move |g| g.status().size == size).await;
    }
    let status = gateway.status().acknowledged.unwrap();
    assert!(status[1].error.as_ref().unwrap().contains("503"), "{status:?}");
    ear.lock().unwrap().refuses = false;
    let all = told(&ear, |told| !told.is_empty()).await;
    assert_eq!(all[0].size, world.chain.size(), "what could not be said is not said late");
    let report = all[0].report.as_ref().unwrap();
    assert_eq!((report.accepted, &report.refused), (1, &vec![("replayed".into(), 1)]));
    assert_eq!(report.seen, [(device.did, clock.ms())]);
    let status = gateway.status().acknowledged.unwrap();
    assert!(status[1].size == world.chain.size() && status[1].error.is_none(), "{status:?}");

    // Many heads in a second: two words at most, the last of the newest.
    for n in 0..10 {
        world.enrol(&[&Device::new(60 + n)]);
        node.serve(&world, world.time);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let size = world.chain.size();
    told(&ear, |told| told.last().unwrap().1.size == size).await;
    let ear = ear.lock().unwrap();
    let gaps = ear.told.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let least = gaps.min().unwrap();
    assert!(least >= limits::ACKNOWLEDGE_GAP - Duration::from_millis(50), "{least:?}");
}

#[tokio::test]
async fn a_node_that_hangs_holds_nobody_up() {
    let (mut world, clock) = (World::new(), Clock::new());
    let (node, deaf, ear) = (Node::start(&world).await, Shared::default(), Shared::default());
    deaf.lock().unwrap().hangs = true;
    let dir = tempfile::tempdir().unwrap();
    let nodes = [node.url.as_str(), NOBODY, &listen(&deaf).await, &listen(&ear).await];
    let gateway =
        Gateway::start(speaking(config(dir.path(), &world, &nodes, &clock))).await.unwrap();
    told(&deaf, |told| !told.is_empty()).await;
    world.enrol(&[&Device::new(30)]);
    node.serve(&world, world.time);
    let size = world.chain.size();
    eventually(&gateway, move |g| g.status().size == size).await;
    // The others hear of it, and deciding goes on.
    told(&ear, |told| told.last().is_some_and(|(_, said)| said.size == size)).await;
    let request = AuthRequest::default();
    let decided = tokio::time::timeout(Duration::from_secs(1), gateway.authenticate(request));
    assert_eq!(decided.await.unwrap().unwrap_err().code(), "missing");
    let closed = tokio::time::timeout(Duration::from_secs(5), gateway.close());
    closed.await.expect("closing does not wait for a node that hangs");
    // Without a key it tells nobody anything.
    let quiet = Shared::default();
    let dir = tempfile::tempdir().unwrap();
    let nodes = [node.url.as_str(), &listen(&quiet).await];
    let gateway = Gateway::start(config(dir.path(), &world, &nodes, &clock)).await.unwrap();
    eventually(&gateway, |g| g.ready()).await;
    tokio::time::sleep(2 * limits::ACKNOWLEDGE_GAP).await;
    assert!(quiet.lock().unwrap().told.is_empty() && gateway.status().acknowledged.is_none());
}
