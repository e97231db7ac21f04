//! Beginning with a snapshot, and what is not believed of one.

use crate::crafted::{self, Crafted};
use crate::node::{Clock, NOBODY, Node, config, eventually};
use crate::world::{Device, World, key};
use muster_gateway::{Error, Gateway, GatewayConfig, PinnedHead};
use muster_ledger::{Alone, Snapshot, Target, Time, View};
use std::path::Path;
use std::sync::Arc;

const SIZE: u64 = 1 << 13;
const CHANGED: u64 = 5_000;

/// A ledger longer than anybody wants to follow, and how it goes on.
pub(crate) fn long() -> (World, Crafted) {
    let mut world = World::new();
    let crafted = Crafted::new(&world.genesis, &key(2), SIZE.ilog2(), CHANGED);
    let bytes = crafted.bytes();
    let snapshot = Snapshot::parse(&bytes).unwrap();
    let checked = snapshot.check(&world.genesis.network(), &world.genesis.validators, &Alone);
    world.chain = checked.unwrap().0;
    world.time = crafted.head.time.0;
    (world, crafted)
}

pub(crate) async fn node(world: &World, crafted: &Crafted) -> Node {
    let node = Node::start(world).await;
    node.change(|book| {
        (book.base, book.snapshot, book.tree) = (SIZE, Some(crafted.bytes()), crafted.tree.clone());
    });
    node
}

fn fresh() -> (tempfile::TempDir, Arc<Clock>) {
    (tempfile::tempdir().unwrap(), Clock::new())
}

fn fault(gateway: &Gateway, node: usize, code: &str) -> bool {
    gateway.status().nodes[node].faults.contains_key(code)
}

fn file(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

#[tokio::test]
async fn a_gateway_that_has_nothing_begins_with_a_snapshot() {
    let (mut world, crafted) = long();
    let ((dir, clock), node) = (fresh(), node(&world, &crafted).await);
    let start = |url: &str| Gateway::start(config(dir.path(), &world, &[url], &clock));
    let gateway = start(&node.url).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    assert_eq!(gateway.status().size, SIZE);
    let roll = gateway.roll().unwrap();
    assert_eq!(roll.chain().state().root(), crafted.head.state_root);
    let record = roll.chain().state().device(&crafted::did(7)).unwrap().unwrap();
    assert!(record.standing.revoked);

    // It goes on as a follower does.
    let device = Device::new(10);
    let mut next = world.clone();
    let (_, parts) = next.enrol(&[&device]);
    next.revoke(Target::Device(device.as_ref(Some(&parts[0]))));
    node.serve(&next, next.time);
    eventually(&gateway, |g| g.status().size == SIZE + 2).await;
    gateway.close().await;
    assert_eq!(file(dir.path(), "operations.log")[..8], *b"MUSTOPS2");
    assert!(!node.book.lock().unwrap().asked.contains(&0), "nothing before was asked for");
    assert_eq!(node.book.lock().unwrap().snapshot_requests, 1);

    let gateway = start(NOBODY).await.unwrap();
    assert!(gateway.ready());
    assert_eq!(gateway.roll().unwrap().chain().state().root(), next.state().root());
    gateway.close().await;

    // Its snapshot is all it has of what came before.
    let whole = file(dir.path(), "snapshot");
    for at in [0, 9, 20, 31, 40, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(dir.path().join("snapshot"), &bytes).unwrap();
        assert!(matches!(start(NOBODY).await, Err(Error::Damaged { .. })), "byte {at}");
    }
    std::fs::remove_file(dir.path().join("snapshot")).unwrap();
    let error = start(NOBODY).await.err().unwrap();
    assert!(error.to_string().contains("the log begins after it"), "{error}");
    std::fs::write(dir.path().join("snapshot"), &whole).unwrap();
    let log = file(dir.path(), "operations.log");
    std::fs::write(dir.path().join("operations.log"), &log[..log.len() - 1]).unwrap();
    let error = start(NOBODY).await.err().unwrap();
    assert!(error.to_string().contains("8193 entries"), "{error}");
    std::fs::write(dir.path().join("operations.log"), &log).unwrap();
    world = next;
    let gateway = Gateway::start(config(dir.path(), &world, &[NOBODY], &clock)).await.unwrap();
    assert_eq!(gateway.status().size, SIZE + 2);
    gateway.close().await;
}

#[tokio::test]
async fn killed_while_it_begins() {
    let (world, crafted) = long();
    let ((dir, clock), node) = (fresh(), node(&world, &crafted).await);
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    gateway.close().await;
    let files = ["snapshot", "operations.log", "checkpoint"];
    let whole = files.map(|name| file(dir.path(), name));

    // As far as it may have come: nothing; half a snapshot beside; the snapshot; the log; all.
    for step in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        let empty = [b"MUSTOPS1".as_slice(), &world.genesis.network().0].concat();
        write("operations.log", &empty);
        if step == 1 {
            write("snapshot.new", &whole[0][..whole[0].len() / 2]);
        }
        if step >= 2 {
            write("snapshot", &whole[0]);
        }
        if step >= 3 {
            write("operations.log", &whole[1]);
        }
        if step >= 4 {
            write("checkpoint", &whole[2]);
        }
        let alone = Gateway::start(config(dir.path(), &world, &[NOBODY], &clock)).await.unwrap();
        assert_eq!(alone.ready(), step >= 3, "step {step}");
        alone.close().await;
        let again = config(dir.path(), &world, &[&node.url], &clock);
        let gateway = Gateway::start(again).await.unwrap();
        eventually(&gateway, |g| g.status().size == SIZE).await;
        gateway.close().await;
    }
}

/// A stale snapshot of a log that was never begun does not have another log cut.
#[tokio::test]
async fn a_snapshot_left_over_does_no_harm() {
    let (world, crafted) = long();
    let ((dir, clock), node) = (fresh(), node(&world, &crafted).await);
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    gateway.close().await;
    let stale = file(dir.path(), "snapshot");

    let mut short = World::new();
    short.enrol(&[&Device::new(10)]);
    let ((dir, clock), node) = (fresh(), Node::start(&short).await);
    std::fs::write(dir.path().join("snapshot"), &stale).unwrap();
    for _ in 0..2 {
        let again = config(dir.path(), &short, &[&node.url], &clock);
        let gateway = Gateway::start(again).await.unwrap();
        eventually(&gateway, |g| g.status().size == 1).await;
        gateway.close().await;
        let log = file(dir.path(), "operations.log");
        assert_eq!(log.len(), 40 + 4 + short.entries[0].len());
    }
}

#[tokio::test]
async fn whoever_insists_follows_every_operation() {
    let (world, crafted) = long();
    let ((dir, clock), node) = (fresh(), node(&world, &crafted).await);
    let config =
        GatewayConfig { from_genesis: true, ..config(dir.path(), &world, &[&node.url], &clock) };
    let gateway = Gateway::start(config).await.unwrap();
    eventually(&gateway, |g| fault(g, 0, "unreachable") || fault(g, 0, "stalled")).await;
    assert!(node.book.lock().unwrap().asked.contains(&0));
    assert_eq!(node.book.lock().unwrap().snapshot_requests, 0);
    assert!(!gateway.ready());
    gateway.close().await;
}

/// Each lie is refused and counted, and the next node's snapshot taken. Whoever is alone with a
/// liar falls back to following operations.
#[tokio::test]
async fn a_lying_snapshot_is_refused() {
    let (world, good) = long();
    let validator = key(2);
    let mut lies: Vec<(&str, &str, Crafted)> = Vec::new();
    let mut lie = |code, words, change: &dyn Fn(&mut Crafted)| {
        let mut bad = good.clone();
        change(&mut bad);
        lies.push((code, words, bad));
    };
    // The second byte after the first digest is its batch: another one of the ten.
    lie("snapshot", "state root", &|s| s.pieces[0][33] = (s.pieces[0][33] + 1) % 10);
    lie("snapshot", "state root", &|s| s.pieces[0][32] ^= 3);
    lie("snapshot", "state root", &|s| drop(s.pieces.pop()));
    lie("snapshot", "log root", &|s| *s.entry.last_mut().unwrap() ^= 1);
    lie("snapshot", "height", &|s| *s = s.signed(&validator, |head| head.height += 1));
    lie("unsigned", "0 of 1 needed", &|s| *s = s.signed(&key(3), |_| {}));
    lie("snapshot", "trust period", &|s| {
        *s = s.signed(&validator, |head| head.time = Time(head.time.0 - 31 * 24 * 3_600_000));
    });
    for (code, words, bad) in lies {
        let ((dir, clock), honest) = (fresh(), node(&world, &good).await);
        let liar = node(&world, &bad).await;
        let nodes = [liar.url.as_str(), honest.url.as_str()];
        let gateway = Gateway::start(config(dir.path(), &world, &nodes, &clock)).await.unwrap();
        eventually(&gateway, |g| g.status().size == SIZE).await;
        let status = gateway.status();
        assert_eq!(status.nodes[0].faults.get(code), Some(&1), "{words}: {status:#?}");
        assert!(status.nodes[0].last_fault.as_deref().unwrap().contains(words), "{status:#?}");
        assert_eq!((status.forks_seen, status.stopped), (0, None));
        gateway.close().await;
    }
    let ((dir, clock), liar) = (fresh(), node(&world, &good).await);
    liar.change(|book| book.snapshot = Some(b"no snapshot".to_vec()));
    let gateway = Gateway::start(config(dir.path(), &world, &[&liar.url], &clock)).await.unwrap();
    eventually(&gateway, |_| liar.book.lock().unwrap().asked.contains(&0)).await;
    assert_eq!(liar.book.lock().unwrap().snapshot_requests, 2);
    assert_eq!(gateway.status().nodes[0].faults.get("snapshot"), Some(&2));
    gateway.close().await;
}

#[tokio::test]
async fn a_pinned_head_is_part_of_the_ledger_or_nothing_is_believed() {
    let (world, crafted) = long();
    let root = |size| crafted.tree.root_at(size).unwrap();
    let pin = |size, log_root| Some(PinnedHead { size, log_root });
    let cases = [
        (pin(77, root(77)), None),
        (pin(SIZE, root(SIZE)), None),
        (pin(77, [1; 32]), Some("snapshot")),
        (pin(SIZE, [1; 32]), Some("snapshot")),
        (pin(SIZE + 1, root(77)), Some("behind")),
    ];
    for (pinned, refused) in cases {
        let ((dir, clock), node) = (fresh(), node(&world, &crafted).await);
        let config = GatewayConfig { pinned, ..config(dir.path(), &world, &[&node.url], &clock) };
        let gateway = Gateway::start(config).await.unwrap();
        match refused {
            None => eventually(&gateway, |g| g.status().size == SIZE).await,
            Some(code) => {
                eventually(&gateway, |g| fault(g, 0, code)).await;
                assert!(!gateway.ready());
            }
        }
        gateway.close().await;
    }
    // A node that proves nothing.
    let ((dir, clock), node) = (fresh(), node(&world, &crafted).await);
    node.change(|book| book.tree = Default::default());
    let pinned = pin(77, root(77));
    let config = GatewayConfig { pinned, ..config(dir.path(), &world, &[&node.url], &clock) };
    let gateway = Gateway::start(config).await.unwrap();
    eventually(&gateway, |g| fault(g, 0, "snapshot")).await;
    gateway.close().await;
}
