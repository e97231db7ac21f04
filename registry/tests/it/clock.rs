use crate::network::Network;
use muster_api::Host as _;
use muster_ledger::{Action, Revoke};

const DAY: u64 = 24 * 3_600_000;

async fn revoke(network: &Network, n: u64) -> Result<u64, muster_api::Problem> {
    let target = network.target(&network.device(n)).await;
    let action = Action::Revoke(Revoke { target, reason: String::new() });
    network.act(action).await.map(|proof| proof.index)
}

/// Lets the node's own task run, and its next heartbeat come.
async fn heartbeat() {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_millis(10_001)).await;
    tokio::time::resume();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_signs_nothing() {
    let network = Network::new().await;
    network.enrol(&network.devices(0..4)).await;
    let signed = *network.registry.head().unwrap().head();
    network.host.advance(2 * DAY);
    heartbeat().await;
    assert_eq!(*network.registry.head().unwrap().head(), signed);
    assert!(network.registry.metrics().await.contains("\nmuster_failing 1\n"));
    let problem = revoke(&network, 0).await.unwrap_err();
    assert_eq!((problem.code(), problem.status), ("clock", 503));
    assert!(problem.detail.unwrap().contains("must set its clock right"));
    let problem = network.registry.open_upload(&network.request(1, false)).await.unwrap_err();
    assert_eq!(problem.code(), "clock");
    // It is right again, and nothing of the jump is on the ledger.
    network.host.set_back(2 * DAY);
    assert_eq!(revoke(&network, 0).await, Ok(1));
    assert!(network.registry.metrics().await.contains("\nmuster_failing 0\n"));
    assert!(network.registry.head().unwrap().head().time <= network.host.now().plus_ms(10));
}

#[tokio::test]
async fn a_machine_that_was_suspended_goes_on() {
    let network = Network::new().await;
    network.enrol(&network.devices(0..4)).await;
    network.host.sleep(2 * DAY);
    assert_eq!(revoke(&network, 0).await, Ok(1));
    heartbeat().await;
    // Once more, and this time the clock says more than was slept.
    network.host.sleep(2 * DAY);
    network.host.advance(DAY);
    assert_eq!(revoke(&network, 1).await.unwrap_err().code(), "clock");
    network.host.set_back(DAY);
    assert_eq!(revoke(&network, 1).await, Ok(2));
}

#[tokio::test]
async fn a_clock_is_corrected_and_time_passes() {
    let network = Network::new().await;
    network.enrol(&network.devices(0..5)).await;
    // Less than a minute, back by more and there again: all of it is a correction.
    network.host.advance(59_000);
    revoke(&network, 0).await.unwrap();
    network.host.set_back(300_000);
    revoke(&network, 1).await.unwrap();
    heartbeat().await;
    network.host.advance(300_000);
    revoke(&network, 2).await.unwrap();
    // A day passes for both clocks.
    network.pass(DAY).await;
    revoke(&network, 3).await.unwrap();
}

#[tokio::test]
async fn a_node_that_was_off_for_days_starts() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..1)).await;
    network.registry.close().await;
    network.host.advance(2 * DAY);
    network.reopen().await.unwrap();
    revoke(&network, 0).await.unwrap();
}
