//! Coming back by the snapshot that a gateway keeps, and without it.

use crate::node::{Clock, NOBODY, Node, config, eventually};
use crate::world::{Device, World};
use muster_gateway::Gateway;
use muster_ledger::{Action, EvidencePolicy, Grant, Time, limits};
use std::path::Path;

/// A ledger long enough for a snapshot.
fn grown() -> World {
    let mut world = World::new();
    let organisation = world.genesis.organisation_did();
    let grant = |world: &World, seq| {
        world.admin_signs(Action::Grant(Grant {
            seq,
            organisation,
            models: vec![],
            count: 1,
            expires: Time(world.time + 100_000_000),
            evidence: EvidencePolicy::Enroller,
        }))
    };
    let mut seq = 1;
    while world.chain.size() < muster_gateway::limits::SNAPSHOT_EVERY {
        let some = seq..seq + limits::BLOCK_OPERATIONS as u64;
        seq = some.end;
        let operations = some.map(|seq| grant(&world, seq)).collect();
        world.commit_all(operations);
    }
    world
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

#[tokio::test]
async fn with_its_snapshot_or_without_it_is_the_same_ledger() {
    let mut world = grown();
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let dir = dir.path();
    let gateway = Gateway::start(config(dir, &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, |g| g.status().size == world.chain.size()).await;
    // An entry after the snapshot.
    world.enrol(&[&Device::new(10)]);
    node.serve(&world, world.time);
    eventually(&gateway, |g| g.status().size == world.chain.size()).await;
    gateway.close().await;
    let (snapshot, log) = (read(dir, "snapshot"), read(dir, "operations.log"));
    assert_eq!((&snapshot[..8], &log[..8]), (&b"MUSTSNAP"[..], &b"MUSTOPS1"[..]));

    let same = async |why: &str| {
        let gateway = Gateway::start(config(dir, &world, &[NOBODY], &clock)).await.unwrap();
        let roll = gateway.roll().unwrap();
        assert_eq!(roll.chain().state().root(), world.state().root(), "{why}");
        assert_eq!(roll.chain().head(Time(0)), world.chain.head(Time(0)), "{why}");
        gateway.close().await;
        assert_eq!(read(dir, "operations.log"), log, "{why}: the log stays as it is");
    };
    same("by the snapshot").await;
    assert_eq!(read(dir, "snapshot"), snapshot, "it is not due again");

    // A folder of before there were snapshots gets one.
    std::fs::remove_file(dir.join("snapshot")).unwrap();
    same("without a snapshot").await;
    let anew = read(dir, "snapshot");
    assert_eq!(anew[..8], *b"MUSTSNAP");
    same("by the new snapshot").await;

    // Killed while it was written, or damaged since.
    std::fs::write(dir.join("snapshot.new"), &snapshot[..snapshot.len() / 3]).unwrap();
    same("with half a snapshot beside").await;
    for at in [0, 8, 16, 23, 24, 31, 32, 60, snapshot.len() / 2, snapshot.len() - 1] {
        let mut bytes = snapshot.clone();
        bytes[at] ^= 1;
        std::fs::write(dir.join("snapshot"), &bytes).unwrap();
        same(&format!("byte {at} altered")).await;
        std::fs::write(dir.join("snapshot"), &snapshot[..at]).unwrap();
        same(&format!("cut at {at}")).await;
    }
    // The log is not whole: the snapshot covers what is missing, but a log that has lost what it
    // had is damaged.
    std::fs::write(dir.join("snapshot"), &snapshot).unwrap();
    std::fs::write(dir.join("operations.log"), &log[..log.len() - 1]).unwrap();
    assert!(Gateway::start(config(dir, &world, &[NOBODY], &clock)).await.is_err());
    std::fs::write(dir.join("operations.log"), &log[..log.len() / 2]).unwrap();
    assert!(Gateway::start(config(dir, &world, &[NOBODY], &clock)).await.is_err());
    std::fs::write(dir.join("operations.log"), &log).unwrap();
    same("put back").await;
}
