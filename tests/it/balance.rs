//! The factory adds up: pass, rework, scrap, a re-run, an enrolment that was cut off before its
//! scrap was revoked, a device scrapped after it was shipped, and a counter that ran on.

use crate::muster::{Muster, lines};
use serde_json::{Value, json};
use std::fs;

struct Line {
    muster: Muster,
    node: crate::muster::Server,
}

/// Name of a device, test result, counter before and after.
type Told<'a> = (&'a str, &'a str, u64, u64);

impl Line {
    fn new() -> Self {
        let muster = Muster::new();
        muster.json(&["init", "--label", "Factory"]);
        let node = muster.serve(&["serve"]);
        Self { muster, node }
    }

    /// Writes what the line says of devices; `-` before a name: it never had a key.
    fn file(&self, name: &str, told: &[Told<'_>]) {
        let mut text = String::new();
        for (device, result, before, after) in told {
            let mut row = self.row(device);
            for (member, value) in [
                ("lot", json!("L/1 ä")),
                ("order", json!("PO-1")),
                ("station", json!("S1")),
                ("result", json!(result)),
                ("counterBefore", json!(before)),
                ("counterAfter", json!(after)),
            ] {
                row[member] = value;
            }
            text.push_str(&format!("{row}\n"));
        }
        fs::write(self.muster.path(name), text).expect("written");
    }

    fn row(&self, device: &str) -> Value {
        if device.starts_with('-') {
            return json!({ "serial": device, "model": "m" });
        }
        let (key, row) = (format!("{device}.pem"), self.muster.path(&format!("{device}.json")));
        if !row.exists() {
            let line = self.muster.line(&["device", "new", &key, "--model", "m"]);
            let mut made: Value = serde_json::from_str(&line).expect("a row");
            made["serial"] = json!(device);
            fs::write(&row, made.to_string()).expect("written");
        }
        serde_json::from_slice(&fs::read(row).expect("the row")).expect("JSON")
    }

    /// Runs a command at the node: whether it exits with 0, and its object.
    fn run(&self, args: &[&str]) -> (bool, Value) {
        let output = self.muster.output(&[args, &["--node", &self.node.url, "--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{args:?}: {text}{words}");
        let object = serde_json::from_str(&text);
        (output.status.success(), object.unwrap_or_else(|e| panic!("{args:?}: {e}: {text}{words}")))
    }

    /// Whether the lot balances; made, shipped, rework, scrap, scrap that is valid, missing.
    fn report(&self) -> (bool, [i64; 6]) {
        let (good, object) = self.run(&["lot", "report", "L/1 ä", "--order", "PO-1"]);
        let lot = &object["lots"][0];
        assert_eq!(object["balanced"], good, "{object}");
        let number = |name: &str| lot[name].as_i64().expect("a number");
        let names = ["made", "shipped", "rework", "scrap", "scrap_valid", "missing"];
        (good, names.map(number))
    }
}

#[test]
fn made_is_shipped_and_rework_and_scrap() {
    let line = Line::new();
    let told: [Told<'_>; 7] = [
        ("d0", "pass", 0, 1),
        ("d1", "PASSED", 1, 2),
        ("d2", "ok", 2, 3),
        ("d3", "", 3, 4),
        ("d4", "rework", 4, 5),
        ("d5", "scrap", 5, 6),
        ("-d6", "Scrapped", 6, 7),
    ];
    line.file("day1.jsonl", &told);

    // A rehearsal leaves nothing behind.
    let (_, object) = line.run(&["enrol", "day1.jsonl", "--dry-run"]);
    assert_eq!((object["enrolled"].as_u64(), object["waiting"].as_u64()), (Some(5), Some(2)));
    assert_eq!(line.run(&["lot", "report"]).1["lots"], json!([]));

    // The importer's key may not revoke: scrap is enrolled and valid, as after a crash between.
    let at_node = ["--node", &line.node.url];
    line.muster
        .json(&[&["org", "key", "add", "importer.pem", "--can", "enrol"], &at_node[..]].concat());
    let (good, object) = line.run(&["enrol", "day1.jsonl", "--sign-with", "importer.pem"]);
    assert!(!good);
    assert_eq!(object["batches"].as_array().map(Vec::len), Some(2), "{object}");
    let left = object["scrap"]["left"].clone();
    assert_eq!((left.as_array().map(Vec::len), &object["scrap"]["revoked"]), (Some(1), &json!([])));
    assert_eq!(line.report(), (false, [7, 4, 1, 1, 1, 0]));

    // The command again, by a key that may: healed, by one operation.
    let before = line.muster.json(&["ledger", "status", "--node", &line.node.url]);
    let (_, object) = line.run(&["enrol", "day1.jsonl"]);
    assert_eq!((object["enrolled"].as_u64(), object["already"].as_u64()), (Some(0), Some(5)));
    assert_eq!(object["scrap"], json!({ "revoked": left, "left": [], "valid": 0 }));
    let after = line.muster.json(&["ledger", "status", "--node", &line.node.url]);
    assert_eq!(after["size"].as_u64(), before["size"].as_u64().map(|size| size + 1));
    assert_eq!(line.report(), (true, [7, 4, 1, 2, 0, 0]));
    let rows = lines(&line.muster.path("day1.jsonl.results.jsonl"));
    assert_eq!((&rows[4]["outcome"], &rows[4]["code"]), (&json!("waiting"), &json!("in-rework")));
    assert_eq!(rows[6]["code"], "scrap-without-key");

    // The repaired device comes again: one device more is shipped, none more was made.
    line.file("day2.jsonl", &[("d4", "pass", 7, 8)]);
    let (good, object) = line.run(&["enrol", "day2.jsonl"]);
    assert!(good, "{object}");
    assert_eq!(line.report(), (true, [7, 5, 0, 2, 0, 0]));
    // The first file again takes nothing back.
    line.run(&["enrol", "day1.jsonl"]);
    assert_eq!(line.report(), (true, [7, 5, 0, 2, 0, 0]));

    // Shipped, and scrapped afterwards: valid until somebody says so.
    line.file("day3.jsonl", &[("d3", "scrap", 8, 9)]);
    let (good, object) = line.run(&["enrol", "day3.jsonl"]);
    assert!(!good);
    assert_eq!(object["already"], 1);
    assert_eq!(line.report(), (false, [7, 4, 0, 2, 1, 0]));
    let words = line.muster.refused(&[&["lot", "scrap", "L/1 ä"], &at_node[..]].concat(), 1);
    assert!(words.contains("--yes"), "{words}");
    let (good, object) = line.run(&["lot", "scrap", "L/1 ä", "--yes"]);
    assert!(good);
    assert_eq!(object, json!({ "revoked": 1, "operations": 1 }));
    assert_eq!(line.run(&["lot", "scrap", "L/1 ä"]).1["revoked"], 0);
    assert_eq!(line.report(), (true, [7, 4, 0, 3, 0, 0]));
    // A pass does not bring it back.
    line.file("day4.jsonl", &[("d3", "pass", 9, 10)]);
    line.run(&["enrol", "day4.jsonl"]);
    let rows = lines(&line.muster.path("day4.jsonl.results.jsonl"));
    assert!(rows[0]["note"].as_str().is_some_and(|note| note.contains("scrap")), "{rows:?}");
    assert_eq!(line.report(), (true, [7, 4, 0, 3, 0, 0]));

    // The counter ran on by three that nobody tells of.
    line.file("day5.jsonl", &[("d7", "pass", 12, 13)]);
    line.run(&["enrol", "day5.jsonl"]);
    assert_eq!(line.report(), (false, [11, 5, 0, 3, 0, 3]));
    let (_, object) = line.run(&["lot", "report", "--list"]);
    let gap = &object["lots"][0]["counters"][0];
    assert_eq!(*gap, json!({ "station": "S1", "fault": "gap", "from": 9, "to": 12 }));
    let listed = object["devices"].as_array().expect("a list");
    assert_eq!(listed.iter().filter(|device| device["state"] == "scrap").count(), 3);
    let text = line.muster.output(&["lot", "report", "--node", &line.node.url]).stdout;
    eprintln!("{}", String::from_utf8_lossy(&text));
    assert_eq!(line.muster.json(&["ledger", "audit"])["clean"], true);
}

#[test]
fn re_runs_in_one_file_are_one_device() {
    let line = Line::new();
    let told: [Told<'_>; 5] = [
        ("a", "rework", 0, 1),
        ("b", "pass", 1, 2),
        ("a", "pass", 2, 3),
        ("b", "scrap", 3, 4),
        ("c", "FAIL", 4, 5),
    ];
    line.file("a.jsonl", &told);
    let (good, object) = line.run(&["enrol", "a.jsonl"]);
    assert!(!good);
    assert_eq!((object["enrolled"].as_u64(), object["already"].as_u64()), (Some(2), Some(2)));
    assert_eq!(object["scrap"]["revoked"].as_array().map(Vec::len), Some(1));
    let rows = lines(&line.muster.path("a.jsonl.results.jsonl"));
    assert!(rows[0]["note"].as_str().is_some_and(|note| note.contains("line 3")), "{rows:?}");
    assert_eq!((&rows[4]["code"], &rows[4]["field"]), (&json!("result"), &json!("result")));
    let (_, lot) = line.report();
    assert_eq!((lot[1], lot[3], lot[4]), (1, 1, 0));
}

#[test]
fn a_run_that_was_cut_off_before_its_scrap_was_revoked_is_gone_on_with() {
    let line = Line::new();
    line.file("a.jsonl", &[("a", "pass", 0, 1), ("b", "scrap", 1, 2)]);
    let at_node = ["--node", &line.node.url];
    let key = ["org", "key", "add", "importer.pem", "--can", "enrol"];
    line.muster.json(&[&key[..], &at_node[..]].concat());
    // Enrolled, not revoked, and no results: its journal stays.
    let cut = ["enrol", "a.jsonl", "--sign-with", "importer.pem", "--results", "home"];
    line.muster.refused(&[&cut[..], &at_node[..]].concat(), 1);
    assert!(line.muster.path("a.jsonl.journal").exists());
    assert_eq!(line.report(), (false, [2, 1, 0, 0, 1, 0]));
    let (good, object) = line.run(&["enrol", "a.jsonl", "--resume"]);
    assert!(good, "{object}");
    assert_eq!(object["scrap"]["revoked"].as_array().map(Vec::len), Some(1));
    assert_eq!(object["lots"][0]["balanced"], true);
    assert_eq!(line.report(), (true, [2, 1, 0, 1, 0, 0]));
}
