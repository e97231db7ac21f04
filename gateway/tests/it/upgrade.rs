//! What changes on the ledger by governance: a protocol version to come, rules, approvals.

use crate::faults::later_note;
use crate::node::{Clock, Node, config, eventually};
use crate::world::{Device, START, VALIDATOR, World, key};
use muster_gateway::{AuthRequest, Error, Gateway};
use muster_identity::Signer as _;
use muster_ledger::{
    Action, Approval, Approve, Capabilities, Capability, Chain, ChangeRules, DevicePart,
    NextProtocol, OrgKey, Propose, Revoke, Rules, Target, Time, UpgradeProtocol,
};
use std::sync::Arc;

const DAY: u64 = 24 * 60 * 60 * 1_000;

/// Another person of the organisation.
const SECOND: u64 = 5;

/// A network that its organisation runs alone, and one device.
fn governed() -> (World, Device, DevicePart) {
    let (mut world, device) = (World::new(), Device::new(10));
    let can = |n, can: &[Capability]| OrgKey {
        key: key(n).public_key(),
        capabilities: Capabilities::of(can),
    };
    world.genesis.organisation.keys.extend([
        can(VALIDATOR, &[Capability::Validator]),
        can(SECOND, &[Capability::Operate, Capability::Approve]),
    ]);
    world.genesis.rules.approval =
        Some(Approval { devices: Some(0), people: 1, governance: false });
    world.chain = Chain::new(&world.genesis);
    let (_, parts) = world.enrol(&[&device]);
    (world, device, parts[0].clone())
}

struct Site {
    dir: tempfile::TempDir,
    clock: Arc<Clock>,
    node: Node,
    gateway: Gateway,
}

impl Site {
    async fn new(world: &World) -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
        let node = Node::start(world).await;
        let gateway =
            Gateway::start(config(dir.path(), world, &[&node.url], &clock)).await.unwrap();
        Self { dir, clock, node, gateway }
    }

    /// Shows what the world is now, and waits until the gateway has it.
    async fn show(&self, world: &World) {
        self.node.serve(world, world.time);
        let size = world.chain.size();
        eventually(&self.gateway, |g| g.status().size == size).await;
    }

    async fn decides(&self, device: &Device, jti: u8) -> &'static str {
        let token = device.presents(self.clock.seconds(), jti);
        let request = AuthRequest { presentation: Some(&token), ..AuthRequest::default() };
        let decision = self.gateway.authenticate(request).await;
        decision.map_or_else(|rejected| rejected.code(), |_| "verified")
    }
}

#[tokio::test]
async fn a_version_to_come_is_said_and_then_the_roll_goes_stale() {
    let (mut world, device, part) = governed();
    let site = Site::new(&world).await;
    site.node.know(&device.did, &part);
    site.show(&world).await;
    let next = Some(NextProtocol { version: 2, height: 5 });
    let announce = |seq| Action::UpgradeProtocol(UpgradeProtocol { seq, next });
    world.commit(world.admin_signs(announce(1)));
    site.show(&world).await;
    let said = site.gateway.status().upgrade.unwrap();
    assert!(said.words.contains("for height 5 and not confirmed"), "{}", said.words);
    world.time += DAY;
    site.clock.set(world.time);
    world.commit(world.admin_signs(announce(2)));
    site.show(&world).await;
    let said = site.gateway.status().upgrade.unwrap();
    let words = "the network goes to protocol 2 at height 5; this program knows up to 1";
    assert_eq!((said.version, said.height, said.needed), (2, 5, false));
    assert_eq!(said.words, words);
    assert!(site.gateway.metrics().contains("\nmuster_gateway_upgrade_height 5\n"));
    assert_eq!(site.decides(&device, 1).await, "verified");

    // The last block of this version.
    world.enrol(&[&Device::new(11)]);
    site.show(&world).await;
    let status = site.gateway.status();
    assert_eq!((status.height, status.stopped), (4, None));
    let needed = status.upgrade.unwrap();
    assert_eq!((needed.needed, needed.words), (true, format!("upgrade needed: {words}")));
    assert!(site.gateway.metrics().contains("\nmuster_gateway_upgrade_needed 1\n"));
    assert_eq!(site.decides(&device, 2).await, "verified");
    // A head of it that is signed later still counts: the network has not gone on.
    site.node.serve(&world, world.time + 2_000);
    let later = world.time + 2_000;
    eventually(&site.gateway, |g| g.status().checkpoint_time == later).await;

    // It goes on, and this program stops; until the roll is stale it decides.
    let note = later_note(&world, world.time + 3_000);
    site.node.change(|book| (book.note, book.time) = (note, world.time + 3_000));
    eventually(&site.gateway, |g| g.status().stopped.is_some()).await;
    let stopped = site.gateway.status().stopped.unwrap();
    assert!(stopped.starts_with("upgrade needed: "), "{stopped}");
    assert_eq!(site.decides(&device, 3).await, "verified");
    let age = site.gateway.status().max_roll_age_ms;
    site.clock.set(later + age + 1_000);
    assert_eq!(site.decides(&device, 4).await, "stale-roll");
    site.gateway.close().await;
}

/// What a second person approved ends a device at the gateway as anything else does.
#[tokio::test]
async fn an_approval_ends_a_device_at_the_gateway() {
    let (mut world, device, part) = governed();
    let site = Site::new(&world).await;
    site.node.know(&device.did, &part);
    site.show(&world).await;
    let target = Target::Device(device.as_ref(Some(&part)));
    let revoke = Action::Revoke(Revoke { target, reason: String::new() });
    let expires = Time(world.time + 3_600_000);
    let propose = Propose { action: Box::new(revoke), expires, reason: String::new() };
    let proposed = world.admin_signs(Action::Propose(propose));
    let proposal = proposed.verify().unwrap().proposal();
    world.commit(proposed);
    site.show(&world).await;
    assert_eq!(site.decides(&device, 1).await, "verified");
    let author = world.genesis.organisation_did();
    world.commit(world.sign(author, &key(SECOND), Action::Approve(Approve { proposal })));
    site.show(&world).await;
    assert_eq!(site.decides(&device, 2).await, "revoked");
    site.gateway.close().await;
}

/// The trust period is that of the rules as they are, not as they began.
#[tokio::test]
async fn rules_that_change_bind_the_follower() {
    let (mut world, ..) = governed();
    let site = Site::new(&world).await;
    let rules = Rules { trust_period_ms: DAY, ..Rules::DEFAULT };
    world.commit(world.admin_signs(Action::ChangeRules(ChangeRules { seq: 1, rules })));
    site.show(&world).await;
    site.gateway.close().await;
    site.clock.set(START + 3 * DAY);
    let again = config(site.dir.path(), &world, &[&site.node.url], &site.clock);
    let error = Gateway::start(again).await.err().unwrap();
    assert!(matches!(error, Error::TrustPeriod { size: 2, days: 2 }), "{error}");
}
