use crate::town::{Town, folder_has};

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
