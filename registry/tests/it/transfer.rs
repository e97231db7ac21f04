//! A ledger moves from one store to another.

use crate::network::{Device, Network, open_at, rows};
use muster_ledger::{Action, Revoke, Time};
use muster_registry::{Error, StoreUrl, export, import};
use std::path::Path;

const NOW: Time = Time(crate::network::START);

/// A network with all that a private directory has: lots, words of the line, an upload under way.
async fn filled() -> Network {
    let network = Network::new().await;
    network.enrol(&network.devices(0..300)).await;
    network.enrol(&network.devices(300..303)).await;
    let target = network.target(&network.device(5)).await;
    network.act(Action::Revoke(Revoke { target, reason: String::new() })).await.unwrap();
    let open_upload = network.upload(2).await;
    network.registry.stage(&open_upload, rows(&network.devices(400..402))).await.unwrap();
    network
}

async fn written(dir: &Path, url: &StoreUrl, network: &Network) -> Vec<u8> {
    let mut out = Vec::new();
    let moved = export(dir, url, &network.genesis, NOW, &mut out).await.unwrap();
    assert_eq!((moved.size, moved.devices, moved.lost), (3, 303, 0));
    out
}

/// The ledger as it stands elsewhere, and what its node then answers.
async fn move_to(network: &Network, bytes: &[u8], url: &StoreUrl) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    std::fs::write(&file, bytes).unwrap();
    let home = dir.path().join("node");
    let head = *network.registry.head().unwrap().head();
    let moved = import(&home, url, &network.genesis, &file).await.unwrap();
    assert_eq!((moved.size, moved.devices), (head.size, 303));
    assert_eq!((moved.log_root, moved.state_root), (head.log_root, head.state_root));
    // Nothing says there what was signed: the operator must.
    let refused = open_at(&home, url, network, None).await.err().unwrap().to_string();
    assert!(refused.contains("no signed-head"), "{refused}");
    let known = Some((head.size, head.log_root));
    let registry = open_at(&home, url, network, known).await.unwrap();
    assert!(registry.head().unwrap().head().same_ledger(&head));
    let Device { did, serial, .. } = network.device(7);
    assert_eq!(registry.device(&did).await.unwrap().unwrap().serial, Some(serial));
    registry.receipt(&did).await.unwrap().unwrap().verify(&network.genesis).unwrap();
    assert_eq!(registry.device(&network.device(5).did).await.unwrap().unwrap().standing, "revoked");
    registry.close().await;
    // A second one does not go over it.
    let again = import(&home, url, &network.genesis, &file).await.unwrap_err().to_string();
    assert!(again.contains("there is a ledger already"), "{again}");
    dir
}

#[tokio::test]
async fn a_ledger_moves_between_folders() {
    let network = filled().await;
    network.registry.close().await;
    let bytes = written(network.dir.path(), &StoreUrl::Folder, &network).await;
    let there = move_to(&network, &bytes, &StoreUrl::Folder).await;
    // What comes out there is what went in, byte by byte, and an audit finds nothing.
    let home = there.path().join("node");
    assert_eq!(written(&home, &StoreUrl::Folder, &network).await, bytes);
    let report = crate::network::audit(&home, &network.genesis).await.unwrap();
    assert_eq!((report.findings, report.devices), (vec![], 303));
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_ledger_moves_to_postgres_and_back() {
    let network = filled().await;
    network.registry.close().await;
    let bytes = written(network.dir.path(), &StoreUrl::Folder, &network).await;
    let url: StoreUrl = crate::server::shared().database().parse().unwrap();
    let there = move_to(&network, &bytes, &url).await;
    let home = there.path().join("node");
    assert!(!home.join("ledger.db").exists());
    let back = written(&home, &url, &network).await;
    assert!(back == bytes, "what came out of PostgreSQL is not what went in");
    move_to(&network, &back, &StoreUrl::Folder).await;
    // A folder that has a ledger is not taken for one whose ledger is elsewhere.
    let refused = open_at(network.dir.path(), &url, &network, None).await.err().unwrap();
    assert!(refused.to_string().contains("has a ledger, and --store names"), "{refused}");
}

#[tokio::test]
async fn what_was_damaged_on_its_way_is_refused() {
    let network = filled().await;
    network.registry.close().await;
    let bytes = written(network.dir.path(), &StoreUrl::Folder, &network).await;
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    let shorter = lines[..lines.len() - 1].join("\n") + "\n";
    let without: Vec<&str> =
        lines.iter().filter(|line| !line.contains("\"leaves\"")).copied().collect();
    let other = text.replacen("muster", "master", 1);
    for (wrong, word) in [
        ("", "no ledger"),
        (&shorter[..], "cut off"),
        (&text[..text.len() - 9], "cut off"),
        (&(without.join("\n") + "\n"), "damaged on its way"),
        (&other, "no ledger"),
    ] {
        std::fs::write(&file, wrong).unwrap();
        let home = dir.path().join("node");
        let refused = import(&home, &StoreUrl::Folder, &network.genesis, &file).await.unwrap_err();
        assert!(matches!(&refused, Error::Caller(said) if said.contains(word)), "{refused}");
        assert!(!home.exists(), "nothing is made of it");
    }
    let other = Network::of({
        let mut genesis = network.genesis.clone();
        genesis.nonce = [9; 16];
        genesis
    });
    std::fs::write(&file, &text).unwrap();
    let (home, other) = (dir.path().join("node"), other.await);
    let refused = import(&home, &StoreUrl::Folder, &other.genesis, &file).await.unwrap_err();
    assert!(refused.to_string().contains("it is of network"), "{refused}");
}

/// Whoever writes the file anew, with its hash, still has to give the roots of the operations.
#[tokio::test]
async fn leaves_of_ones_own_making_are_refused() {
    let network = filled().await;
    network.registry.close().await;
    let bytes = written(network.dir.path(), &StoreUrl::Folder, &network).await;
    let text = String::from_utf8(bytes).unwrap();
    let is_leaves = |line: &&str| line.contains("\"leaves\"");
    let first = text.lines().find(is_leaves).unwrap();
    let other = text.lines().rfind(is_leaves).unwrap();
    assert_ne!(first, other);
    let wrong = text.replace(&format!("{other}\n"), "");
    let mut lines: Vec<String> = wrong.lines().map(str::to_owned).collect();
    let mut hash = [0; 32];
    let last = lines.len() - 1;
    for line in &lines[..last] {
        hash = muster_identity::sha256(&[&hash, line.as_bytes(), b"\n"]);
    }
    let at = lines[last].find("\"sha256\"").unwrap();
    lines[last].replace_range(
        at..,
        &format!("\"sha256\":\"{}\"}}", data_encoding::HEXLOWER.encode(&hash)),
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    let home = dir.path().join("node");
    let refused = import(&home, &StoreUrl::Folder, &network.genesis, &file).await.unwrap_err();
    assert!(refused.to_string().contains("are not its own"), "{refused}");
}
