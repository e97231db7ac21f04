//! What a node, or a full disk, can do to the folder.

use crate::node::{Clock, NOBODY, Node, config, eventually};
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

/// Not even a checkpoint can be written: what was verified counts all the same, and a restart finds
/// a whole folder, before the disk is mended and after.
#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_withholds_nothing() {
    let mut world = World::new();
    world.enrol(&[&Device::new(10)]);
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let configured = config(dir.path(), &world, &[&node.url], &clock);
    let gateway = Gateway::start(configured).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    // Where the new file would be made.
    let obstacle = dir.path().join("checkpoint.new");
    std::fs::create_dir(&obstacle).unwrap();
    let follows = async |world: &World| {
        node.serve(world, world.time);
        eventually(&gateway, |g| g.status().size == world.chain.size()).await;
    };
    world.enrol(&[&Device::new(11)]);
    follows(&world).await;
    assert!(gateway.status().nodes[0].faults.contains_key("disk"));
    assert_eq!(gateway.status().stopped, None);

    // Killed now, it begins where the last checkpoint was written.
    let copy = tempfile::tempdir().unwrap();
    for file in ["operations.log", "checkpoint"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let killed = Gateway::start(config(copy.path(), &world, &[NOBODY], &clock)).await.unwrap();
    assert_eq!(killed.status().size, 1);
    killed.close().await;

    // A lie in between has what is not verified cut off, and no more.
    node.change(|book| (book.note, book.time) = ("a lie".into(), book.time + 1));
    eventually(&gateway, |g| g.status().nodes[0].faults.contains_key("unsigned")).await;
    world.enrol(&[&Device::new(12)]);
    follows(&world).await;
    std::fs::remove_dir(&obstacle).unwrap();
    world.enrol(&[&Device::new(13)]);
    follows(&world).await;
    gateway.close().await;
    let gateway = Gateway::start(config(dir.path(), &world, &[NOBODY], &clock)).await.unwrap();
    assert_eq!(gateway.roll().unwrap().chain().state().root(), world.state().root());
    assert_eq!(gateway.status().size, 4);
    gateway.close().await;
}
