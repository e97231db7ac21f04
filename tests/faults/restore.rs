//! Backup, changes, disk lost, restore: gateways go on, what was revoked stays so.

use crate::muster::{Muster, Server, get};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

const AUDIENCE: &str = "pumps.example";

fn manifest(muster: &Muster, file: &str, devices: &[&str]) {
    let row = |name: &&str| {
        let key = format!("{name}.pem");
        muster.line(&["device", "new", &key, "--serial", name, "--model", "pump"]) + "\n"
    };
    fs::write(muster.path(file), devices.iter().map(row).collect::<String>()).expect("written");
}

/// Knocks at the gateway until it answers so.
fn expect(muster: &Muster, gateway: &Server, device: &str, code: u16, reason: &str) {
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let key = format!("{device}.pem");
        let token = muster.line(&["device", "present", &key, "--audience", AUDIENCE]);
        let door = format!("{}/v1/authenticate", gateway.url);
        let (status, text) = get(&door, &[("authorization", &format!("Muster {token}"))]);
        if status == code && text.contains(reason) {
            return;
        }
        assert!(Instant::now() < until, "{device}: {status} {text}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn did(muster: &Muster, device: &str) -> String {
    muster.line(&["device", "did", &format!("{device}.pem")])
}

/// The disk goes; the node's key is kept elsewhere.
fn lose(muster: &Muster) {
    let node = muster.home().join("node");
    let key = fs::read(node.join("node.pem")).expect("the node's key");
    fs::remove_dir_all(&node).expect("removed");
    fs::create_dir(&node).expect("a new disk");
    fs::write(node.join("node.pem"), key).expect("the key is put back");
}

#[test]
fn a_lost_disk_comes_back_with_what_the_gateway_has() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let url = node.url.clone();
    let at = ["--node", &*url];
    manifest(&muster, "a.jsonl", &["A-1", "A-2"]);
    muster.json(&[&["enrol", "a.jsonl"], &at[..]].concat());
    let gateway = muster.serve(&["gateway", "--audience", AUDIENCE, "--node", &url]);
    expect(&muster, &gateway, "A-1", 200, "");

    let backup = muster.json(&["backup", "saved"]);
    assert_eq!(backup["size"], 1);
    let mut names: Vec<_> = fs::read_dir(muster.path("saved"))
        .expect("the backup")
        .map(|file| file.expect("a file").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert_eq!(names, ["backup.json", "directory.db", "genesis.cbor", "ledger.db"]);
    let words = muster.refused(&["backup", "saved"], 1);
    assert!(words.contains("never goes over another"), "{words}");

    // Everything after the backup: a device revoked, a batch enrolled.
    muster.json(&[&["revoke", &did(&muster, "A-1")], &at[..]].concat());
    manifest(&muster, "b.jsonl", &["B-1", "B-2", "B-3"]);
    muster.json(&[&["enrol", "b.jsonl"], &at[..]].concat());
    expect(&muster, &gateway, "A-1", 403, "revoked");
    expect(&muster, &gateway, "B-1", 200, "");
    let before = muster.json(&[&["ledger", "status"], &at[..]].concat());
    let address = url.strip_prefix("http://").expect("plain HTTP").to_owned();
    node.kill();
    lose(&muster);

    // The ledger is not begun anew in what looks like a new folder.
    let words = muster.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(words.contains("holds no ledger") && words.contains("muster restore"), "{words}");
    let words = muster.refused(&["restore", "saved"], 1);
    assert!(words.contains("--gateway URL") && words.contains("--head 1:"), "{words}");
    // A gateway that does not answer may be the one that knows most.
    let silent = ["restore", "saved", "--gateway", &gateway.url, "--gateway", "http://127.0.0.1:9"];
    assert!(muster.refused(&silent, 1).contains("may hold the highest head"));
    // What stayed of the lost ledger's index goes.
    let index = ["index.db", "index.db-wal"].map(|name| muster.home().join("node").join(name));
    for file in &index {
        fs::write(file, "of another ledger").expect("written");
    }
    let restored = muster.json(&["restore", "saved", "--gateway", &gateway.url, "--audit"]);
    assert!(index.iter().all(|file| !file.exists()));
    assert_eq!((&restored["taken"], &restored["size"]), (&2.into(), &3.into()));
    assert_eq!(restored["log_root"], before["log_root"]);
    assert_eq!(restored["state_root"], before["state_root"]);
    assert_eq!(restored["lost"][0]["devices"], 3);
    let words = muster.refused(&["restore", "saved", "--gateway", &gateway.url], 1);
    assert!(words.contains("never goes over a ledger"), "{words}");

    // The node goes on where it was, and the gateway with it.
    let node = muster.serve_at(&address);
    expect(&muster, &gateway, "A-1", 403, "revoked");
    expect(&muster, &gateway, "B-1", 200, "");
    muster.json(&[&["revoke", &did(&muster, "A-2")], &at[..]].concat());
    expect(&muster, &gateway, "A-2", 403, "revoked");
    let status: Value = muster.json(&[&["ledger", "status"], &at[..]].concat());
    assert_eq!((&status["size"], &status["devices"]), (&4.into(), &5.into()));

    // What was lost, and how it comes back.
    muster.refused(&[&["show", &did(&muster, "B-1")], &at[..]].concat(), 1);
    manifest(&muster, "c.jsonl", &["C-1"]);
    let enrol = |file| [&["enrol", file], &at[..]].concat();
    let words = muster.refused(&enrol("c.jsonl"), 1);
    assert!(words.contains("were lost"), "{words}");
    assert!(muster.output(&enrol("b.jsonl")).status.success());
    let shown = muster.json(&[&["show", &did(&muster, "B-1")], &at[..]].concat());
    assert_eq!(shown["device"]["serial"], "B-1");
    muster.json(&enrol("c.jsonl"));
    let again = muster.json(&enrol("b.jsonl"));
    assert_eq!((&again["enrolled"], &again["already"]), (&0.into(), &3.into()));
    expect(&muster, &gateway, "C-1", 200, "");
    node.stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
    gateway.stop();
}

#[test]
fn a_damaged_backup_is_not_put_back() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    manifest(&muster, "a.jsonl", &["A-1"]);
    muster.json(&["enrol", "a.jsonl", "--node", &node.url]);
    let backup = muster.json(&["backup", "saved"]);
    node.kill();
    lose(&muster);
    let head = format!("{}:{}", backup["size"], backup["log_root"].as_str().expect("a root"));
    let restore = ["restore", "saved", "--head", &head];

    let file = muster.path("saved/ledger.db");
    let whole = fs::read(&file).expect("read");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&file, &damaged).expect("written");
    let words = muster.refused(&restore, 1);
    assert!(words.contains("damaged, use another one"), "{words}");
    fs::write(&file, &whole).expect("written");

    let manifest = muster.path("saved/backup.json");
    let text = fs::read_to_string(&manifest).expect("read");
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).expect("written");
    let words = muster.refused(&restore, 1);
    assert!(words.contains("is of format 2") && words.contains("newer one"), "{words}");
    fs::write(&manifest, text).expect("written");

    // A head that the backup does not have needs somebody who has it.
    let later = format!("2:{}", backup["log_root"].as_str().expect("a root"));
    let words = muster.refused(&["restore", "saved", "--head", &later], 1);
    assert!(words.contains("does not contain the head of 2"), "{words}");
    // What is left of another ledger would be mixed with this one.
    let left = muster.home().join("node/ledger.db-wal");
    fs::write(&left, "pages").expect("written");
    let words = muster.refused(&restore, 1);
    assert!(words.contains("ledger.db-wal is there"), "{words}");
    fs::remove_file(&left).expect("removed");
    muster.json(&restore);
    muster.serve(&["serve"]).stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}
