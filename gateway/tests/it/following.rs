//! Following, and coming back.

use crate::node::{Clock, NOBODY, Node, config, eventually};
use crate::world::{Device, START, World, key};
use muster_gateway::{AuthRequest, Error, Gateway, PinnedHead};
use muster_identity::Signer as _;
use muster_ledger::{
    Action, Capabilities, Capability, Chain, ChangeValidators, OrgKey, Target, ValidatorSet,
};
use std::fs::OpenOptions;
use std::io::Write as _;

const DAY: u64 = 24 * 60 * 60 * 1_000;

/// A ledger of some blocks, one of them with several operations.
fn history() -> (World, Device) {
    let (mut world, device) = (World::new(), Device::new(10));
    let (_, parts) = world.enrol(&[&device]);
    let others: Vec<_> = (20..25).map(Device::new).collect();
    let (batch, _) = world.enrol(&others.iter().collect::<Vec<_>>());
    let hold = |n: u8| {
        muster_ledger::Action::Hold(muster_ledger::Hold {
            target: Target::Batch(batch),
            id: muster_ledger::HoldId([n; 16]),
            power: muster_ledger::Power::Owner,
            until: None,
            seen: 2,
            reason: String::new(),
        })
    };
    let holds = (1..=4).map(|n| world.admin_signs(hold(n))).collect();
    world.commit_all(holds);
    world.revoke(Target::Device(device.as_ref(Some(&parts[0]))));
    (world, device)
}

async fn code(gateway: &Gateway, token: &str) -> &'static str {
    let request = AuthRequest { presentation: Some(token), ..AuthRequest::default() };
    gateway.authenticate(request).await.map_or_else(|rejected| rejected.code(), |_| "verified")
}

#[tokio::test]
async fn it_follows_in_pieces_of_any_size() {
    let (world, _) = history();
    for chunk in [1, 2, 3, 1_000] {
        let (dir, clock, node) =
            (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
        node.change(|book| book.chunk = chunk);
        let gateway =
            Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
        eventually(&gateway, |g| g.status().size == world.chain.size()).await;
        let roll = gateway.roll().unwrap();
        assert_eq!(roll.chain().state().root(), world.state().root());
        assert_eq!(gateway.status().height, world.chain.height());
        gateway.close().await;
    }
}

/// The root key hands the ledger to another validator: followed in pieces of any size, and from
/// then on the old one is nobody.
#[tokio::test]
async fn the_validator_changes_and_the_gateway_goes_along() {
    for chunk in [1, 1_000] {
        let mut world = World::new();
        let (old, new) = (key(2), key(3));
        let capabilities = Capabilities::of(&[Capability::Validator]);
        let keys = &mut world.genesis.organisation.keys;
        keys.push(OrgKey { key: old.public_key(), capabilities });
        world.chain = Chain::new(&world.genesis);
        world.enrol(&[&Device::new(10)]);
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
        let node = Node::start(&world).await;
        node.change(|book| book.chunk = chunk);
        let start = |url: String| {
            let config = config(dir.path(), &world, &[&url], &clock);
            async move { Gateway::start(config).await.unwrap() }
        };
        let gateway = start(node.url.clone()).await;
        eventually(&gateway, |g| g.status().size == 1).await;

        let mut after = world.clone();
        after.enrol(&[&Device::new(11)]);
        let change = ChangeValidators { seq: 1, validators: ValidatorSet(vec![new.public_key()]) };
        after.commit(after.admin_signs(Action::ChangeValidators(change)));
        after.enrol(&[&Device::new(12)]);
        let head = after.head(after.time);
        let by = |signer| muster_ledger::cosign(&head, signer).unwrap().to_note();
        let (note, stale) = (by(&new), by(&old));
        node.change(|book| {
            book.entries = after.entries.clone();
            (book.note, book.time) = (stale.clone(), after.time);
        });
        eventually(&gateway, |g| g.status().nodes[0].faults.contains_key("mismatch")).await;
        // Somebody signs with a key that is over: worth an alarm.
        assert_eq!((gateway.status().size, gateway.status().forks_seen), (1, 1));
        node.change(|book| book.note = note);
        eventually(&gateway, |g| g.status().size == 4).await;
        gateway.close().await;

        // It comes back without a node, and the old validator is a stranger to it.
        let gateway = start(NOBODY.to_owned()).await;
        assert_eq!(gateway.status().size, 4);
        gateway.close().await;
    }
}

#[tokio::test]
async fn a_quiet_ledger_stays_young_and_news_arrive() {
    let (mut world, device) = (World::new(), Device::new(10));
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    let mut rolls = gateway.subscribe();
    rolls.borrow_and_update();
    node.serve(&world, START + 5_000);
    rolls.changed().await.unwrap();
    assert_eq!(gateway.status().checkpoint_time, START + 5_000);
    assert_eq!(gateway.status().roll_age_ms.map(|age| age / 1_000), Some(5));

    let (_, parts) = world.enrol(&[&device]);
    node.know(&device.did, &parts[0]);
    node.serve(&world, START + 6_000);
    rolls.changed().await.unwrap();
    assert_eq!(code(&gateway, &device.presents(clock.seconds(), 1)).await, "verified");
    world.revoke(Target::Device(device.as_ref(Some(&parts[0]))));
    node.serve(&world, START + 7_000);
    rolls.changed().await.unwrap();
    assert_eq!(code(&gateway, &device.presents(clock.seconds(), 2)).await, "revoked");
    gateway.close().await;
}

#[tokio::test]
async fn a_device_enrolled_a_moment_ago_waits_for_the_roll() {
    let (mut world, device) = (World::new(), Device::new(10));
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    // The node answers with the part before its feed brings the batch.
    let (_, parts) = world.enrol(&[&device]);
    node.know(&device.did, &parts[0]);
    let token = device.presents(clock.seconds(), 1);
    let (verdict, ()) = tokio::join!(code(&gateway, &token), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        node.serve(&world, START + 1_000);
    });
    assert_eq!(verdict, "verified");
    gateway.close().await;
}

#[tokio::test]
async fn it_comes_back_without_a_node_and_decides_until_stale() {
    let (world, device) = history();
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    gateway.close().await;

    // A crash left an entry and half an entry behind the checkpoint.
    let path = dir.path().join("operations.log");
    let whole = std::fs::read(&path).unwrap();
    let mut log = OpenOptions::new().append(true).open(&path).unwrap();
    log.write_all(&[0, 0, 0, 2, 1, 1, 0, 0, 1, 0, 7]).unwrap();
    drop(log);

    let gateway = Gateway::start(config(dir.path(), &world, &[NOBODY], &clock)).await.unwrap();
    assert!(gateway.ready());
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    assert_eq!(code(&gateway, &device.presents(clock.seconds(), 1)).await, "revoked");
    clock.set(world.time + 3_600_001);
    assert!(!gateway.ready());
    assert_eq!(code(&gateway, &device.presents(clock.seconds(), 2)).await, "revoked");
    gateway.close().await;
}

#[tokio::test]
async fn a_stale_gateway_refuses_devices_in_good_standing() {
    let (mut world, device) = (World::new(), Device::new(10));
    let (_, parts) = world.enrol(&[&device]);
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    node.know(&device.did, &parts[0]);
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    clock.set(world.time + 3_600_000);
    assert_eq!(code(&gateway, &device.presents(clock.seconds(), 1)).await, "verified");
    clock.set(world.time + 3_600_001);
    assert_eq!(code(&gateway, &device.presents(clock.seconds(), 2)).await, "stale-roll");
    // The clock set back does not help: what counts is the later of two clocks, and the device
    // has to present with the gateway's time anyway.
    gateway.close().await;
}

#[tokio::test]
async fn a_damaged_or_foreign_folder_is_refused() {
    let (world, _) = history();
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let start = |world: &World| Gateway::start(config(dir.path(), world, &[&node.url], &clock));
    let gateway = start(&world).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    assert!(matches!(start(&world).await, Err(Error::InUse(_))));
    gateway.close().await;

    let other = World::starting(START + 1);
    assert!(matches!(start(&other).await, Err(Error::OtherNetwork(_))));

    let path = dir.path().join("operations.log");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let error = start(&world).await.err().unwrap();
    assert!(error.to_string().contains("6 entries, the checkpoint was verified over 7"), "{error}");
    for at in [50, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(start(&world).await, Err(Error::Damaged { .. })), "byte {at}");
    }
    std::fs::write(&path, &whole).unwrap();
    start(&world).await.unwrap().close().await;
}

/// A time server that is wrong for a moment does not end following.
#[tokio::test]
async fn a_clock_that_was_ahead_for_a_moment_does_not_stop_following() {
    let mut world = World::new();
    world.enrol(&[&Device::new(10)]);
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    let right = clock.ms();
    clock.set(right + 31 * DAY);
    node.serve(&world, world.time + 1_000);
    eventually(&gateway, |g| g.status().stopped.is_some()).await;
    world.enrol(&[&Device::new(11)]);
    node.serve(&world, world.time + 2_000);
    clock.set(right);
    eventually(&gateway, |g| g.status().size == 2).await;
    let status = gateway.status();
    assert_eq!((status.stopped, status.nodes[0].faults["trust-period"]), (None, 1));
    gateway.close().await;
}

/// Without a clock the heads themselves tell that too much time went by between them.
#[tokio::test]
async fn the_trust_period_holds_with_a_clock_in_1970() {
    for same_size in [false, true] {
        let mut world = World::new();
        world.enrol(&[&Device::new(10)]);
        let (dir, clock, node) =
            (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
        let mut configured = config(dir.path(), &world, &[&node.url], &clock);
        let gateway = Gateway::start(configured.clone()).await.unwrap();
        eventually(&gateway, Gateway::ready).await;
        gateway.close().await;

        clock.set(1_000);
        world.time += 31 * DAY;
        if !same_size {
            world.enrol(&[&Device::new(11)]);
        }
        node.serve(&world, world.time);
        let gateway = Gateway::start(configured.clone()).await.unwrap();
        eventually(&gateway, |g| g.status().stopped.is_some()).await;
        let status = gateway.status();
        assert_eq!((status.size, status.ready), (1, false));
        assert_eq!(status.nodes[0].faults["trust-period"], 1);
        gateway.close().await;
        if same_size {
            continue;
        }

        // A pinned head takes the place of the trust that ran out.
        let log_root = world.head(0).log_root;
        configured.pinned = Some(PinnedHead { size: world.chain.size(), log_root });
        let gateway = Gateway::start(configured).await.unwrap();
        eventually(&gateway, |g| g.status().size == 2).await;
        gateway.close().await;
    }
}

#[tokio::test]
async fn after_the_trust_period_only_a_pinned_head_is_believed() {
    let (mut world, _) = history();
    let (dir, clock, node) =
        (tempfile::tempdir().unwrap(), Clock::new(), Node::start(&world).await);
    let mut configured = config(dir.path(), &world, &[&node.url], &clock);
    let gateway = Gateway::start(configured.clone()).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    gateway.close().await;

    world.time += 31 * DAY;
    clock.set(world.time + 10_000);
    let error = Gateway::start(configured.clone()).await.err().unwrap();
    assert!(matches!(error, Error::TrustPeriod { size: 7, days: 31 }), "{error}");

    world.enrol(&[&Device::new(77)]);
    let pin = PinnedHead { size: world.chain.size(), log_root: world.head(0).log_root };
    world.enrol(&[&Device::new(78)]);
    node.serve(&world, world.time);
    configured.pinned = Some(PinnedHead { log_root: [1; 32], ..pin });
    let gateway = Gateway::start(configured.clone()).await.unwrap();
    eventually(&gateway, |g| g.status().nodes[0].faults.contains_key("pinned")).await;
    assert_eq!(gateway.status().size, 7);
    gateway.close().await;

    configured.pinned = Some(pin);
    let gateway = Gateway::start(configured).await.unwrap();
    eventually(&gateway, |g| g.status().size == world.chain.size()).await;
    gateway.close().await;
}
