//! Gateways acknowledge: a revocation is followed until every gateway refuses, with the real
//! node, the real gateways and the commands as a user would type them.

use crate::muster::{Muster, Server, get};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// Longest wait for anything here, on a machine with other work to do.
const PATIENCE: Duration = Duration::from_secs(60);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn gateway(muster: &Muster, node: &Server, n: u8) -> Server {
    let (key, dir) = (format!("g{n}.pem"), format!("g{n}"));
    muster.serve(&[
        "gateway",
        "--audience",
        "pumps.example",
        "--node",
        &node.url,
        "--key",
        &key,
        "--dir",
        &dir,
        "--report-devices",
    ])
}

#[test]
fn a_revocation_is_followed_until_every_gateway_refuses() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let at = |args: &[&str]| {
        let node = ["--node", &node.url];
        muster.json(&[args, &node[..]].concat())
    };
    let mut rows = String::new();
    for n in 1..=3 {
        let (file, serial) = (format!("d{n}.pem"), format!("P-{n}"));
        let row = muster.line(&["device", "new", &file, "--serial", &serial, "--model", "pump"]);
        rows.push_str(&format!("{row}\n"));
    }
    fs::write(muster.path("mine.jsonl"), rows).expect("the manifest is written");
    at(&["enrol", "mine.jsonl"]);
    let did = |n: u8| muster.line(&["device", "did", &format!("d{n}.pem")]);

    // Nobody is registered: a revocation is done, and there is nobody to wait for.
    let told = at(&["revoke", &did(1), "--watch"]);
    assert_eq!(told["coverage"]["registered"], 0);
    assert_eq!(at(&["show", &did(1)])["coverage"], Value::Null);

    // The first gateway runs before anybody registers it, and says what is missing.
    let first = gateway(&muster, &node, 1);
    let status = format!("{}/v1/status", first.url);
    until("the gateway is told that it is not registered", || {
        get(&status, &[]).1.contains("[not-registered]")
    });
    for n in 1..=3 {
        let (name, key, site) = (format!("store-{n}"), format!("g{n}.pem"), format!("Quai {n}"));
        let view = at(&["gateways", "add", &name, &key, "--site", &site]);
        assert_eq!((&view["gateway"], &view["state"]), (&name.into(), &"never".into()));
    }
    let (second, third) = (gateway(&muster, &node, 2), gateway(&muster, &node, 3));
    // A fourth one is registered by its public key alone, and never runs.
    let public = at(&["gateways"])["gateways"][0]["key"].clone();
    let public = public.as_str().expect("a Multikey");
    let taken = [&["gateways", "add", "store-4", public], &["--node", &node.url][..]].concat();
    assert!(muster.refused(&taken, 1).contains("key-used"));
    at(&["gateways", "add", "store-4", "g4.pem"]);
    let unnamed = muster.refused(&["gateways", "add", "store 5", public], 1);
    assert!(unnamed.contains("a gateway's name must be 1 to 64 letters"), "{unnamed}");
    until("three gateways acknowledge", || {
        let view = at(&["gateways"]);
        view["acknowledging"] == 3 && view["registered"] == 4
    });

    // A device passes; its node hears where.
    let door = format!("{}/v1/authenticate", second.url);
    let token = muster.line(&["device", "present", "d2.pem", "--audience", "pumps.example"]);
    let (status, text) = get(&door, &[("authorization", &format!("Muster {token}"))]);
    assert_eq!(status, 200, "{text}");

    // Revoked, and followed until all refuse that were heard of.
    let told = at(&["revoke", &did(2), "--watch", "--within", "60"]);
    let coverage = &told["coverage"];
    assert_eq!(coverage["entry"], told["entry"]);
    let counts = ["registered", "acknowledged", "waiting", "silent"].map(|c| &coverage[c]);
    assert_eq!(counts, [4, 3, 0, 1], "{coverage:#}");
    let (half, most) = (coverage["p50_ms"].as_u64(), coverage["p99_ms"].as_u64());
    assert!(half <= most && most < Some(60_000), "{coverage:#}");
    for gateway in coverage["gateways"].as_array().expect("a list") {
        let runs = gateway["gateway"] != "store-4";
        assert_eq!(gateway["refuses"], runs, "{gateway:#}");
        assert_eq!(gateway["delay_ms"].is_u64(), runs, "{gateway:#}");
    }
    let token = muster.line(&["device", "present", "d2.pem", "--audience", "pumps.example"]);
    let (status, text) = get(&door, &[("authorization", &format!("Muster {token}"))]);
    assert!(status == 403 && text.contains("revoked"), "what was said is so: {text}");

    // One is cut off: it is named, and the command says that not all have it.
    third.pause();
    let hold = ["hold", &did(3), "--watch", "--within", "2", "--json", "--node", &node.url];
    let output = muster.output(&hold);
    assert_eq!(output.status.code(), Some(1), "not all refuse in time");
    let told: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(
        (&told["coverage"]["acknowledged"], &told["coverage"]["waiting"]),
        (&2.into(), &1.into())
    );
    assert_eq!(told["coverage"]["gateways"][2]["refuses"], false);
    let words = muster.line(&["show", &did(3), "--node", &node.url]);
    assert!(words.contains("gateways  2 of 4 gateways refuse"), "{words}");
    assert!(words.contains("1 not yet; 1 silent, since hold at entry"), "{words}");
    let words = muster.line(&["coverage", &told["entry"].to_string(), "--node", &node.url]);
    assert!(
        words.lines().any(|l| l.starts_with("store-3") && l.ends_with("not yet  (Quai 3)")),
        "{words}"
    );
    third.resume();
    let later = at(&["coverage", &did(3), "--watch", "--within", "60"]);
    assert_eq!((&later["acknowledged"], &later["waiting"]), (&3.into(), &0.into()));
    assert!(later["p99_ms"].as_u64() >= Some(2_000), "it was cut off for so long: {later:#}");

    // Over a restart of the node, and without a gateway that was taken away.
    at(&["gateways", "remove", "store-3"]);
    let address = node.url.trim_start_matches("http://").to_owned();
    let url = node.url.clone();
    node.stop();
    let node = muster.serve_at(&address);
    let view = muster.json(&["coverage", &did(3), "--node", &url]);
    assert_eq!((&view["registered"], &view["acknowledged"]), (&3.into(), &2.into()));
    let metrics = node.metrics();
    assert!(metrics.contains("\nmuster_gateways_registered 3\n"), "{metrics}");
    drop((first, second, third, node));
}
