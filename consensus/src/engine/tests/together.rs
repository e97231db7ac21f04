//! Engines that do as they should.

use super::network::{Net, items, key, set, until};
use crate::engine::Ended;
use std::time::Duration;

#[test]
fn four_decide_the_same() {
    let mut net = Net::of(4);
    net.pool.add(items("a", 50));
    net.reach(&[0, 1, 2, 3], 50);
    net.agree();
    let mut decided = net.nodes[0].host.chain();
    decided.sort();
    let mut wanted = items("a", 50);
    wanted.sort();
    assert_eq!(decided, wanted);
    let view = net.view(0);
    assert_eq!((view.decided, view.heights), (50, 50));
    assert!(view.last_votes.len() >= 3, "{view:?}");
    assert!(view.votes.values().sum::<u64>() >= 150, "{view:?}");
    until("three peers", || net.view(0).peers == 3);
    for i in 0..4 {
        assert_eq!(net.stop(i).expect("stops"), Ended::Told);
    }
    // Everything is free: they start again in the same process and go on.
    (0..4).for_each(|i| net.start(i));
    net.pool.add(items("b", 5));
    net.reach(&[0, 1, 2, 3], 55);
    net.agree();
}

#[test]
fn nothing_to_decide_begins_no_height() {
    let mut net = Net::of(4);
    let idle = |net: &Net, decided: u64, what: &str| {
        std::thread::sleep(Duration::from_secs(4));
        for i in 0..4 {
            let view = net.view(i);
            assert_eq!((view.decided, view.height), (decided, decided + 1), "{what}, node {i}");
            assert_eq!(view.round, None, "{what}: node {i} began a height");
        }
    };
    idle(&net, 0, "at the start");
    net.pool.add(items("a", 3));
    net.reach(&[0, 1, 2, 3], 3);
    idle(&net, 3, "after a decision");
    net.stop(3).expect("stops");
    net.start(3);
    idle(&net, 3, "after a restart");
    net.pool.add(items("b", 1));
    net.reach(&[0, 1, 2, 3], 4);
}

#[test]
fn a_large_proposal_passes() {
    let net = Net::of(4);
    net.pool.add((0..3).map(|i| vec![i; (1 << 20) + 5_000]));
    net.reach(&[0, 1, 2, 3], 3);
    net.agree();
}

#[test]
fn a_validator_joins_and_an_access_node_follows() {
    // Node 4 is a validator from height 6 on; node 5 never.
    let mut net = Net::new(6, |height| set(if height < 6 { 4 } else { 5 }));
    net.nodes[5].signer = None;
    (0..6).for_each(|i| net.start(i));
    net.pool.add(items("a", 30));
    net.reach(&[0, 1, 2, 3, 4, 5], 30);
    net.agree();
    // Its votes count: with two of five stopped, three are no quorum of more than two thirds.
    net.stop(0).expect("stops");
    net.pool.add(items("b", 8));
    net.reach(&[1, 2, 3, 4, 5], 38);
    net.agree();
    assert!(net.view(1).last_votes.contains(&key(4).public_key()), "{:?}", net.view(1));
    net.stop(1).expect("stops");
    net.pool.add(items("c", 1));
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(net.height(2), 38, "three of five decided");
}
