//! Clocks that are wrong: whoever has one is outvoted, and the ledger's time is that of the others.

use crate::cluster::Cluster;
use crate::crash::{busy, caught_up};
use crate::load::{Load, Written};
use crate::network::{NODES, now};
use muster_identity::cbor::Decode as _;
use muster_ledger::Entry;

/// Blocks in which each validator was certainly asked for a proposal more than once.
const ROUNDS: u64 = 3 * NODES as u64;

/// Runs a node with another clock for some blocks, and then with the right one.
async fn with_clock(clock: &'static str) -> (Cluster, Written) {
    let (mut cluster, load) = busy().await;
    load.stop().await;
    let begun = cluster.log(0).await.len();
    cluster.nodes[3].stop().await;
    cluster.nodes[3].set_clock(Some(clock));
    cluster.nodes[3].start();
    // Clients go to it as to any other. By its clock their operations may have run out long ago: then
    // it says that it is no judge of them, and they go on to the next.
    let serials = cluster.enrol(0, "CK", 64).await;
    let load = Load::start(&cluster, serials, &[0, 1, 2, 3], 2, true).await;
    let height = cluster.ledger(0).await.expect("it answers").height;
    cluster
        .until("blocks are decided beside a wrong clock", || async {
            match cluster.ledger(0).await?.height {
                now if now >= height + ROUNDS => Ok(()),
                now => Err(format!("height {now}, from {height}")),
            }
        })
        .await;
    // It follows what the others decide.
    caught_up(&cluster, 3, 0).await;
    for entry in &cluster.log(3).await[begun..] {
        let time = Entry::from_cbor(entry).expect("an entry").time;
        assert!(time <= now().plus_ms(10_000), "a block of {time:?}");
    }
    cluster.nodes[3].stop().await;
    cluster.nodes[3].set_clock(None);
    cluster.nodes[3].start();
    caught_up(&cluster, 3, 0).await;
    load.goes_on(&cluster, 20).await;
    let written = load.stop().await;
    (cluster, written)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_an_hour_ahead_is_outvoted() {
    let (mut cluster, written) = with_clock("+3600s").await;
    // It proposed, and the others said why they do not vote for that.
    let refused = |node: usize| cluster.nodes[node].said("is not voted for");
    assert!((0..3).any(refused), "nobody had to refuse a proposal of in an hour");
    cluster.is_sound(&written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_an_hour_behind_is_outvoted() {
    let (mut cluster, written) = with_clock("-3600s").await;
    cluster.is_sound(&written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_in_the_year_2040_takes_nobody_there() {
    // By its clock every operation ran out long ago. That a proposal which claims 2040 all the same
    // is voted down is tried where a validator is driven by hand (crate consensus, `liars`).
    let (mut cluster, written) = with_clock("@2040-01-01 00:00:00").await;
    cluster.is_sound(&written).await;
}
