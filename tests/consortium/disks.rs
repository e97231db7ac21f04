//! A disk that is full, and one that was lost and comes back from an old backup.

use crate::crash::{busy, caught_up};
use std::fs;
use std::process::Command;

/// No file of a process may be written any more, or all may (`setrlimit` RLIMIT_FSIZE).
pub(crate) fn limit_files(pid: u32, bytes: &str) {
    let limit = format!("--fsize={bytes}:");
    let set = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status();
    assert!(set.expect("prlimit runs").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_one_node_and_heals() {
    let (mut cluster, load) = busy().await;
    limit_files(cluster.nodes[3].pid(), "0");
    load.goes_on(&cluster, 40).await;
    cluster.all_live();
    limit_files(cluster.nodes[3].pid(), "unlimited");
    // Nobody has to restart it.
    caught_up(&cluster, 3, 0).await;
    load.goes_on(&cluster, 10).await;
    let written = load.stop().await;
    cluster.is_sound(&written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_from_an_old_backup_signs_nothing_twice() {
    let (mut cluster, load) = busy().await;
    let saved = cluster.path("saved");
    let to = saved.to_str().expect("text").to_owned();
    let backup = cluster.json(3, &["backup", &to]).await;
    for name in ["sign-state", "signed-head", "decisions.redb", "wal", "peer.key"] {
        assert!(!contains(&saved, name), "{name} is in the backup");
    }
    load.goes_on(&cluster, 60).await;
    cluster.nodes[3].kill();
    let node = cluster.nodes[3].home.join("node");
    let kept = ["node.pem", "peer.key"].map(|name| (name, fs::read(node.join(name))));
    fs::remove_dir_all(&node).expect("the disk is lost");
    fs::create_dir(&node).expect("a new one");
    for (name, bytes) in kept {
        if let Ok(bytes) = bytes {
            fs::write(node.join(name), bytes).expect("the keys are put back");
        }
    }
    let head = format!("{}:{}", backup["size"], backup["log_root"].as_str().expect("a root"));
    cluster.json(3, &["restore", &to, "--head", &head]).await;
    cluster.watch.forget_last(3);
    cluster.nodes[3].start();
    caught_up(&cluster, 3, 0).await;
    load.goes_on(&cluster, 20).await;
    // It votes again: without one of the others there is no quorum but with it.
    cluster.nodes[0].kill();
    load.goes_on(&cluster, 20).await;
    cluster.nodes[0].start();
    caught_up(&cluster, 0, 1).await;
    let written = load.stop().await;
    // Nobody has two votes or two heads of it.
    cluster.is_sound(&written).await;
}

/// Whether a file of this name lies anywhere below a folder.
fn contains(folder: &std::path::Path, name: &str) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let entry = entry.expect("an entry");
        entry.file_name() == name || (entry.path().is_dir() && contains(&entry.path(), name))
    })
}
