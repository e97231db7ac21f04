//! Networks that are cut, slow or narrow.

use crate::cluster::Cluster;
use crate::crash::{QUIET, busy, caught_up};
use crate::link::{Flow, Shape};
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_halves_decide_nothing_and_heal() {
    let (mut cluster, load) = busy().await;
    for flow in [Flow::Silent, Flow::Cut] {
        cluster.part(&[0, 1], flow);
        sleep(QUIET).await;
        let count = load.count();
        sleep(QUIET).await;
        assert_eq!(load.count(), count, "half of the validators acknowledged something");
        for node in 0..4 {
            cluster.size(node).await;
        }
        cluster.heal();
        load.goes_on(&cluster, 20).await;
    }
    let written = load.stop().await;
    cluster.is_sound(&written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_go_on_without_one() {
    let (mut cluster, load) = busy().await;
    for flow in [Flow::Silent, Flow::Cut] {
        cluster.part(&[3], flow);
        load.goes_on(&cluster, 30).await;
        let alone = stands_still(&cluster, 3).await;
        load.goes_on(&cluster, 30).await;
        assert_eq!(cluster.size(3).await, alone, "one of four went on");
        cluster.heal();
        caught_up(&cluster, 3, 0).await;
        load.goes_on(&cluster, 10).await;
    }
    let written = load.stop().await;
    cluster.is_sound(&written).await;
}

/// The size of a node's ledger once it grows no more.
async fn stands_still(cluster: &Cluster, node: usize) -> u64 {
    let mut size = cluster.size(node).await;
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = cluster.size(node).await;
        if now == size {
            return size;
        }
        size = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_peer_holds_nobody_up() {
    let (mut cluster, load) = busy().await;
    let slow = Shape { delay: Duration::from_millis(200), bytes_a_second: 50_000, ..Shape::OPEN };
    cluster.around(3, slow);
    load.goes_on(&cluster, 60).await;
    // A batch of leaves comes through to it as well.
    let serials = cluster.enrol(1, "LATE", 300).await;
    cluster.heal();
    caught_up(&cluster, 3, 0).await;
    let did = cluster.network.did(&serials[7]);
    cluster
        .until("the slow node has the leaves", || async {
            let part = cluster.client(3).device_part(&did).await;
            part.map(drop).map_err(|e| e.to_string())
        })
        .await;
    let written = load.stop().await;
    cluster.is_sound(&written).await;
}
