//! A node made of a real chain and real checkpoints, which can be told to lie, and a gateway
//! that follows it.

use crate::world::{START, World, audience};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use muster_api::{Feed, Host};
use muster_gateway::{Gateway, GatewayConfig};
use muster_identity::cbor::Encode;
use muster_ledger::merkle::Tree;
use muster_ledger::{ConsistencyProof, DevicePart, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a node serves.
#[derive(Clone)]
pub(crate) struct Book {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) note: String,
    /// Time of the note.
    pub(crate) time: u64,
    /// Entries in one answer.
    pub(crate) chunk: usize,
    pub(crate) parts: BTreeMap<String, DevicePart>,
    pub(crate) part_requests: u64,
    /// Entries before the first that it hands out.
    pub(crate) base: u64,
    pub(crate) snapshot: Option<Vec<u8>>,
    pub(crate) snapshot_requests: u64,
    /// The log, for proofs.
    pub(crate) tree: Tree,
    /// Places from which entries were asked for.
    pub(crate) asked: BTreeSet<u64>,
    /// Answers at once with whatever it has.
    pub(crate) hasty: bool,
    /// Answers with an error.
    pub(crate) down: bool,
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) book: Arc<Mutex<Book>>,
    pub(crate) url: String,
}

impl Node {
    pub(crate) async fn start(world: &World) -> Self {
        let book = Book {
            entries: world.entries.clone(),
            note: world.note(world.time),
            time: world.time,
            chunk: 1_000,
            parts: BTreeMap::new(),
            part_requests: 0,
            base: 0,
            snapshot: None,
            snapshot_requests: 0,
            tree: Tree::default(),
            asked: BTreeSet::new(),
            hasty: false,
            down: false,
        };
        let book = Arc::new(Mutex::new(book));
        let routes = Router::new()
            .route("/v1/feed", get(feed))
            .route("/v1/checkpoint", get(checkpoint))
            .route("/v1/snapshot", get(snapshot))
            .route("/v1/consistency", get(consistency))
            .route("/v1/devices/{did}/part", get(part))
            .with_state(book.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { book, url }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.book.lock().unwrap());
    }

    /// Serves this ledger, its head signed now.
    pub(crate) fn serve(&self, world: &World, time: u64) {
        self.change(|book| {
            book.entries = world.entries.clone();
            book.note = world.note(time);
            book.time = time.max(world.time);
        });
    }

    /// Serves a part when asked for.
    pub(crate) fn know(&self, did: &muster_identity::Did, part: &DevicePart) {
        self.change(|book| drop(book.parts.insert(did.to_string(), part.clone())));
    }
}

type Shared = State<Arc<Mutex<Book>>>;

#[derive(serde::Deserialize)]
struct Asked {
    from: u64,
    time: u64,
    wait: u64,
}

async fn feed(State(book): Shared, Query(asked): Query<Asked>) -> Response {
    let wait = Duration::from_secs(asked.wait);
    let begin = tokio::time::Instant::now();
    loop {
        book.lock().unwrap().asked.insert(asked.from);
        let now = book.lock().unwrap().clone();
        let new = now.base + now.entries.len() as u64 > asked.from || now.time > asked.time;
        if now.down {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let Some(skip) =
            asked.from.checked_sub(now.base).filter(|n| *n <= now.entries.len() as u64)
        else {
            // As a node answers that has less than the follower.
            let problem = muster_api::Problem::new(409, "ahead", "the log has fewer entries");
            return (StatusCode::CONFLICT, serde_json::to_vec(&problem).unwrap()).into_response();
        };
        if new || now.hasty || begin.elapsed() >= wait {
            let entries = now.entries.iter().skip(skip as usize).take(now.chunk);
            let entries = entries.cloned().collect();
            return Feed { from: asked.from, entries, checkpoint: now.note }
                .to_cbor()
                .into_response();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn checkpoint(State(book): Shared) -> String {
    book.lock().unwrap().note.clone()
}

fn none() -> Response {
    let problem = muster_api::Problem::new(404, "not-found", "not here");
    (StatusCode::NOT_FOUND, serde_json::to_vec(&problem).unwrap()).into_response()
}

async fn snapshot(State(book): Shared) -> Response {
    let mut book = book.lock().unwrap();
    book.snapshot_requests += 1;
    book.snapshot.clone().map_or_else(none, IntoResponse::into_response)
}

#[derive(serde::Deserialize)]
struct FromTo {
    from: u64,
    to: u64,
}

async fn consistency(State(book): Shared, Query(asked): Query<FromTo>) -> Response {
    let proof = book.lock().unwrap().tree.consistency(asked.from, asked.to);
    proof.map_or_else(none, |proof| ConsistencyProof(proof).to_cbor().into_response())
}

async fn part(State(book): Shared, Path(did): Path<String>) -> Response {
    let mut book = book.lock().unwrap();
    book.part_requests += 1;
    match book.parts.get(&did) {
        Some(part) => part.to_cbor().into_response(),
        None => none(),
    }
}

/// A clock that tests set.
pub(crate) struct Clock {
    ms: AtomicU64,
    drawn: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { ms: AtomicU64::new(START + 10_000), drawn: AtomicU64::new(0) })
    }

    pub(crate) fn set(&self, ms: u64) {
        self.ms.store(ms, Ordering::SeqCst);
    }

    pub(crate) fn ms(&self) -> u64 {
        self.ms.load(Ordering::SeqCst)
    }

    /// What it draws from now on.
    pub(crate) fn draw(&self, seed: u64) {
        self.drawn.store(seed << 32, Ordering::SeqCst);
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.ms() / 1_000
    }
}

impl Host for Clock {
    fn now(&self) -> Time {
        Time(self.ms())
    }

    fn random(&self) -> [u8; 16] {
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
        u128::from(drawn).to_be_bytes()
    }
}

pub(crate) fn config(
    dir: &std::path::Path,
    world: &World,
    nodes: &[&str],
    clock: &Arc<Clock>,
) -> GatewayConfig {
    let nodes = nodes.iter().map(|url| (*url).to_owned()).collect();
    let clock = clock.clone();
    let config = GatewayConfig::new(dir, world.genesis.clone(), nodes, audience(), clock);
    GatewayConfig { trust_proxy: muster_api::TrustedProxies::this_machine(), ..config }
}

/// An address at which nobody listens.
pub(crate) const NOBODY: &str = "http://127.0.0.1:9";

/// Waits until something holds.
#[track_caller]
pub(crate) fn eventually<'a>(
    gateway: &'a Gateway,
    what: impl Fn(&Gateway) -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    let place = std::panic::Location::caller();
    async move {
        for _ in 0..1_500 {
            if what(gateway) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never happened, {place}: {:#?}", gateway.status());
    }
}
