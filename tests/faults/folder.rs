//! A folder that may not be written to, or that another node has.

use crate::fleet::{enrolled, serve_after, standing};
use crate::muster::Muster;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whom permissions do not bind becomes somebody whom they bind (`nobody` of Debian).
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode is set");
}

/// How to start a node that permissions bind; the folder becomes its own.
fn bound(muster: &Muster) -> String {
    let user = Command::new("id").arg("-u").output().expect("id runs");
    if user.stdout != b"0\n" {
        return "exec".into();
    }
    mode(&muster.path(""), 0o755);
    let given = Command::new("chown").args(["-R", "65534:65534"]).arg(muster.home()).status();
    assert!(given.expect("chown runs").success());
    format!("exec {NOBODY}")
}

#[test]
fn two_nodes_in_one_folder() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let words = muster.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(words.contains("another node runs in") && words.contains("stop it first"), "{words}");
    // The first one does not mind, and a backup is no node.
    let dids = enrolled(&muster, &node, 1);
    muster.json(&["backup", "saved"]);
    assert_eq!(standing(&muster, &node, &dids[0]), "active");
    node.stop();
    muster.serve(&["serve"]).stop();
}

#[test]
fn a_folder_becomes_read_only_and_is_mended() {
    let muster = Muster::new();
    muster.json(&["init"]);
    let node = muster.serve(&["serve"]);
    let dids = enrolled(&muster, &node, 2);
    node.stop();
    let (start, folder) = (bound(&muster), muster.home().join("node"));
    let node = serve_after(&muster, &start);
    // Files that are open stay writable; the signing state is a new file each time.
    mode(&folder, 0o500);
    let words = muster.refused(&["hold", &dids[0], "--node", &node.url], 1);
    assert!(words.contains("the head cannot be signed"), "{words}");
    assert_eq!(standing(&muster, &node, &dids[1]), "active");
    mode(&folder, 0o700);
    // The next head covers what was committed.
    let until = Instant::now() + Duration::from_secs(30);
    while standing(&muster, &node, &dids[0]) != "held" {
        assert!(Instant::now() < until, "no head was signed");
        std::thread::sleep(Duration::from_millis(200));
    }
    muster.json(&["hold", &dids[1], "--node", &node.url]);
    node.stop();

    // Nobody may write to it at all: it does not start, and says where and why.
    for name in ["lock", "ledger.db", "directory.db", "signed-head"] {
        mode(&folder.join(name), 0o400);
    }
    mode(&folder, 0o500);
    let plain = format!("{} serve --listen 127.0.0.1:0", env!("CARGO_BIN_EXE_muster"));
    let refused = Command::new("sh")
        .args(["-c", &format!("{start} {plain}")])
        .env("MUSTER_HOME", muster.home())
        .output()
        .expect("the binary runs");
    let words = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{words}");
    mode(&folder, 0o700);
    assert!(words.contains("node/lock: Permission denied"), "{words}");
    assert!(words.contains("a folder of its own that it may write to"), "{words}");
}
