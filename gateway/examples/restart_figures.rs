//! Figures of a gateway whose roll holds many changed devices: what its snapshot weighs, how long a
//! start takes, what it costs in memory, and how long a look-up takes.
//!
//! `cargo run --release -p muster-gateway --example restart_figures -- [CHANGED] [AFTER]`
//!
//! CHANGED devices are in the snapshot, AFTER more were revoked since and are replayed from the log.
//! The folder is made by one process and opened by another, so that the peak is that of a start.

#[path = "../../ledger/tests/it/snapshot/crafted.rs"]
mod crafted;
#[path = "../../verifier/tests/it/world.rs"]
mod world;

use crafted::Crafted;
use muster_api::Host;
use muster_gateway::{Gateway, GatewayConfig};
use muster_identity::sha256;
use muster_ledger::{Action, Alone, Revoke, Snapshot, StateKey, Target, Time, View, limits};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use world::{Device, World};

struct Fixed;

impl Host for Fixed {
    fn now(&self) -> Time {
        Time(world::START + 60_000)
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mark, dir, changed] = &arguments[..] {
        assert_eq!(mark, "--open");
        return open(Path::new(dir), changed.parse().expect("a number"));
    }
    let number = |at: usize, otherwise: u64| {
        arguments.get(at).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let (changed, after) = (number(0, 1_000_000), number(1, 0));
    let dir = tempfile::tempdir().expect("a folder");
    make(dir.path(), changed, after);
    let this = std::env::current_exe().expect("this program");
    for _ in 0..3 {
        let status = std::process::Command::new(&this)
            .arg("--open")
            .arg(dir.path())
            .arg(changed.to_string())
            .status();
        assert!(status.expect("a process").success());
    }
}

/// A network whose organisation may enrol as many as it likes.
fn network() -> World {
    let mut world = World::new();
    world.genesis.grant.count = 1 << 40;
    world
}

/// A folder as a gateway leaves it.
fn make(dir: &Path, changed: u64, after: u64) {
    let mut world = network();
    let crafted = Crafted::new(&world.genesis, &world::key(2), 20, changed);
    let bytes = crafted.bytes();
    println!("{changed} changed devices: snapshot of {} bytes, {:.2} each", bytes.len(), {
        bytes.len() as f64 / changed as f64
    });
    let (network, validators) = (world.genesis.network(), world.genesis.validators.clone());
    let begin = Instant::now();
    let checked = Snapshot::parse(&bytes).and_then(|s| s.check(&network, &validators, &Alone));
    let (chain, quorum) = checked.expect("a true snapshot");
    println!("checked and built by one thread in {:.2} s", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let again = chain.snapshot(&quorum).expect("its own checkpoint").expect("entries");
    println!("written in {:.2} s", begin.elapsed().as_secs_f64());
    assert!(again == bytes);

    world.chain = chain;
    world.time = crafted.head.time.0;
    if after > 0 {
        let devices: Vec<Device> = (0..after).map(|n| Device::new(1_000 + n)).collect();
        let (_, parts) = world.enrol(&devices.iter().collect::<Vec<_>>());
        let revoke = |(device, part): (&Device, _)| {
            let target = Target::Device(device.as_ref(Some(part)));
            world.admin_signs(Action::Revoke(Revoke { target, reason: "lost".into() }))
        };
        let operations: Vec<_> = devices.iter().zip(&parts).map(revoke).collect();
        // About 1,300 bytes each, so that a block stays within its bytes.
        for some in operations.chunks(limits::BLOCK_OPERATIONS / 2) {
            world.commit_all(some.to_vec());
        }
    }
    let size = 1u64 << 20;
    let mut header = [b"MUSTSNAP".as_slice(), &size.to_be_bytes(), &48u64.to_be_bytes()].concat();
    let check = sha256(&[&header]);
    header.extend(&check[..8]);
    let write = |name, bytes: &[u8]| std::fs::write(dir.join(name), bytes).expect("a file");
    write("snapshot", &[&header[..], &bytes].concat());
    let mut log = [b"MUSTOPS2".as_slice(), &network.0, &size.to_be_bytes()].concat();
    for entry in &world.entries {
        log.extend((entry.len() as u32).to_be_bytes());
        log.extend(entry);
    }
    write("operations.log", &log);
    write("checkpoint", world.note(world.time).as_bytes());
    println!("{} entries after the snapshot", world.entries.len());
}

#[tokio::main]
async fn open(dir: &Path, changed: u64) {
    let genesis = network().genesis;
    let nodes = vec!["http://127.0.0.1:9".into()];
    let config = GatewayConfig::new(dir, genesis, nodes, world::audience(), Arc::new(Fixed));
    let begin = Instant::now();
    let gateway = Gateway::start(config).await.expect("it starts");
    let took = begin.elapsed();
    let (cpu, peak) = (of_all_cores(), memory("VmHWM"));
    let roll = gateway.roll().expect("a roll");
    assert!(gateway.ready());
    let state = roll.chain().state();
    // Uniformly over all that changed, none twice in a row.
    let look_ups = changed.min(1_000_000);
    let keys: Vec<_> =
        (0..look_ups).map(|n| StateKey::Device(crafted::did(n * 7_919 % changed))).collect();
    let begin = on_core();
    let found = keys.iter().filter(|key| state.record(key).is_some()).count() as u64;
    let each = (on_core() - begin) / look_ups.max(1);
    assert_eq!(found, look_ups);
    println!(
        "started in {:.3} s ({cpu:.2} s of all cores) with {} records; peak {peak} MiB, then {} MiB; \
         a look-up {each} ns",
        took.as_secs_f64(),
        state.len(),
        memory("VmRSS"),
    );
    gateway.close().await;
}

/// Nanoseconds that this thread spent on a core.
fn on_core() -> u64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    spent.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Seconds that this process spent on all cores.
fn of_all_cores() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after.split(' ').skip(11).take(2).filter_map(|n| n.parse::<u64>().ok());
    ticks.sum::<u64>() as f64 / 100.0
}

/// A line of `/proc/self/status` in MiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}
