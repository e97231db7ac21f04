//! A ledger moves from files into a PostgreSQL server and back, by the commands that an operator has.

use crate::muster::{Muster, Server};
use crate::server::{self, PASSWORD};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// An operator's machine that may reach the database server.
fn machine() -> Muster {
    let mut muster = Muster::new();
    muster.set("PGPASSWORD", PASSWORD);
    muster
}

/// Enrols new devices, whose serial numbers are their names.
fn enrol(muster: &Muster, node: &Server, names: &[&str]) {
    let row = |name: &&str| {
        let key = format!("{name}.pem");
        muster.line(&["device", "new", &key, "--serial", name, "--model", "pump"]) + "\n"
    };
    let file = format!("{}.jsonl", names[0]);
    fs::write(muster.path(&file), names.iter().map(row).collect::<String>()).expect("written");
    let told = muster.json(&["enrol", &file, "--node", &node.url]);
    assert_eq!(told["enrolled"], names.len(), "{told}");
}

fn did(muster: &Muster, name: &str) -> String {
    muster.line(&["device", "did", &format!("{name}.pem")])
}

fn standing(muster: &Muster, node: &Server, did: &str) -> (Value, Value) {
    let told = muster.json(&["show", did, "--node", &node.url]);
    (told["device"]["standing"].clone(), told["device"]["serial"].clone())
}

/// The ledger as a node or a command tells of it: entries and both roots.
fn roots(told: &Value, entries: &str) -> [Value; 3] {
    assert!(told["log_root"].is_string() && told["state_root"].is_string(), "{told}");
    [told[entries].clone(), told["log_root"].clone(), told["state_root"].clone()]
}

fn ledger(muster: &Muster, node: &Server) -> [Value; 3] {
    roots(&muster.json(&["ledger", "status", "--node", &node.url]), "size")
}

/// Puts the files of a ledger away, as the page on stores says.
fn put_away(muster: &Muster) {
    for name in ["ledger.db", "directory.db"] {
        for suffix in ["", "-wal", "-shm"] {
            let file = muster.home().join(format!("node/{name}{suffix}"));
            if file.exists() {
                fs::rename(&file, muster.path(&format!("away-{name}{suffix}"))).expect("moved");
            }
        }
    }
}

/// A second machine with the organisation's keys, and nothing of what the node did.
fn second_machine(first: &Muster) -> Muster {
    let second = machine();
    let copied = Command::new("cp").arg("-a").args([first.home(), second.home()]).status();
    assert!(copied.expect("cp runs").success());
    let node = second.home().join("node");
    let key = fs::read(node.join("node.pem")).expect("the node's key");
    fs::remove_dir_all(&node).expect("removed");
    fs::create_dir(&node).expect("made");
    fs::write(node.join("node.pem"), key).expect("written");
    fs::set_permissions(node.join("node.pem"), Permissions::from_mode(0o600)).expect("its mode");
    second
}

/// Imports that must be refused, each with what is said.
fn refuses(muster: &Muster, import: &[&str], whole: &str) {
    let lines: Vec<&str> = whole.lines().collect();
    let without_the_end = lines[..lines.len() - 1].join("\n") + "\n";
    // One letter of the bytes of an entry.
    let at = whole.find("\"entries\":[\"").expect("entries") + "\"entries\":[\"".len() + 20;
    let letter = if &whole[at..=at] == "A" { "B" } else { "A" };
    let altered = format!("{}{letter}{}", &whole[..at], &whole[at + 1..]);
    for (damaged, words) in [
        (&whole[..whole.len() / 2], "cut off"),
        (&without_the_end, "cut off"),
        (&altered, "damaged on its way"),
        ("", "no ledger"),
    ] {
        fs::write(muster.path("damaged.jsonl"), damaged).expect("written");
        let said = muster.refused(&[&["ledger", "import", "damaged.jsonl"], import].concat(), 1);
        assert!(said.contains(words), "{words:?} in {said}");
    }
}

#[test]
fn a_ledger_moves_into_postgres_and_back() {
    let database = server::shared().new_database();
    let url = server::shared().address(&database);
    let store = ["--store", &*url];
    let files = machine();
    files.json(&["init", "--label", "Mover"]);
    let node = files.serve(&["serve"]);
    enrol(&files, &node, &["MOVE-1", "MOVE-2", "MOVE-3"]);
    let [one, two, three] = ["MOVE-1", "MOVE-2", "MOVE-3"].map(|name| did(&files, name));
    files.json(&["revoke", &two, "--node", &node.url]);
    let begun = ledger(&files, &node);
    // While the node runs, nobody else takes its folder.
    let said = files.refused(&["ledger", "export", "--whole", "early.jsonl"], 1);
    assert!(said.contains("another node runs in"), "{said}");
    assert!(!files.path("early.jsonl").exists());
    node.stop();

    let out = files.json(&["ledger", "export", "--whole", "out.jsonl"]);
    assert_eq!(roots(&out, "entries"), begun);
    assert_eq!(out["devices"], 3);
    let mode = fs::metadata(files.path("out.jsonl")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "serial numbers are in it");
    let said = files.refused(&["ledger", "export", "--whole", "out.jsonl"], 1);
    assert!(said.contains("cannot write out.jsonl"), "{said}");
    let whole = fs::read_to_string(files.path("out.jsonl")).expect("text");

    // Into the folder that has it; into a folder of files for a server; damaged.
    let said = files.refused(&["ledger", "import", "out.jsonl"], 1);
    assert!(said.contains("there is a ledger already"), "{said}");
    let import = [&["ledger", "import", "out.jsonl"], &store[..]].concat();
    let said = files.refused(&import, 1);
    assert!(said.contains("has a ledger, and --store names"), "{said}");
    put_away(&files);
    refuses(&files, &store, &whole);

    // Nothing of that stands in the way of the good one.
    let told = files.json(&import);
    assert_eq!((roots(&told, "entries"), &told["devices"]), (begun.clone(), &3.into()));
    let said = files.refused(&import, 1);
    assert!(said.contains("there is a ledger already"), "{said}");
    // Without --store the node begins no other ledger in the folder, and leaves nothing there that
    // would stand in the way of the next start.
    let said = files.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("signed a ledger of 2 entries") && said.contains("--store"), "{said}");
    assert!(!files.home().join("node/ledger.db").exists());
    let node = files.serve(&[&["serve"], &store[..]].concat());
    assert_eq!(ledger(&files, &node), begun);
    assert_eq!(standing(&files, &node, &one), ("active".into(), "MOVE-1".into()));
    assert_eq!(standing(&files, &node, &two), ("revoked".into(), "MOVE-2".into()));
    files.json(&["revoke", &three, "--node", &node.url]);
    enrol(&files, &node, &["MOVE-4"]);
    let moved = ledger(&files, &node);
    assert_eq!(moved[0], 4);
    node.stop();
    let audit = files.json(&[&["ledger", "audit"], &store[..]].concat());
    assert_eq!((&audit["clean"], &audit["devices"]), (&true.into(), &4.into()), "{audit}");
    assert_eq!(roots(&audit, "entries"), moved);

    // Back into files, on a machine that does not know what was signed last.
    let back = files.json(&[&["ledger", "export", "--whole", "back.jsonl"], &store[..]].concat());
    assert_eq!(roots(&back, "entries"), moved);
    let again = second_machine(&files);
    let file = files.path("back.jsonl");
    let file = file.to_str().expect("text");
    refuses(&again, &[], &fs::read_to_string(file).expect("text"));
    let told = again.json(&["ledger", "import", file]);
    assert_eq!((roots(&told, "entries"), &told["devices"]), (moved.clone(), &4.into()));
    let said = again.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("no signed-head"), "{said}");
    let head = format!("{}:{}", moved[0], moved[1].as_str().expect("text"));
    let node = again.serve(&["serve", "--restored", &head]);
    assert_eq!(ledger(&again, &node), moved);
    assert_eq!(standing(&again, &node, &three), ("revoked".into(), "MOVE-3".into()));
    again.json(&["revoke", &one, "--node", &node.url]);
    assert_eq!(standing(&again, &node, &one), ("revoked".into(), "MOVE-1".into()));
    node.stop();
    let audit = again.json(&["ledger", "audit"]);
    assert_eq!((&audit["clean"], &audit["entries"]), (&true.into(), &5.into()), "{audit}");
}
