use crate::town::{Town, folder_has, validator_set};
use muster_ledger::{Action, ChangeValidators, View as _};

/// Devices enrolled through one node are on all, by leaves that travelled; what is private stays.
#[tokio::test(flavor = "multi_thread")]
async fn four_nodes_enrol_and_revoke() {
    let town = Town::new(4).await;
    town.agree(0).await;
    let devices = town.devices(0..600);
    town.enrol(0, &devices).await.unwrap();
    town.agree(1).await;
    for n in 0..4 {
        let registry = town.nodes[n].up();
        town.wait("the leaves are everywhere", async |_| {
            registry.device_part(&devices[599].did).await.unwrap().is_some()
        })
        .await;
    }
    town.revoke(3, &devices[7]).await.unwrap();
    town.agree(2).await;
    let serial = &devices[3].serial;
    assert!(folder_has(town.nodes[0].dir.path(), serial));
    for n in 1..4 {
        assert!(!folder_has(town.nodes[n].dir.path(), "PRIVATE-"), "node {n}");
    }
}

/// One of four is killed, the others go on, it comes back and catches up.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_four_is_killed_and_returns() {
    let mut town = Town::new(4).await;
    town.agree(0).await;
    let devices = town.devices(0..40);
    town.enrol(0, &devices).await.unwrap();
    town.agree(1).await;
    town.kill(1);
    for device in &devices[..20] {
        town.revoke(2, device).await.unwrap();
    }
    town.start(1).await;
    town.agree(21).await;
    town.revoke(1, &devices[20]).await.unwrap();
    town.agree(22).await;
}

/// One validator becomes four and then three, live: the new ones take the block that makes them
/// validators under the signatures of the old ones, and who leaves follows.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_grows_and_shrinks() {
    let town = Town::with(4, 1).await;
    town.agree(0).await;
    let devices = town.devices(0..300);
    town.enrol(2, &devices).await.unwrap();
    town.agree(1).await;
    let change =
        |seq, of| Action::ChangeValidators(ChangeValidators { seq, validators: validator_set(of) });
    town.act(1, change(1, 0..4)).await.unwrap();
    town.agree(2).await;
    town.revoke(3, &devices[0]).await.unwrap();
    town.agree(3).await;
    town.act(0, change(2, 1..4)).await.unwrap();
    town.agree(4).await;
    town.revoke(0, &devices[1]).await.unwrap();
    town.agree(5).await;
    let chain = town.nodes[0].up().chain().unwrap();
    assert_eq!(chain.state().validators().unwrap(), validator_set(1..4));
}
