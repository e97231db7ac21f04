//! A node that is late, by chance or on purpose.

use crate::node::{Clock, Node, config, eventually};
use crate::world::{Device, World};
use muster_gateway::Gateway;
use std::time::Duration;

/// Its heads are true, and keep the roll just young enough; what it holds back is a revocation.
#[tokio::test]
async fn a_node_that_relays_late_heads_is_left_for_the_next() {
    let mut world = World::new();
    world.enrol(&[&Device::new(10)]);
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let late = Node::start(&world).await;
    let old = world.clone();
    world.enrol(&[&Device::new(11)]);
    let honest = Node::start(&world).await;
    honest.serve(&world, world.time + 1_200_000);
    clock.set(world.time + 1_200_000);
    let nodes = [late.url.as_str(), honest.url.as_str()];
    let gateway = Gateway::start(config(dir.path(), &world, &nodes, &clock)).await.unwrap();
    // It has a later head for every question.
    let relay = tokio::spawn(async move {
        for n in 1.. {
            late.serve(&old, old.time + n * 100);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    eventually(&gateway, |g| g.status().size == 2).await;
    let status = gateway.status();
    assert_eq!(status.nodes[0].faults.keys().copied().collect::<Vec<_>>(), ["late"]);
    assert!(status.nodes[1].followed && status.nodes[1].faults.is_empty(), "{status:?}");
    relay.abort();
    gateway.close().await;

    // Where there is no other node, it is followed as ever.
    let (dir, alone) = (tempfile::tempdir().unwrap(), Node::start(&world).await);
    let gateway = Gateway::start(config(dir.path(), &world, &[&alone.url], &clock)).await.unwrap();
    eventually(&gateway, |g| g.status().size == 2).await;
    alone.serve(&world, world.time + 1_000);
    eventually(&gateway, |g| g.status().checkpoint_time == world.time + 1_000).await;
    assert!(gateway.status().nodes[0].faults.is_empty());
    gateway.close().await;
}
