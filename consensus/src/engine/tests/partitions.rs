//! Engines that do not hear each other for a while.

use super::network::{Net, items, until};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
fn a_node_that_waits_hears_of_what_it_missed() {
    let mut net = Net::wired(4);
    net.pool.add(items("a", 3));
    net.reach(&[0, 1, 2, 3], 3, 30);
    // It knows of nothing to decide, so nothing but its peers can make it begin a height.
    net.nodes[2].host.blind.store(true, Ordering::Relaxed);
    net.apart(&[2], true);
    net.pool.add(items("b", 5));
    net.reach(&[0, 1, 3], 8, 60);
    assert_eq!((net.height(2), net.view(2).round), (3, None));
    net.apart(&[2], false);
    net.reach(&[2], 8, 20);
    assert_eq!(net.view(2).round, None, "it waits again");
    net.pool.add(items("c", 3));
    net.reach(&[0, 1, 2, 3], 11, 30);
    net.agree();
}

#[test]
fn two_halves_decide_nothing_and_go_on_when_they_meet() {
    let mut net = Net::wired(4);
    net.pool.add(items("a", 3));
    net.reach(&[0, 1, 2, 3], 3, 30);
    net.apart(&[0, 1], true);
    net.pool.add(items("b", 3));
    std::thread::sleep(Duration::from_secs(12));
    let heights: Vec<u64> = (0..4).map(|i| net.height(i)).collect();
    assert_eq!(heights, [3; 4], "a half decided");
    net.apart(&[0, 1], false);
    let healed = Instant::now();
    net.reach(&[0, 1, 2, 3], 4, 20);
    println!("decided {:?} after the halves met", healed.elapsed());
    net.reach(&[0, 1, 2, 3], 6, 20);
    net.agree();
}

#[test]
fn a_node_alone_rests() {
    // It has something to decide and nobody to decide it with: it stays in one round.
    let mut net = Net::wired(4);
    net.pool.add(items("a", 1));
    net.reach(&[0, 1, 2, 3], 1, 30);
    net.apart(&[3], true);
    net.pool.add(items("b", 4));
    net.reach(&[0, 1, 2], 5, 60);
    std::thread::sleep(Duration::from_secs(3));
    assert!(net.view(3).round.is_none_or(|round| round <= 2), "{:?}", net.view(3));
    net.apart(&[3], false);
    until("all are at height 5", 20, || net.height(3) == 5);
    net.agree();
}
