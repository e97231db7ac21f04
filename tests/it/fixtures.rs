//! A home folder and a backup of each format that was ever released, packed in `tests/fixtures`:
//! this binary opens them, goes on in them, and leaves newer ones alone.
//!
//! When a format changes, write the new ones beside the others:
//! `MUSTER_WRITE_FIXTURE=home-2 cargo test -p muster --test it fixtures`

use crate::muster::{Muster, get};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Seals the keys of the fixtures, which are nobody's.
const PASSPHRASE: &str = "a passphrase of fixtures";

fn fixtures() -> PathBuf {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    Path::new(&root).join("tests/fixtures")
}

fn tar(args: &[&str], file: &Path, dir: &Path) {
    let packed = Command::new("tar").args(args).arg(file).arg("-C").arg(dir).arg(".").status();
    assert!(packed.expect("tar runs").success());
}

/// A home with sealed keys, two devices of which one is revoked, and a backup from before that.
fn write(name: &str) {
    let mut muster = Muster::new();
    muster.set("MUSTER_PASSPHRASE", PASSPHRASE);
    muster.json(&["init", "--seal", "--label", "Fixture"]);
    let node = muster.serve(&["serve"]);
    let at = ["--node", &node.url];
    let rows: String = ["one", "two"]
        .map(|name| muster.line(&["device", "new", &format!("{name}.pem"), "--model", "m"]) + "\n")
        .concat();
    fs::write(muster.path("run.jsonl"), rows).expect("written");
    muster.json(&[&["enrol", "run.jsonl"], &at[..]].concat());
    muster.json(&["backup", "home/saved"]);
    let did = muster.line(&["device", "did", "two.pem"]);
    muster.json(&[&["revoke", &did], &at[..]].concat());
    node.stop();
    for key in ["one.pem", "two.pem"] {
        fs::rename(muster.path(key), muster.home().join(key)).expect("moved");
    }
    let _ = fs::remove_file(muster.home().join("node/lock"));
    let deterministic = ["--sort=name", "--owner=0", "--group=0", "--mtime=@0"];
    let file = fixtures().join(format!("{name}.tar.gz"));
    tar(&[&deterministic[..], &["-czf"]].concat(), &file, &muster.home());
}

fn unpacked(file: &Path) -> Muster {
    let mut muster = Muster::new();
    muster.set("MUSTER_PASSPHRASE", PASSPHRASE);
    fs::create_dir(muster.home()).expect("a folder");
    tar(&["-xzf"], file, &muster.home());
    muster
}

fn all() -> Vec<PathBuf> {
    let files = fs::read_dir(fixtures()).expect("fixtures").map(|file| file.expect("one").path());
    files.filter(|file| file.to_string_lossy().contains("/home-")).collect()
}

#[test]
fn every_home_and_backup_that_was_released_is_read() {
    if let Ok(name) = std::env::var("MUSTER_WRITE_FIXTURE") {
        write(&name);
    }
    let all = all();
    assert!(!all.is_empty());
    for file in all {
        let muster = unpacked(&file);
        let did = |name: &str| muster.line(&["device", "did", &format!("home/{name}.pem")]);
        let (one, two) = (did("one"), did("two"));
        let standing = |url: &str, did: &str| {
            muster.json(&["show", did, "--node", url])["device"]["standing"].clone()
        };
        let node = muster.serve(&["serve"]);
        assert_eq!(standing(&node.url, &one), "active", "{}", file.display());
        assert_eq!(standing(&node.url, &two), "revoked", "{}", file.display());
        // The keys open, and what they sign counts.
        muster.json(&["hold", &one, "--node", &node.url]);
        assert_eq!(standing(&node.url, &one), "held");
        let gateway = muster.serve(&["gateway", "--audience", "a.example", "--node", &node.url]);
        let until = Instant::now() + Duration::from_secs(20);
        while get(&format!("{}/readyz", gateway.url), &[]).0 != 200 {
            assert!(Instant::now() < until, "the gateway never followed");
            std::thread::sleep(Duration::from_millis(50));
        }
        node.stop();
        assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);

        // The disk is lost, the backup of that time is put back.
        let key = fs::read(muster.home().join("node/node.pem")).expect("the node's key");
        fs::remove_dir_all(muster.home().join("node")).expect("lost");
        fs::create_dir(muster.home().join("node")).expect("a folder");
        fs::write(muster.home().join("node/node.pem"), key).expect("written");
        let restore = ["restore", "home/saved", "--gateway", &gateway.url, "--audit"];
        assert_eq!(muster.json(&restore)["taken"], 2, "the revocation and the hold");
        let node = muster.serve(&["serve"]);
        assert_eq!(standing(&node.url, &two), "revoked");
        node.stop();
        gateway.stop();
    }
}

#[test]
fn a_newer_home_or_backup_is_refused_with_a_clear_word() {
    for file in all() {
        let muster = unpacked(&file);
        let backup = muster.home().join("saved/backup.json");
        let text = fs::read_to_string(&backup).expect("read");
        fs::write(&backup, text.replace("\"format\": 1", "\"format\": 1000")).expect("written");
        let words =
            muster.refused(&["restore", "home/saved", "--gateway", "http://127.0.0.1:9"], 1);
        assert!(words.contains("format 1000") && words.contains("newer one"), "{words}");

        let format = muster.home().join("FORMAT");
        fs::write(&format, "muster home 1000\n").expect("written");
        for command in [&["serve"][..], &["backup", "copy"], &["ledger", "audit"]] {
            let words = muster.refused(command, 1);
            assert!(words.contains("muster home 1000") && words.contains("newer"), "{words}");
        }
        let ledger = fs::metadata(muster.home().join("node/ledger.db")).expect("there");
        assert!(ledger.len() > 0 && !muster.path("copy").exists());
    }
}
