//! Folders of each format that was ever released, packed in `tests/fixtures`: this code opens them
//! all, decides by what they hold, and leaves a newer one alone.
//!
//! When the format changes, write the new ones beside the others (`docs/formats/gateway.md`):
//! `MUSTER_WRITE_FIXTURE=gateway-2 cargo test -p muster-gateway --test it fixtures`

use crate::crafted::Crafted;
use crate::decisions::Site;
use crate::node::{Clock, NOBODY, Node, config, eventually};
use crate::world::{Device, World, key};
use muster_gateway::{AuthRequest, Error, Gateway, GatewayConfig};
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::{Alone, Genesis, Snapshot, Target, View as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Entries under the snapshot that one kind of folder begins with.
const SIZE: u64 = 1 << 13;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn tar(args: &[&str], file: &Path, dir: &Path) {
    let packed = Command::new("tar").args(args).arg(file).arg("-C").arg(dir).arg(".").status();
    assert!(packed.expect("tar runs").success());
}

fn pack(name: &str, world: &World, dir: &Path) {
    std::fs::remove_file(dir.join("lock")).unwrap();
    std::fs::write(dir.join("genesis.cbor"), world.genesis.to_cbor()).unwrap();
    let deterministic = ["--sort=name", "--owner=0", "--group=0", "--mtime=@0"];
    let file = fixtures().join(format!("{name}.tar.gz"));
    tar(&[&deterministic[..], &["-czf"]].concat(), &file, dir);
}

/// A gateway that followed every entry, learned a device, and knows that another was revoked.
async fn write_followed(name: &str) {
    let mut site = Site::new().await;
    site.pass(0, 1).await;
    let target = Target::Device(site.devices[1].as_ref(Some(&site.parts[1])));
    site.world.revoke(target);
    site.node.serve(&site.world, site.world.time);
    let size = site.world.chain.size();
    eventually(&site.gateway, |g| g.status().size == size).await;
    site.gateway.close().await;
    pack(&format!("{name}-followed"), &site.world, site._dir.path());
}

/// A gateway that began with a snapshot and followed what came then.
async fn write_begun(name: &str) {
    let mut world = World::new();
    let crafted = Crafted::new(&world.genesis, &key(2), SIZE.ilog2(), 40);
    let bytes = crafted.bytes();
    let snapshot = Snapshot::parse(&bytes).unwrap();
    let checked = snapshot.check(&world.genesis.network(), &world.genesis.validators, &Alone);
    world.chain = checked.unwrap().0;
    world.time = crafted.head.time.0;
    let node = Node::start(&world).await;
    node.change(|book| {
        (book.base, book.snapshot, book.tree) = (SIZE, Some(bytes), crafted.tree.clone());
    });
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let gateway = Gateway::start(config(dir.path(), &world, &[&node.url], &clock)).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    let device = Device::new(10);
    let (_, parts) = world.enrol(&[&device]);
    world.revoke(Target::Device(device.as_ref(Some(&parts[0]))));
    node.serve(&world, world.time);
    eventually(&gateway, |g| g.status().size == SIZE + 2).await;
    gateway.close().await;
    pack(&format!("{name}-begun"), &world, dir.path());
}

/// The folder of a fixture, and what opens it.
fn unpacked(file: &Path) -> (tempfile::TempDir, std::sync::Arc<Clock>, GatewayConfig) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    tar(&["-xzf"], file, dir.path());
    let mut config = config(dir.path(), &World::new(), &[NOBODY], &clock);
    let genesis = std::fs::read(dir.path().join("genesis.cbor")).unwrap();
    config.genesis = Genesis::from_cbor(&genesis).unwrap();
    clock.set(clock.ms() + 60_000);
    (dir, clock, config)
}

async fn code(gateway: &Gateway, device: &Device, clock: &Clock) -> &'static str {
    let token = format!("Muster {}", device.presents(clock.seconds(), 7));
    let request = AuthRequest::from_authorization(&token).unwrap();
    gateway.authenticate(request).await.map_or_else(|refused| refused.code(), |_| "verified")
}

#[tokio::test]
async fn every_format_that_was_released_is_read() {
    if let Ok(name) = std::env::var("MUSTER_WRITE_FIXTURE") {
        write_followed(&name).await;
        write_begun(&name).await;
    }
    let (mut followed, mut begun, mut ours) = (0, 0, 0);
    for file in std::fs::read_dir(fixtures()).unwrap() {
        let file = file.unwrap().path();
        let (dir, clock, config) = unpacked(&file);
        let gateway = Gateway::start(config).await;
        let gateway = gateway.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(gateway.ready(), "{}", file.display());
        if file.to_string_lossy().ends_with("-followed.tar.gz") {
            assert_eq!(gateway.status().size, 2);
            assert_eq!(code(&gateway, &Device::new(10), &clock).await, "verified", "learned");
            assert_eq!(code(&gateway, &Device::new(11), &clock).await, "revoked");
            assert_eq!(code(&gateway, &Device::new(12), &clock).await, "unknown-device");
            followed += 1;
        } else {
            assert_eq!(gateway.status().size, SIZE + 2);
            assert_eq!(code(&gateway, &Device::new(10), &clock).await, "revoked");
            let roll = gateway.roll().unwrap();
            let known = roll.chain().state().device(&crate::crafted::did(7)).unwrap();
            assert!(known.is_some(), "of the snapshot");
            begun += 1;
        }
        gateway.close().await;
        let upgraded = std::fs::read_dir(dir.path())
            .unwrap()
            .any(|file| file.unwrap().file_name().to_string_lossy().starts_with("backup-"));
        ours += u32::from(!upgraded);
    }
    assert!(followed >= 1 && begun >= 1);
    assert_eq!(ours, 2, "two fixtures are of the present format; see docs/formats/gateway.md");
}

#[tokio::test]
async fn a_newer_folder_is_refused_with_a_clear_word() {
    for file in std::fs::read_dir(fixtures()).unwrap() {
        let (dir, _, config) = unpacked(&file.unwrap().path());
        std::fs::write(dir.path().join("FORMAT"), "muster gateway 1000\n").unwrap();
        let log = std::fs::read(dir.path().join("operations.log")).unwrap();
        let refused = Gateway::start(config).await.err().unwrap();
        assert!(matches!(refused, Error::OtherFormat { found: 1000, .. }), "{refused}");
        let words = refused.to_string();
        assert!(words.contains("is of format 1000") && words.contains("newer one"), "{words}");
        assert_eq!(std::fs::read(dir.path().join("operations.log")).unwrap(), log);
    }
}
