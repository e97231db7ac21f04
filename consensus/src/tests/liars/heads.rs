//! Two heads of one size, and a time that nobody else has.

use super::liar::{Liar, Lies};
use super::network::{LIAR, Machine, Network, validator};
use crate::exchange::Message;
use crate::gather::Beat;
use muster_api::Host as _;
use muster_ledger::limits::HEARTBEAT_MS;
use muster_ledger::{Head, Time, cosign};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_heads_of_one_size_are_shown() {
    let mut network = Network::start().await;
    let liar = Liar::start(&network, LIAR, Lies::none()).await;
    network.begun().await;
    network.goes_on(2).await;
    network.agree(2).await;
    let head = *network.honest[0].registry.head().unwrap().head();
    for log_root in [head.log_root, [9; 32]] {
        let note = cosign(&Head { log_root, ..head }, &validator(LIAR)).unwrap().to_note();
        liar.exchange.tell_all(&Message::Cosignature(note));
    }
    network.accuse("two-heads").await;
    network.goes_on(2).await;
    network.agree(4).await;
    network.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_one_validator_claims_is_signed_by_nobody_else() {
    let mut network = Network::start().await;
    let liar = Liar::start(&network, LIAR, Lies::none()).await;
    network.begun().await;
    network.goes_on(1).await;
    network.agree(1).await;
    let head = *network.honest[0].registry.head().unwrap().head();
    let key = validator(LIAR);
    let later = Time((Machine.now().0 / HEARTBEAT_MS + 360) * HEARTBEAT_MS);
    let beat = Beat::sign(&network.genesis.network(), head.size, later, &key).unwrap();
    let Beat { size, time, validator, signature } = beat;
    liar.exchange.tell_all(&Message::Beat { size, time, validator, signature });
    let note = cosign(&Head { time: later, ..head }, &key).unwrap().to_note();
    liar.exchange.tell_all(&Message::Cosignature(note));
    // Heartbeats go on, at the time of the others.
    let first = head.time;
    super::network::until("two heartbeats", || {
        network.honest.iter().all(|node| {
            let time = node.registry.head().unwrap().head().time;
            assert!(time <= Machine.now().plus_ms(10_000), "a head of {time:?}");
            time.since(first) >= 2 * HEARTBEAT_MS
        })
    })
    .await;
    network.accuses_nobody();
    network.goes_on(2).await;
    network.close().await;
}
