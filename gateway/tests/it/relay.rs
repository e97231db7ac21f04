//! What a gateway hands to a node that lost its disk.

use crate::node::{Clock, NOBODY, Node, config, eventually};
use crate::world::{Device, World};
use axum::body::{Body, to_bytes};
use http::Request;
use muster_api::{Feed, Problem, limits};
use muster_gateway::{Gateway, sidecar};
use muster_identity::cbor::Decode as _;
use muster_ledger::Target;
use tower::ServiceExt as _;

async fn ask(gateway: &Gateway, path: &str) -> (u16, Vec<u8>) {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let (parts, body) = sidecar(gateway.clone()).oneshot(request).await.unwrap().into_parts();
    (parts.status.as_u16(), to_bytes(body, 64 << 20).await.unwrap().to_vec())
}

async fn feed(gateway: &Gateway, from: u64) -> Feed {
    let (status, body) = ask(gateway, &format!("/v1/feed?from={from}")).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    Feed::from_cbor(&body).unwrap()
}

#[tokio::test]
async fn every_verified_entry_is_handed_out() {
    let mut world = World::new();
    let more = limits::FEED_ENTRIES + 10;
    for n in 0..more / 2 {
        let device = Device::new(10 + n);
        let (_, parts) = world.enrol(&[&device]);
        world.revoke(Target::Device(device.as_ref(parts.first())));
    }
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let node = Node::start(&world).await;
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, |g| g.status().size == more).await;
    let (status, note) = ask(&gateway, "/v1/checkpoint").await;
    assert_eq!((status, String::from_utf8(note).unwrap()), (200, world.note(world.time)));
    // Page by page, again from the front, and from the middle of what was read.
    let (page, all) = (limits::FEED_ENTRIES as usize, &world.entries);
    for (from, until) in [(0, page), (page, all.len()), (0, page), (7, 7 + page), (3, 3 + page)] {
        let told = feed(&gateway, from as u64).await;
        assert!(told.entries == all[from..until.min(all.len())], "from {from}");
        assert_eq!(told.checkpoint, world.note(world.time));
    }
    assert!(feed(&gateway, more).await.entries.is_empty());
    let (status, body) = ask(&gateway, &format!("/v1/feed?from={}", more + 1)).await;
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, problem.code()), (409, "ahead"));
    gateway.close().await;
}

#[tokio::test]
async fn a_gateway_that_knows_nothing_says_so() {
    let (world, dir, clock) = (World::new(), tempfile::tempdir().unwrap(), Clock::new());
    let gateway = Gateway::start(config(dir.path(), &world, &[NOBODY], &clock)).await.unwrap();
    for path in ["/v1/checkpoint", "/v1/feed?from=0"] {
        let (status, body) = ask(&gateway, path).await;
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, problem.code()), (503, "no-head"));
    }
    gateway.close().await;
}
