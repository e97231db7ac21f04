//! A validator that was put back from a copy of its ledger.

use crate::town::Town;
use std::fs;
use std::time::Duration;
use tokio::time::timeout;

/// As long as a promise may reach.
const PROMISE_MS: u64 = 10 * 60 * 1_000;

/// It does not know what it promised before, so it says of no batch that it is ready until that is
/// over. Blocks it votes for as soon as the others are past what it may have voted on.
#[tokio::test(flavor = "multi_thread")]
async fn it_promises_nothing_until_its_promises_are_over() {
    let mut town = Town::new(4).await;
    town.agree(0).await;
    let devices = town.devices(0..4);
    town.enrol(0, &devices).await.unwrap();
    town.agree(1).await;
    town.kill(3);
    let dir = town.nodes[3].dir.path().to_owned();
    fs::remove_dir_all(dir.join("consensus")).unwrap();
    let promises = dir.join("node/promises");
    // If it promised the first batch before three others had: that is what it does not know now.
    let _ = fs::remove_file(promises);
    town.start(3).await;
    for device in &devices[..2] {
        town.revoke(0, device).await.unwrap();
    }
    town.agree(3).await;

    // The others are enough without it.
    town.enrol(1, &town.devices(10..14)).await.unwrap();
    // With one away, all three that are left are asked: it votes for a block, and not for a batch.
    town.kill(2);
    town.revoke(0, &devices[2]).await.unwrap();
    let more = town.devices(20..24);
    let mut enrolled = Box::pin(town.enrol(0, &more));
    let waits = timeout(Duration::from_secs(10), &mut enrolled).await;
    assert!(waits.is_err(), "the batch was promised by one that may have promised another");
    town.revoke(1, &devices[3]).await.unwrap();
    let told = fs::read_to_string(dir.join("node/promises")).unwrap_or_default();
    assert_eq!(told, "", "nothing was promised");

    // Ten minutes of the ledger's time pass.
    for node in &town.nodes {
        node.clock.sleep(PROMISE_MS + 60_000);
    }
    let enrolled = timeout(Duration::from_secs(60), enrolled).await;
    enrolled.expect("its promises are over").unwrap();
    town.agree(7).await;
    // A restart does not begin it anew.
    town.kill(3);
    town.start(3).await;
    town.enrol(1, &town.devices(30..34)).await.unwrap();
    town.agree(8).await;
}
