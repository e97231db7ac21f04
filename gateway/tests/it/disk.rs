//! What a node, or a full disk, can do to the folder.

use crate::node::{Clock, Node, config, eventually};
use crate::world::{Device, World};
use muster_gateway::Gateway;

/// Made-up entries under a true head that is far away.
#[tokio::test]
async fn a_node_that_makes_up_entries_does_not_fill_the_disk() {
    let mut world = World::new();
    world.enrol(&[&Device::new(10)]);
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    let log = dir.path().join("operations.log");
    let before = std::fs::read(&log).unwrap();
    (20..40).for_each(|n| drop(world.enrol(&[&Device::new(n)])));
    let note = world.note(world.time);
    node.change(|book| {
        // It hands out ten, one at a time, and then lets the gateway wait for more.
        book.entries.extend((0..10u8).map(|n| vec![n; 16_000]));
        (book.note, book.chunk) = (note, 1);
    });
    eventually(&gateway, |_| node.book.lock().unwrap().asked.contains(&11)).await;
    assert_eq!(std::fs::read(&log).unwrap(), before);
    gateway.close().await;
}
