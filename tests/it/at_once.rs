//! Several lines enrol at once, some of their rows the same.

use crate::muster::{Muster, lines};
use std::collections::BTreeMap;
use std::fs;

#[test]
fn lines_at_once_do_not_disturb_each_other() {
    let muster = Muster::new();
    muster.json(&["init", "--label", "Test Devices"]);
    let node = muster.serve(&["serve"]);
    let row = |n: u32| {
        let (key, serial) = (format!("{n}.pem"), format!("SN-{n}"));
        muster.line(&["device", "new", &key, "--serial", &serial, "--model", "pump"]) + "\n"
    };
    let shared: String = (0..3).map(row).collect();
    let files = ["a.jsonl", "b.jsonl", "c.jsonl"];
    for (n, file) in (1..).zip(files) {
        let own: String = (n * 10..n * 10 + 5).map(row).collect();
        fs::write(muster.path(file), own + &shared).expect("written");
    }
    // Twice: what one line held up while it was at work is answered by the second time.
    for _ in 0..2 {
        let clients =
            files.map(|file| muster.spawn(&["enrol", file, "--json", "--node", &node.url]));
        for client in clients {
            client.wait();
        }
    }
    let mut known = BTreeMap::new();
    for file in files {
        let rows = lines(&muster.path(&format!("{file}.results.jsonl")));
        assert_eq!(rows.len(), 8);
        for row in rows {
            assert_eq!(row["outcome"], "already", "{row}");
            known.insert(row["serial"].to_string(), row["did"].to_string());
        }
    }
    assert_eq!(known.len(), 18);
    let status = muster.json(&["ledger", "status", "--node", &node.url]);
    assert_eq!(status["devices"], 18, "{status}");
    node.stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}
