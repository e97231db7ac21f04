//! What an enrolment leaves behind, and the way back of its rows.

use crate::muster::{Muster, Server};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::{DevicePart, Receipt};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// An enrolment that may leave rows behind.
fn enrol(muster: &Muster, node: &Server, args: &[&str]) -> Value {
    let output = muster.output(&[&["enrol", "--json", "--node", &node.url], args].concat());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing but one object");
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn rows_are_mended_completed_and_enrolled() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let device = |name: &str| {
        let row = muster.line(&["device", "new", &format!("{name}.pem"), "--serial", name]);
        row.replacen('{', "{\"model\":\"pump\",", 1)
    };
    let rows: Vec<String> = ["P-1", "P-2", "P-3"].into_iter().map(device).collect();
    let key = |row: &str| {
        let row: Value = serde_json::from_str(row).expect("JSON");
        row["publicKey"].as_str().expect("a key").to_owned()
    };
    let spoilt = rows[1].replace("\"z", "\"Z");
    let waits = "{\"serial\":\"P-3\",\"model\":\"pump\"}";
    fs::write(muster.path("a.jsonl"), format!("{}\n{spoilt}\n{waits}\n", rows[0])).expect("it");

    let told = enrol(&muster, &node, &["a.jsonl", "--format", "jsonl", "--out", "receipts.jsonl"]);
    assert_eq!((&told["enrolled"], &told["refused"]), (&1.into(), &1.into()), "{told}");
    assert_eq!(told["rejects"], "a.jsonl.rejects.jsonl");
    assert_eq!(told["missing"], "a.jsonl.missing.csv");
    let rejects = muster.path("a.jsonl.rejects.jsonl");
    assert_eq!(fs::read_to_string(&rejects).expect("a file"), format!("{spoilt}\n"));
    let missing = muster.path("a.jsonl.missing.csv");
    for file in [&rejects, &missing, &muster.path("receipts.jsonl")] {
        let mode = fs::metadata(file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(receipts(&muster, &node), 1);

    // One mends the one row, the line fills in the other's key; both with the first file.
    fs::write(&rejects, format!("{}\n", rows[1])).expect("mended");
    let list = fs::read_to_string(&missing).expect("a file");
    let filled = list.replace("P-3,,", &format!("P-3,{},", key(&rows[2])));
    assert_ne!(list, filled);
    fs::write(&missing, &filled).expect("filled in");
    let both = ["a.jsonl", "a.jsonl.rejects.jsonl", "--keys", "a.jsonl.missing.csv"];
    let told = enrol(&muster, &node, &both);
    assert_eq!((&told["enrolled"], &told["already"]), (&2.into(), &1.into()), "{told}");
    assert_eq!(told["missing"], Value::Null);
    // The row is still spoilt in the first file; nothing that was read was written over.
    assert_eq!(told["rejects"], "a.jsonl.rejects.2.jsonl");
    assert_eq!(fs::read_to_string(&rejects).expect("a file"), format!("{}\n", rows[1]));
    assert_eq!(fs::read_to_string(&missing).expect("a file"), filled);

    // With nothing left to do, nothing of an earlier run is left.
    fs::write(muster.path("a.jsonl"), rows.join("\n")).expect("mended");
    let told = enrol(&muster, &node, &["a.jsonl"]);
    assert_eq!((&told["already"], &told["rejects"]), (&3.into(), &Value::Null), "{told}");
    assert!(!rejects.exists() && !missing.exists());

    // What it reads it does not write.
    let words = muster.refused(&["enrol", "a.jsonl", "--missing", "./a.jsonl"], 1);
    assert!(words.contains("--missing") && words.contains("name another"), "{words}");
}

/// Every line of the receipts verifies, with the batch's part of the node; how many there are.
fn receipts(muster: &Muster, node: &Server) -> usize {
    let text = fs::read_to_string(muster.path("receipts.jsonl")).expect("a file");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let did = line["did"].as_str().expect("text");
        muster.json(&["show", did, "--receipt", "one.receipt", "--node", &node.url]);
        let whole = fs::read(muster.path("one.receipt")).expect("a file");
        let whole = Receipt::from_cbor(&whole).expect("a receipt");
        let part = BASE64URL_NOPAD.decode(line["receipt"].as_str().expect("text").as_bytes());
        let device = DevicePart::from_cbor(&part.expect("base64url")).expect("a device part");
        let ours = Receipt { device, ..whole }.to_cbor();
        fs::write(muster.path("one.receipt"), ours).expect("a file");
        assert_eq!(muster.json(&["verify", "one.receipt"])["did"], did);
    }
    text.lines().count()
}

#[test]
fn a_log_has_a_line_for_each_tenth() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let row = |n| format!("{{\"serial\":\"P-{n:020}\",\"model\":\"pump\"}}\n");
    fs::write(muster.path("a.jsonl"), (0..25_000).map(row).collect::<String>()).expect("it");
    let output = muster.output(&["enrol", "a.jsonl", "--node", &node.url]);
    let words = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = words.lines().collect();
    assert!((2..=10).contains(&lines.len()), "{words}");
    assert!(lines.iter().all(|line| line.starts_with("reading ")), "{words}");
    let last = lines.last().expect("a line");
    assert!(last.contains("100 %: 25,000 rows") && last.contains("25,000 waiting"), "{words}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\nmissing a.jsonl.missing.csv") && !said.contains("rejects"), "{said}");
}

/// Whoever fills in a list while the command runs again loses nothing.
#[test]
fn a_list_that_is_being_filled_in_is_left_alone() {
    let muster = Muster::new();
    muster.json(&["init", "--label", "Test Devices"]);
    let node = muster.serve(&["serve"]);
    fs::write(muster.path("a.jsonl"), "{\"serial\":\"A\",\"model\":\"m\"}\n").expect("written");
    let enrol = ["enrol", "a.jsonl", "--json", "--node", &node.url];
    muster.output(&enrol);
    let list = muster.path("a.jsonl.missing.csv");
    let before = fs::read(&list).expect("a list");
    // Untouched, it is replaced.
    muster.output(&enrol);
    assert!(!muster.path("a.jsonl.missing.2.csv").exists());
    std::thread::sleep(std::time::Duration::from_millis(20));
    let filled = [&before[..], b"\n"].concat();
    fs::write(&list, &filled).expect("written");
    muster.output(&enrol);
    assert_eq!(fs::read(&list).expect("still there"), filled);
    assert!(muster.path("a.jsonl.missing.2.csv").exists());
    // What is no plain file is not replaced.
    let words = muster.refused(&["enrol", "a.jsonl", "--results", "home", "--node", &node.url], 1);
    assert!(words.contains("no file"), "{words}");
}
