//! A line that may be cut at any moment: client and node are killed, fifty times in all, and what
//! comes of it is what comes of a run that nobody disturbed.

use crate::muster::{Muster, lines};
use muster_identity::{Algorithm, SecretKey, sha256};
use muster_ledger::Genesis;
use muster_provisioning::sample::{Order, row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// Files, their rows (three requests each), and kills of each file.
const FILES: u32 = 5;
const ROWS: u32 = 9_000;
const KILLS: u32 = 10;

/// No run may take longer, whatever happens.
const PATIENCE: Duration = Duration::from_secs(120);

/// Random enough, and the same every time (`MUSTER_SEED` chooses another).
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = std::env::var("MUSTER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(20_261_125);
        println!("MUSTER_SEED={seed}");
        Self(seed)
    }

    /// SplitMix64.
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn manifest(genesis: &Genesis, file: u32) -> String {
    let (network, manufacturer) = (genesis.network(), genesis.organisation_did());
    let order = Order {
        network: &network,
        manufacturer: &manufacturer,
        challenge: "order-1",
        model: Some("pump"),
        lot: Some("lot 1"),
    };
    let part = |from: u32, to: u32| {
        let mut text = String::new();
        for n in from..to {
            let secret = zeroize::Zeroizing::new(sha256(&[b"cut", &n.to_be_bytes()]));
            let key = SecretKey::from_bytes(Algorithm::Ed25519, &secret).expect("a key");
            text += &row(&key, &format!("SN-{n:06}"), &order).expect("a row");
            text.push('\n');
        }
        text
    };
    let (from, to) = (file * ROWS, (file + 1) * ROWS);
    let middle = from + ROWS / 2;
    let halves = std::thread::scope(|scope| {
        let first = scope.spawn(|| part(from, middle));
        [part(middle, to), first.join().expect("made")]
    });
    let [second, first] = halves;
    first + &second
}

/// Height apart, which a run that was cut off need not share: what the ledger says in the end.
fn roots(muster: &Muster, node: &str) -> (Value, Value) {
    let status = muster.json(&["ledger", "status", "--node", node]);
    (status["size"].clone(), status["state_root"].clone())
}

/// What became of each serial number.
fn devices(muster: &Muster, file: &str) -> BTreeMap<String, String> {
    let rows = lines(&muster.path(&format!("{file}.results.jsonl")));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    rows.iter()
        .map(|row| {
            assert!(row["outcome"] == "enrolled" || row["outcome"] == "already", "{row}");
            (text(&row["serial"]), text(&row["did"]))
        })
        .collect()
}

#[test]
fn fifty_kills_change_nothing() {
    let (calm, rough) = (Muster::new(), Muster::new());
    // A grant for exactly these devices: a run that goes on must not count its own twice.
    let granted = (FILES * ROWS).to_string();
    calm.json(&["init", "--label", "Test Devices", "--devices", &granted]);
    // The same network twice.
    copy(&calm.home(), &rough.home());
    let genesis = fs::read(calm.path("home/genesis.cbor")).expect("a genesis");
    let genesis: Genesis = muster_identity::cbor::Decode::from_cbor(&genesis).expect("a genesis");
    let files: Vec<String> = (0..FILES).map(|n| format!("run-{n}.jsonl")).collect();
    for (n, file) in (0..).zip(&files) {
        let text = manifest(&genesis, n);
        fs::write(calm.path(file), &text).expect("written");
        fs::write(rough.path(file), &text).expect("written");
    }

    let node = calm.serve(&["serve"]);
    let started = Instant::now();
    let mut acknowledged = Vec::new();
    for file in &files {
        let told = calm.json(&["enrol", file, "--node", &node.url]);
        assert_eq!(told["enrolled"], ROWS);
        acknowledged.push(told["batches"][0].clone());
        revoke(&calm, &node.url, file);
    }
    let usual = started.elapsed() / FILES;
    let expected = roots(&calm, &node.url);

    let mut dice = Dice::new();
    // Always at the same address, since a client that goes on knows no other.
    let mut node = rough.serve(&["serve"]);
    let url = node.url.clone();
    let address = url.strip_prefix("http://").expect("plain HTTP").to_owned();
    let mut killed = [0_u32; 2];
    for (file, batch) in files.iter().zip(&acknowledged) {
        let begun = Instant::now();
        let enrol = ["enrol", file, "--resume", "--json", "--node", &url];
        let mut client = rough.spawn(&enrol);
        let mut kills = 0;
        let status: ExitStatus = loop {
            assert!(begun.elapsed() < PATIENCE, "{file} after {kills} kills");
            if kills == KILLS {
                break client.wait();
            }
            // At any moment of a run, and sometimes after its end.
            let pause = dice.throw() % (usual.as_micros() as u64).max(1);
            std::thread::sleep(Duration::from_micros(pause));
            kills += 1;
            if dice.throw().is_multiple_of(2) {
                killed[0] += 1;
                client.kill();
                client = rough.spawn(&enrol);
            } else {
                killed[1] += 1;
                node.kill();
                node = rough.serve_at(&address);
            }
        };
        let told = || fs::read_to_string(rough.path("client.log")).unwrap_or_default();
        assert!(status.success(), "{file}: {status}\n{}", told());
        assert_eq!(devices(&rough, file), devices(&calm, file), "{file}");
        let known = rough.json(&["show", batch.as_str().expect("an id"), "--node", &url]);
        assert_eq!(known["batch"]["count"], ROWS, "an acknowledged batch is lost: {known}");
        revoke(&rough, &url, file);
        assert!(!rough.path(&format!("{file}.journal")).exists(), "nothing is left to go on with");
    }
    println!("killed: client {} times, node {} times", killed[0], killed[1]);
    assert_eq!(roots(&rough, &url), expected);
    node.stop();
    assert_eq!(rough.json(&["ledger", "audit"])["clean"], true);
}

/// Revokes the first device of a file.
fn revoke(muster: &Muster, node: &str, file: &str) {
    let devices = devices(muster, file);
    let did = devices.values().next().expect("a device");
    muster.json(&["revoke", did, "--reason", "lost", "--node", node]);
    let view = muster.json(&["show", did, "--node", node]);
    assert_eq!(view["device"]["standing"], "revoked", "{view}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
