//! A disk that takes no more, and files that run out.

use crate::fleet::{enrolled, serve_after, standing};
use crate::muster::{Muster, Server, get};
use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// A file may grow so far (blocks of 512 bytes): the write-ahead log reaches it after some
/// operations. Only the soft limit, which can be raised again.
const SMALL: &str = "ulimit -S -f 600; exec";

fn make_room(node: &Server) {
    let pid = node.child.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status();
    assert!(raised.expect("prlimit runs").success());
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let dids = enrolled(&muster, &node, 40);
    node.stop();
    let node = serve_after(&muster, SMALL);
    let mut held = Vec::new();
    let words = dids.iter().find_map(|did| {
        let output = muster.output(&["hold", did, "--node", &node.url]);
        if output.status.success() {
            held.push(did.clone());
            return None;
        }
        Some(String::from_utf8_lossy(&output.stderr).into_owned())
    });
    let words = words.expect("the disk is full before all are held");
    assert!(words.contains("disk is full") && words.contains("must make room"), "{words}");
    assert!(!held.is_empty());
    // It goes on answering, and says the same to the next one.
    let next = &dids[held.len()];
    let words = muster.refused(&["hold", next, "--node", &node.url], 1);
    assert!(words.contains("disk is full"), "{words}");
    assert_eq!(get(&format!("{}/healthz", node.url), &[]).0, 200);
    assert_eq!(standing(&muster, &node, next), "active");
    assert_eq!(standing(&muster, &node, &held[0]), "held");
    let metrics = node.metrics();
    assert!(metrics.contains("\nmuster_failing 1\n"), "{metrics}");
    // There is room again: nobody has to restart it.
    make_room(&node);
    muster.json(&["hold", next, "--node", &node.url]);
    assert_eq!(standing(&muster, &node, next), "held");
    for did in &held {
        assert_eq!(standing(&muster, &node, did), "held");
    }
    node.stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
    muster.serve(&["serve"]).stop();
}

#[test]
fn connections_do_not_keep_it_from_its_files() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = serve_after(&muster, "ulimit -n 64; exec");
    let dids = enrolled(&muster, &node, 1);
    let address = node.url.strip_prefix("http://").expect("plain HTTP").to_owned();
    let signed = muster.home().join("node/signed-head");
    let before = fs::read_to_string(&signed).expect("the signed head");
    // More callers than it may open files, all the time, and none of them says a word.
    let until = Instant::now() + Duration::from_secs(60);
    let mut silent: Vec<TcpStream> = Vec::new();
    let connect = || TcpStream::connect(&address).expect("the system takes the connection");
    silent.extend((0..100).map(|_| connect()));
    let mut heads = 0;
    let mut last = before;
    while heads < 2 {
        assert!(Instant::now() < until, "it signed no head while strangers held connections");
        std::thread::sleep(Duration::from_millis(500));
        let now = fs::read_to_string(&signed).expect("the signed head");
        heads += u32::from(now != last);
        last = now;
        silent.extend((0..4).map(|_| connect()));
    }
    drop(silent);
    muster.json(&["hold", &dids[0], "--node", &node.url]);
    assert_eq!(standing(&muster, &node, &dids[0]), "held");
    let metrics = node.metrics();
    assert!(metrics.contains("\nmuster_failing 0\n"), "{metrics}");
    node.stop();
}
