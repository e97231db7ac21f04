//! What people do on a network of several nodes.

use super::cluster::{Cluster, genesis, shown, until};
use super::lockstep::Lockstep;
use crate::network::{Device, Network, admin, codes, rows, store_of};
use muster_ledger::{Action, Revoke, Time, View as _};
use muster_registry::{StoreUrl, export, import};
use std::path::Path;

async fn revoke(node: &Network, device: &Device) {
    let target = node.target(device).await;
    node.act(Action::Revoke(Revoke { target, reason: String::new() })).await.expect("revoked");
}

/// Whether a text stands in any file of a folder.
fn mentions(dir: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).any(|path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// Where a node that was stopped has its ledger.
async fn store(node: &Network) -> StoreUrl {
    let dir = node.dir.path();
    if dir.join("ledger.db").exists() { StoreUrl::Folder } else { store_of(dir).await }
}

async fn sound(cluster: &impl Cluster) {
    for n in 0..cluster.nodes() {
        let node = cluster.node(n);
        let store = store(node).await;
        let audited = muster_registry::audit_store(node.dir.path(), &store, &node.genesis).await;
        let report = audited.unwrap();
        assert!(report.findings.is_empty(), "node {n}: {:?}", report.findings);
    }
}

/// Takes a node's ledger to another folder; gives what was on its way.
async fn moved(node: &Network) -> String {
    let (dir, genesis) = (node.dir.path(), &node.genesis);
    let mut bytes = Vec::new();
    let out = export(dir, &store(node).await, genesis, Time(node.host_now()), &mut bytes).await;
    let out = out.unwrap();
    let there = tempfile::tempdir().unwrap();
    let (home, file) = (there.path().join("node"), there.path().join("ledger.jsonl"));
    std::fs::write(&file, &bytes).unwrap();
    // What was signed goes along.
    std::fs::create_dir(&home).unwrap();
    std::fs::copy(dir.join("signed-head"), home.join("signed-head")).unwrap();
    let moved = import(&home, &StoreUrl::Folder, genesis, &file).await.unwrap();
    assert_eq!((moved.size, moved.devices), (out.size, out.devices));
    assert_eq!((moved.log_root, moved.state_root), (out.log_root, out.state_root));
    let report = muster_registry::audit(&home, genesis).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    String::from_utf8(bytes).unwrap()
}

/// Enrolled by one, revoked by another, the same everywhere; what is private stays where it was.
async fn one_enrols_another_revokes(cluster: &mut impl Cluster) {
    let all: Vec<usize> = (0..cluster.nodes()).collect();
    let first = cluster.node(0);
    shown(cluster, &all, 0).await;
    let devices = first.devices(0..600);
    first.enrol(&devices).await;
    shown(cluster, &all, 1).await;
    for n in &all {
        let node = cluster.node(*n);
        for device in [&devices[0], &devices[311], &devices[599]] {
            let receipt = node.registry.receipt(&device.did).await.unwrap().expect("a receipt");
            receipt.verify(&node.genesis).expect("a good receipt");
            let view = node.registry.device(&device.did).await.unwrap().expect("a device");
            assert_eq!(view.serial.is_some(), *n == 0, "node {n}");
        }
    }
    let last = cluster.node(cluster.nodes() - 1);
    revoke(last, &devices[7]).await;
    shown(cluster, &all, 2).await;
    for n in &all {
        let view = cluster.node(*n).registry.device(&devices[7].did).await.unwrap().unwrap();
        assert_eq!(view.standing, "revoked");
        // A second upload finds them, wherever it comes.
        let node = cluster.node(*n);
        let upload = node.upload(1).await;
        let verdicts = node.registry.stage(&upload, rows(&devices[..1])).await.unwrap();
        assert_eq!(codes(&verdicts).len(), 1);
        node.registry.drop_upload(&upload).await.unwrap();
    }
    for n in all {
        cluster.stop(n).await;
    }
    sound(cluster).await;
    let serial = &devices[311].serial;
    assert!(mentions(cluster.node(0).dir.path(), serial), "the owner's node knows it");
    for n in 1..cluster.nodes() {
        let dir = cluster.node(n).dir.path();
        let kept = moved(cluster.node(n)).await;
        for text in ["SN-0000311", "SN-00", "lot 7"] {
            assert!(!mentions(dir, text) && !kept.contains(text), "node {n} has `{text}`");
        }
    }
    assert!(moved(cluster.node(0)).await.contains(serial));
}

/// A node that was off takes what it missed, and the leaves with it.
async fn a_late_node_catches_up(cluster: &mut impl Cluster) {
    let all: Vec<usize> = (0..cluster.nodes()).collect();
    shown(cluster, &all, 0).await;
    cluster.stop(3).await;
    let others: Vec<usize> = all.iter().copied().filter(|n| *n != 3).collect();
    let first = cluster.node(0);
    let devices = first.devices(0..300);
    first.enrol(&devices).await;
    for device in &devices[..5] {
        revoke(cluster.node(1), device).await;
    }
    shown(cluster, &others, 6).await;
    cluster.start(3).await;
    shown(cluster, &all, 6).await;
    let late = cluster.node(3);
    until("the late node has the leaves", async || {
        late.registry.device_part(&devices[9].did).await.is_ok_and(|part| part.is_some())
    })
    .await;
    revoke(late, &devices[9]).await;
    shown(cluster, &all, 7).await;
}

/// Without a quorum nothing is decided; what waited is decided once there is one.
async fn a_third_may_be_missing_and_no_more(cluster: &mut impl Cluster) {
    shown(cluster, &[0, 1, 2, 3], 0).await;
    cluster.node(0).enrol(&cluster.node(0).devices(0..2)).await;
    shown(cluster, &[0, 1, 2, 3], 1).await;
    cluster.stop(2).await;
    cluster.stop(3).await;
    let device = cluster.node(0).device(0);
    let target = cluster.node(0).target(&device).await;
    let action = Action::Revoke(Revoke { target, reason: String::new() });
    let signed = cluster.node(0).operation(cluster.node(0).owner(), action, &admin());
    let registry = cluster.node(0).registry.clone();
    let sent = signed.clone();
    let waits = tokio::spawn(async move { registry.submit(sent, None).await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!waits.is_finished());
    assert_eq!(cluster.node(1).registry.head().unwrap().head().size, 1);
    // Sent again to another node, it is the same operation.
    let registry = cluster.node(1).registry.clone();
    let again = tokio::spawn(async move { registry.submit(signed, None).await });
    cluster.start(3).await;
    let (first, second) = (waits.await.unwrap().unwrap(), again.await.unwrap().unwrap());
    assert_eq!((first.index, &first.entry), (second.index, &second.entry));
    shown(cluster, &[0, 1, 3], 2).await;
    cluster.start(2).await;
    shown(cluster, &[0, 1, 2, 3], 2).await;
}

/// A node that is no validator takes operations and shows the ledger.
async fn an_access_node_serves(cluster: &mut impl Cluster) {
    shown(cluster, &[0, 1, 2, 3, 4], 0).await;
    let access = cluster.node(4);
    let devices = access.devices(0..3);
    access.enrol(&devices).await;
    shown(cluster, &[0, 1, 2, 3, 4], 1).await;
    revoke(access, &devices[1]).await;
    shown(cluster, &[0, 1, 2, 3, 4], 2).await;
    let part = cluster.node(2).registry.device_part(&devices[0].did).await.unwrap();
    assert_eq!(part.expect("a part").leaf, devices[0].leaf);
}

#[tokio::test]
async fn lockstep_one_enrols_another_revokes() {
    one_enrols_another_revokes(&mut Lockstep::new(&genesis(), 4).await).await;
}

#[tokio::test]
async fn lockstep_a_late_node_catches_up() {
    a_late_node_catches_up(&mut Lockstep::new(&genesis(), 4).await).await;
}

#[tokio::test]
async fn lockstep_a_third_may_be_missing_and_no_more() {
    a_third_may_be_missing_and_no_more(&mut Lockstep::new(&genesis(), 4).await).await;
}

#[tokio::test]
async fn lockstep_an_access_node_serves() {
    an_access_node_serves(&mut Lockstep::new(&genesis(), 5).await).await;
}

/// Before a quorum signed anything, a node says so.
#[tokio::test]
async fn a_node_without_a_head_says_so() {
    let mut cluster = Lockstep::new(&genesis(), 2).await;
    let registry = cluster.node(0).registry.clone();
    let problem = registry.network().await.unwrap_err();
    assert_eq!((problem.status, problem.code()), (503, "starting"));
    assert_eq!(registry.head().unwrap_err().code(), "starting");
    assert_eq!(
        registry.feed(0, 0, std::time::Duration::ZERO).await.unwrap_err().code(),
        "starting"
    );
    let request = cluster.node(0).request(1, false);
    assert_eq!(registry.open_upload(&request).await.unwrap_err().code(), "starting");
    assert!(!registry.ready().await);
    assert!(registry.metrics().await.is_empty());
    assert!(cluster.application(0).chain().state().validators().is_ok());
    cluster.stop(0).await;
    assert!(!registry.ready().await);
}
