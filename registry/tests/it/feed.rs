use crate::network::Network;
use muster_api::limits;
use muster_identity::cbor::Decode as _;
use muster_ledger::{
    Action, Alone, Block, Chain, Checkpoint, Entry, Revoke, Snapshot, Target, Time,
};
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_follower_comes_to_the_same_roots() {
    let network = Network::new().await;
    let devices = network.devices(0..3);
    let batch = network.enrol(&devices).await;
    let revoke = Revoke { target: Target::Batch(batch), reason: String::new() };
    network.act(Action::Revoke(revoke)).await.unwrap();
    let feed = network.registry.feed(0, 0, Duration::ZERO).await.unwrap();
    let entries = feed.entries.iter().map(|bytes| Entry::from_cbor(bytes).unwrap());
    let mut chain = Chain::new(&network.genesis);
    for block in Block::from_entries(entries).unwrap() {
        chain = chain.extend(&block).unwrap().0;
    }
    chain.check(&Checkpoint::parse(&feed.checkpoint).unwrap()).unwrap();
    let rest = network.registry.feed(1, 0, Duration::ZERO).await.unwrap();
    assert_eq!((rest.from, &rest.entries[..]), (1, &feed.entries[1..]));
    let problem = network.registry.feed(3, 0, LONG).await.unwrap_err();
    assert_eq!((problem.code(), problem.status), ("ahead", 409));
}

#[tokio::test]
async fn a_long_poll_wakes_on_a_block_and_on_closing() {
    let network = Network::new().await;
    let head = *network.registry.head().unwrap().head();
    let (registry, time) = (network.registry.clone(), head.time.0);
    let short = Duration::from_millis(20);
    assert!(registry.feed(0, time, short).await.unwrap().entries.is_empty());
    let poll = tokio::spawn(async move { registry.feed(0, time, LONG).await });
    network.enrol(&network.devices(0..1)).await;
    let feed = tokio::time::timeout(Duration::from_secs(5), poll).await.unwrap().unwrap().unwrap();
    assert_eq!(feed.entries.len(), 1);
    let registry = network.registry.clone();
    let time = registry.head().unwrap().head().time.0;
    let poll = tokio::spawn(async move { registry.feed(1, time, LONG).await });
    tokio::time::sleep(short).await;
    network.registry.close().await;
    let feed = tokio::time::timeout(Duration::from_secs(5), poll).await.unwrap().unwrap().unwrap();
    assert!(feed.entries.is_empty());
}

#[tokio::test]
async fn a_quiet_head_is_signed_again() {
    let network = Network::new().await;
    let before = *network.registry.head().unwrap().head();
    // Lets the node come to its first rest.
    tokio::time::sleep(Duration::from_millis(20)).await;
    network.host.advance(10_000);
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(10_001)).await;
    tokio::time::resume();
    let feed = network.registry.feed(0, before.time.0, LONG).await.unwrap();
    let note = Checkpoint::parse(&feed.checkpoint).unwrap();
    assert_eq!(note.head().time.0, before.time.0 + 10_000);
    assert!(note.head().same_ledger(&before));
    assert!(network.registry.ready().await);
    // A clock that stands still, or goes back, never takes the head's time back.
    network.host.advance(1_000_000);
    assert!(!network.registry.ready().await);
}

async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn slow_readers_keep_few_copies_of_the_ledger() {
    let network = Network::new().await;
    network.enrol(&network.devices(0..1)).await;
    let mut held = vec![network.registry.snapshot().await.unwrap()];
    let same = |a: &Arc<Vec<u8>>, b: &Arc<Vec<u8>>| Arc::ptr_eq(a, b);
    // While somebody reads it, it is handed out for longer.
    pass(limits::SNAPSHOT_KEPT_SECONDS).await;
    assert!(same(&held[0], &network.registry.snapshot().await.unwrap()));
    pass(limits::SNAPSHOT_READ_SECONDS).await;
    let next = network.registry.snapshot().await.unwrap();
    assert!(!same(&held[0], &next));
    held.push(next);
    for _ in 0..8 {
        pass(limits::SNAPSHOT_READ_SECONDS).await;
        held.push(network.registry.snapshot().await.unwrap());
    }
    held.dedup_by(|a, b| Arc::ptr_eq(a, b));
    assert_eq!(held.len(), limits::SNAPSHOT_COPIES);
    // One reader has done: there is room for a newer one.
    let newest = held.last().unwrap().clone();
    held.remove(0);
    assert!(!same(&newest, &network.registry.snapshot().await.unwrap()));
}

#[tokio::test]
async fn a_snapshot_is_the_ledger_under_its_head() {
    let network = Network::new().await;
    let registry = &network.registry;
    let empty = registry.snapshot().await.unwrap_err();
    assert_eq!((empty.code(), empty.status), ("empty", 404));
    let devices = network.devices(0..3);
    let batch = network.enrol(&devices).await;
    let first = *registry.head().unwrap().head();
    let revoke = Revoke { target: Target::Batch(batch), reason: String::new() };
    network.act(Action::Revoke(revoke)).await.unwrap();
    let made = registry.snapshot().await.unwrap();
    let snapshot = Snapshot::parse(&made).unwrap();
    let genesis = &network.genesis;
    let checked = snapshot.check(&genesis.network(), &genesis.validators, &Alone);
    let (chain, quorum) = checked.unwrap();
    assert_eq!(chain.head(Time(0)), registry.chain().unwrap().head(Time(0)));
    assert_eq!(quorum.head().size, 2);
    // Handed out again for some seconds, also when the ledger has moved on.
    network.enrol(&network.devices(3..4)).await;
    assert!(Arc::ptr_eq(&made, &registry.snapshot().await.unwrap()));
    drop(made);
    pass(limits::SNAPSHOT_KEPT_SECONDS).await;
    let later = registry.snapshot().await.unwrap();
    assert_eq!(Snapshot::parse(&later).unwrap().checkpoint().head().size, 3);

    let head = *registry.head().unwrap().head();
    let proof = registry.consistency(first.size, head.size).unwrap();
    assert_eq!(proof.verify(first.size, &first.log_root, &head), Ok(()));
    assert!(proof.verify(first.size, &[1; 32], &head).is_err());
    for (from, to) in [(0, 3), (2, 1), (1, 4)] {
        assert_eq!(registry.consistency(from, to).unwrap_err().status, 404, "{from} to {to}");
    }
}
