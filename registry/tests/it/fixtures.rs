//! A folder of each format of the store that was ever released, packed in `tests/fixtures`: this
//! code opens them all, audits them, and goes on in them.
//!
//! When the format changes, write the new one beside the others (`docs/formats/store.md`):
//! `MUSTER_WRITE_FIXTURE=store-6 cargo test -p muster-registry --test it fixtures`

use crate::network::{Network, genesis, open, rows};
use muster_ledger::{Action, EvidencePolicy, Revoke};
use muster_registry::audit;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn tar(args: &[&str], file: &Path, dir: &Path) {
    let packed = Command::new("tar").args(args).arg(file).arg("-C").arg(dir).arg(".").status();
    assert!(packed.expect("tar runs").success());
}

/// What every fixture holds: a batch with a revoked device, a batch, an upload under way.
async fn write(name: &str) {
    let network = Network::with(1_000, EvidencePolicy::Possession).await;
    network.enrol(&network.devices(0..3)).await;
    let target = network.target(&network.device(1)).await;
    network.act(Action::Revoke(Revoke { target, reason: "lost".into() })).await.unwrap();
    network.enrol(&network.devices(5..7)).await;
    let upload = network.upload(4).await;
    network.registry.stage(&upload, rows(&network.devices(10..12))).await.unwrap();
    network.registry.close().await;
    for name in ["lock", "index.db"] {
        std::fs::remove_file(network.dir.path().join(name)).unwrap();
    }
    let deterministic = ["--sort=name", "--owner=0", "--group=0", "--mtime=@0"];
    let file = fixtures().join(format!("{name}.tar.gz"));
    tar(&[&deterministic[..], &["-czf"]].concat(), &file, network.dir.path());
}

#[tokio::test]
async fn every_format_that_was_released_is_read() {
    if let Ok(name) = std::env::var("MUSTER_WRITE_FIXTURE") {
        write(&name).await;
    }
    let (mut read, mut ours) = (0, 0);
    for file in std::fs::read_dir(fixtures()).unwrap() {
        let file = file.unwrap().path();
        let mut network = Network::new().await;
        network.registry.close().await;
        network.dir = tempfile::tempdir().unwrap();
        network.genesis = genesis(1_000, EvidencePolicy::Possession);
        tar(&["-xzf"], &file, network.dir.path());
        let dir = network.dir.path();
        network.host.advance(60_000);
        network.registry = open(dir, &network.genesis, &network.host, &network.signer)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(network.registry.head().unwrap().head().size, 3, "{}", file.display());
        let standing = async |n: u64| {
            let did = network.device(n).did;
            network.registry.device(&did).await.unwrap().map(|view| view.standing)
        };
        assert_eq!(standing(1).await.as_deref(), Some("revoked"));
        assert_eq!(standing(6).await.as_deref(), Some("active"));
        assert_eq!(standing(10).await, None);
        // The rows of the upload give way to a new one of the same organisation.
        network.host.advance(muster_api::limits::UPLOAD_IDLE_MS);
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_millis(muster_api::limits::UPLOAD_IDLE_MS))
            .await;
        tokio::time::resume();
        network.enrol(&network.devices(10..12)).await;
        assert_eq!(standing(10).await.as_deref(), Some("active"));
        network.registry.close().await;
        assert_eq!(audit(dir, &network.genesis).await.unwrap().findings, []);
        let upgraded = std::fs::read_dir(dir)
            .unwrap()
            .any(|file| file.unwrap().file_name().to_string_lossy().starts_with("backup-"));
        (read, ours) = (read + 1, ours + u32::from(!upgraded));
    }
    assert!(read >= 1);
    assert_eq!(ours, 1, "one fixture is of the present format; see docs/formats/store.md");
}
