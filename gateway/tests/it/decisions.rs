//! Evidence from the header or a node, and the memory across restarts.

use crate::node::{Clock, Node, config, eventually};
use crate::world::{Device, World};
use data_encoding::BASE64URL_NOPAD;
use muster_gateway::{AuthRequest, Gateway, GatewayConfig, Rejected, Verified};
use muster_identity::cbor::Encode as _;
use muster_ledger::{DevicePart, Target};
use std::sync::Arc;

pub(crate) struct Site {
    pub(crate) _dir: tempfile::TempDir,
    pub(crate) clock: Arc<Clock>,
    pub(crate) node: Node,
    pub(crate) world: World,
    pub(crate) devices: Vec<Device>,
    pub(crate) parts: Vec<DevicePart>,
    pub(crate) gateway: Gateway,
    pub(crate) config: GatewayConfig,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let mut world = World::new();
        let devices: Vec<_> = (10..14).map(Device::new).collect();
        let (_, parts) = world.enrol(&devices.iter().collect::<Vec<_>>());
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
        let node = Node::start(&world).await;
        let config = config(dir.path(), &world, &[&node.url], &clock);
        let gateway = Gateway::start(config.clone()).await.unwrap();
        eventually(&gateway, Gateway::ready).await;
        Self { _dir: dir, clock, node, world, devices, parts, gateway, config }
    }

    pub(crate) fn token(&self, who: usize, jti: u8) -> String {
        self.devices[who].presents(self.clock.seconds(), jti)
    }

    pub(crate) fn authorization(&self, who: usize, jti: u8) -> String {
        format!("Muster {}", self.token(who, jti))
    }

    pub(crate) fn receipt(&self, who: usize) -> String {
        BASE64URL_NOPAD.encode(&self.parts[who].to_cbor())
    }

    async fn ask(&self, token: &str, receipt: Option<&str>) -> Result<Verified, Rejected> {
        let request = AuthRequest::from_authorization(token)?;
        self.gateway.authenticate(AuthRequest { receipt, ..request }).await
    }

    async fn code(&self, token: &str, receipt: Option<&str>) -> &'static str {
        self.ask(token, receipt).await.map_or_else(|rejected| rejected.code(), |_| "verified")
    }

    pub(crate) fn asked(&self) -> u64 {
        self.node.book.lock().unwrap().part_requests
    }
}

#[tokio::test]
async fn the_device_part_comes_along_and_is_remembered() {
    let site = Site::new().await;
    let receipt = site.receipt(0);
    assert!(receipt.len() <= muster_gateway::limits::RECEIPT_CHARACTERS);
    let verified = site.ask(&site.authorization(0, 1), Some(&receipt)).await.unwrap();
    assert_eq!(*verified.did(), site.devices[0].did);
    assert_eq!(site.code(&site.authorization(0, 2), None).await, "verified");
    // A bad part beside evidence at hand is not even read.
    assert_eq!(site.code(&site.authorization(0, 3), Some("!")).await, "verified");
    assert_eq!(site.asked(), 0);
    assert_eq!(site.gateway.status().evidence, 1);
    assert!(site.gateway.still(&verified).is_ok());
}

#[tokio::test]
async fn a_false_device_part_is_refused() {
    let site = Site::new().await;
    let mut part = site.parts[0].clone();
    part.leaf[30] ^= 1;
    let altered = BASE64URL_NOPAD.encode(&part.to_cbor());
    let foreign = site.receipt(1);
    let long = "A".repeat(muster_gateway::limits::RECEIPT_CHARACTERS + 1);
    for (i, bad) in ["", "!", "AAAA", &altered, &foreign, &long].into_iter().enumerate() {
        let token = site.authorization(0, i as u8);
        assert_eq!(site.code(&token, Some(bad)).await, "bad-device-part", "{bad}");
    }
    assert_eq!(site.asked(), 0);
}

#[tokio::test]
async fn a_node_is_asked_once_and_checked() {
    let site = Site::new().await;
    site.node.know(&site.devices[0].did, &site.parts[0]);
    for jti in 1..=3 {
        assert_eq!(site.code(&site.authorization(0, jti), None).await, "verified");
    }
    assert_eq!(site.asked(), 1);
    // A part of another device, and none at all.
    site.node.know(&site.devices[1].did, &site.parts[2]);
    assert_eq!(site.code(&site.authorization(1, 1), None).await, "unknown-device");
    let asked = site.asked();
    for jti in 1..=3 {
        assert_eq!(site.code(&site.authorization(3, jti), None).await, "unknown-device");
    }
    assert_eq!(site.asked(), asked + 1);
    // Not found is no verdict on what the device shows.
    assert_eq!(site.code(&site.authorization(3, 4), Some(&site.receipt(3))).await, "verified");
}

#[tokio::test]
async fn what_the_state_knows_needs_no_evidence() {
    let mut site = Site::new().await;
    let new = crate::world::key(50);
    site.world.rotate(&site.devices[0], &site.parts[0], &new);
    site.node.serve(&site.world, site.world.time);
    eventually(&site.gateway, |g| g.status().size == 2).await;
    let token = site.devices[0].presents_with(&new, site.clock.seconds(), 1);
    assert_eq!(site.code(&format!("Muster {token}"), None).await, "verified");
    assert_eq!(site.code(&site.authorization(0, 2), None).await, "wrong-key");
    assert_eq!(site.asked(), 0);
}

#[tokio::test]
async fn a_session_ends_when_the_roll_says_so() {
    let mut site = Site::new().await;
    let verified = site.ask(&site.authorization(0, 1), Some(&site.receipt(0))).await.unwrap();
    site.world.revoke(Target::Device(site.devices[0].as_ref(Some(&site.parts[0]))));
    site.node.serve(&site.world, site.world.time);
    eventually(&site.gateway, |g| g.status().size == 2).await;
    assert_eq!(site.gateway.still(&verified).unwrap_err().code(), "revoked");
    assert_eq!(site.code(&site.authorization(0, 2), None).await, "revoked");
}

#[tokio::test]
async fn a_restart_revives_no_presentation() {
    let mut site = Site::new().await;
    let receipt = site.receipt(0);
    // This device's clock runs ahead of ours.
    let ahead = format!("Muster {}", site.devices[0].presents(site.clock.seconds() + 20, 1));
    let usual = site.authorization(1, 2);
    assert_eq!(site.code(&usual, Some(&site.receipt(1))).await, "verified");
    assert_eq!(site.code(&ahead, Some(&receipt)).await, "verified");
    assert_eq!(site.code(&ahead, Some(&receipt)).await, "replayed");
    let killed = std::fs::read_to_string(site.config.dir.join("watermark")).unwrap();

    site.gateway.close().await;
    site.gateway = Gateway::start(site.config.clone()).await.unwrap();
    assert_eq!(site.code(&ahead, Some(&receipt)).await, "replayed");
    assert_eq!(site.code(&usual, Some(&site.receipt(1))).await, "replayed");
    site.clock.set(site.clock.ms() + 21_000);
    let next = site.authorization(0, 3);
    assert_eq!(site.code(&next, Some(&receipt)).await, "verified");

    // Killed instead: the mark on disk was ahead of whatever was accepted.
    site.gateway.close().await;
    std::fs::write(site.config.dir.join("watermark"), killed).unwrap();
    site.gateway = Gateway::start(site.config.clone()).await.unwrap();
    assert_eq!(site.code(&next, Some(&receipt)).await, "replayed");
    site.clock.set(site.clock.ms() + 6_000);
    assert_eq!(site.code(&site.authorization(0, 4), Some(&receipt)).await, "verified");
    site.gateway.close().await;
}

#[tokio::test]
async fn without_a_verified_head_it_says_so() {
    let site = Site::new().await;
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &site.world, &[crate::node::NOBODY], &site.clock);
    let gateway = Gateway::start(config).await.unwrap();
    let token = site.authorization(0, 1);
    let request = AuthRequest::from_authorization(&token).unwrap();
    assert_eq!(gateway.authenticate(request).await.unwrap_err().code(), "not-ready");
    assert!(!gateway.ready());
    gateway.close().await;
}

#[tokio::test]
async fn mqtt_credentials_name_the_device_twice_and_must_agree() {
    let site = Site::new().await;
    let (token, part) = (site.token(0, 1), site.receipt(0));
    let password = format!("{token}~{part}");
    let (user, other) = (site.devices[0].did.to_string(), "did:muster:zQm");
    for (user, password, verdict) in [
        (other, password.as_str(), "other-device"),
        (user.as_str(), "", "malformed"),
        (&user, "~", "malformed"),
        (&user, &password, "verified"),
        (&user, &password, "replayed"),
        (&user, &site.token(0, 2), "verified"),
    ] {
        let request = AuthRequest::from_mqtt(user, password);
        let answer = site.gateway.authenticate(request).await;
        assert_eq!(answer.map_or_else(|r| r.code(), |_| "verified"), verdict, "{password}");
    }
}
