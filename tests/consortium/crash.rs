//! Nodes that are killed as by a power cut.

use crate::cluster::Cluster;
use crate::load::Load;
use crate::network::NODES;
use std::time::Duration;
use tokio::time::sleep;

/// For how long nothing may happen where nothing can.
pub(crate) const QUIET: Duration = Duration::from_secs(4);

/// Two clients at each of all nodes, which go to another node when one does not answer.
pub(crate) async fn busy() -> (Cluster, Load) {
    let cluster = Cluster::running().await;
    let serials = cluster.enrol(0, "SN", 128).await;
    cluster.agree(&[0, 1, 2, 3]).await;
    let load = Load::start(&cluster, serials, &[0, 1, 2, 3], 2, true).await;
    load.goes_on(&cluster, 20).await;
    (cluster, load)
}

/// Waits until a node that was away has what another one has now.
pub(crate) async fn caught_up(cluster: &Cluster, node: usize, from: usize) {
    let goal = cluster.size(from).await;
    let what = format!("node {} has {goal} entries", node + 1);
    cluster
        .until(&what, || async {
            match cluster.ledger(node).await?.size {
                size if size >= goal => Ok(()),
                size => Err(format!("it has {size}")),
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_four_is_killed_under_load_and_returns() {
    let (mut cluster, load) = busy().await;
    for victim in 0..NODES {
        cluster.nodes[victim].kill();
        load.goes_on(&cluster, 20).await;
        cluster.nodes[victim].start();
        caught_up(&cluster, victim, (victim + 1) % NODES).await;
        load.goes_on(&cluster, 10).await;
    }
    let written = load.stop().await;
    cluster.is_sound(&written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_four_down_stop_writes_and_nothing_else() {
    let (mut cluster, load) = busy().await;
    cluster.nodes[2].kill();
    cluster.nodes[3].kill();
    // What was decided before is still acknowledged; then nothing is.
    sleep(QUIET).await;
    let (count, size) = (load.count(), cluster.size(0).await);
    sleep(QUIET).await;
    assert_eq!(load.count(), count, "two of four acknowledged something");
    for node in [0, 1] {
        // Reads go on, from the last head that a quorum signed.
        assert_eq!(cluster.size(node).await, size);
        let did = cluster.network.did("SN-0127");
        let device = cluster.client(node).device(&did).await.expect("a device is shown");
        assert_eq!(device.did, did.to_string());
    }
    cluster.nodes[2].start();
    cluster.nodes[3].start();
    load.goes_on(&cluster, 20).await;
    let written = load.stop().await;
    cluster.is_sound(&written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_killed_at_once_and_lose_nothing() {
    let (mut cluster, load) = busy().await;
    for _ in 0..2 {
        for node in &mut cluster.nodes {
            node.kill();
        }
        for node in &mut cluster.nodes {
            node.start();
        }
        load.goes_on(&cluster, 20).await;
    }
    let written = load.stop().await;
    cluster.is_sound(&written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_refuses_no_write() {
    let (mut cluster, load) = busy().await;
    for node in 0..NODES {
        cluster.nodes[node].stop().await;
        cluster.nodes[node].start();
        cluster.serves(node).await;
        caught_up(&cluster, node, (node + 1) % NODES).await;
        load.goes_on(&cluster, 10).await;
    }
    // Each client found nothing refused, or it would have said so.
    let written = load.stop().await;
    assert!(written.longest < Duration::from_secs(30), "{:?}", written.longest);
    cluster.is_sound(&written).await;
}
