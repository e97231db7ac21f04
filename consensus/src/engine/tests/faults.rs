//! Engines that stop, are killed, or lie.

use super::network::{Net, items, key, set, until};
use crate::engine::Ended;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn one_of_four_stops_and_catches_up() {
    let mut net = Net::of(4);
    net.pool.add(items("a", 5));
    net.reach(&[0, 1, 2, 3], 5);
    net.stop(2).expect("stops");
    net.pool.add(items("b", 20));
    net.reach(&[0, 1, 3], 25);
    // Nothing is going on when it returns: it must ask by itself.
    net.start(2);
    net.reach(&[2], 25);
    net.pool.add(items("c", 4));
    net.reach(&[0, 1, 2, 3], 29);
    net.agree();
}

#[test]
fn two_of_four_are_no_quorum() {
    let mut net = Net::of(4);
    net.pool.add(items("a", 3));
    net.reach(&[0, 1, 2, 3], 3);
    net.stop(1).expect("stops");
    net.stop(2).expect("stops");
    net.pool.add(items("b", 5));
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!((net.height(0), net.height(3)), (3, 3), "two of four decided");
    net.start(1);
    net.start(2);
    net.reach(&[0, 1, 2, 3], 8);
    net.agree();
}

#[test]
fn all_are_killed_and_go_on() {
    let mut net = Net::of(4);
    let mut wanted = 0;
    for round in 0..4 {
        net.pool.add(items(&format!("round {round}"), 20));
        wanted += 20;
        // In the middle of it, not at a chosen place.
        net.reach(&[0], wanted - 15);
        (0..4).for_each(|i| net.kill(i));
        net.agree();
        (0..4).for_each(|i| net.start(i));
    }
    net.reach(&[0, 1, 2, 3], wanted);
    net.agree();
    assert!(net.nodes.iter().all(|n| n.host.evidence.lock().expect("unpoisoned").is_empty()));
}

#[test]
fn a_liar_does_not_stop_the_others() {
    let net = Net::of(4);
    net.nodes[1].host.lies.store(true, Ordering::Relaxed);
    net.pool.add(items("a", 12));
    net.reach(&[0, 1, 2, 3], 12);
    net.agree();
}

#[test]
fn who_signs_twice_is_seen() {
    // Node 4 has the key of node 3 and another opinion of everything.
    let mut net = Net::new(5, |_| set(4));
    net.nodes[4].signer = Some(key(3));
    net.nodes[4].host.refuses.store(true, Ordering::Relaxed);
    (0..5).for_each(|i| net.start(i));
    // Of two votes the second may come when the height is over: on a busy machine more often.
    let mut seen = Vec::new();
    for round in 1..=10 {
        net.pool.add(items(&format!("round {round}"), 20));
        net.reach(&[0, 1, 2], 20 * round);
        let all =
            net.nodes[..3].iter().map(|n| n.host.evidence.lock().expect("unpoisoned").clone());
        seen = all.flatten().collect();
        if !seen.is_empty() {
            break;
        }
    }
    net.agree();
    assert!(!seen.is_empty(), "nobody saw it");
    for evidence in seen {
        assert_eq!(evidence.validator, key(3).public_key());
        assert_ne!(evidence.first, evidence.second);
        assert!(
            crate::engine::reads(0, &evidence.first) && crate::engine::reads(0, &evidence.second)
        );
    }
}

#[test]
fn a_restored_validator_waits_before_it_votes() {
    let mut net = Net::of(4);
    net.stop(3).expect("stops");
    net.nodes[3].votes_from = 6;
    net.start(3);
    net.pool.add(items("a", 12));
    net.reach(&[0, 1, 2, 3], 12);
    let engine = net.nodes[3].dir.path().join("engine");
    net.stop(3).expect("stops");
    let signed = std::fs::read(engine.join("sign-state")).expect("is there");
    let heights =
        signed.chunks(50).map(|r| u64::from_be_bytes(r[..8].try_into().expect("8 bytes")));
    let lowest = heights.min().expect("it voted");
    assert!((6..=12).contains(&lowest), "it voted at height {lowest}");
}

#[test]
fn who_lost_its_log_follows_until_the_next_height() {
    let mut net = Net::of(4);
    net.pool.add(items("a", 2));
    net.reach(&[0, 1, 2, 3], 2);
    // A height that cannot be decided, in which node 3 voted.
    net.stop(0).expect("stops");
    net.stop(1).expect("stops");
    net.pool.add(items("b", 1));
    until("a vote at height 3", || {
        net.view(3).round.is_some_and(|round| round > 0) || {
            let signed = std::fs::read(net.nodes[3].dir.path().join("engine/sign-state"));
            signed.is_ok_and(|s| s.chunks(50).any(|r| r[..8] == 3u64.to_be_bytes()))
        }
    });
    net.kill(3);
    let engine = net.nodes[3].dir.path().join("engine");
    let signed = std::fs::read(engine.join("sign-state")).expect("is there");
    std::fs::remove_file(engine.join("consensus.log")).expect("removes");
    net.start(3);
    net.start(0);
    net.start(1);
    net.reach(&[0, 1, 2, 3], 3);
    net.pool.add(items("c", 8));
    net.reach(&[0, 1, 2, 3], 11);
    net.agree();
    net.stop(3).expect("stops");
    let after = std::fs::read(engine.join("sign-state")).expect("is there");
    assert!(after.starts_with(&signed));
    let at =
        |h: u64| after[signed.len()..].chunks(50).filter(|r| r[..8] == h.to_be_bytes()).count();
    assert_eq!(at(3), 0, "it voted again at a height whose log it lost");
    assert!((4..=11).any(|h| at(h) > 0), "it never voted again");
}

#[test]
fn what_could_not_be_committed_is_committed_at_the_next_start() {
    let mut net = Net::of(4);
    net.pool.add(items("a", 2));
    net.reach(&[0, 1, 2, 3], 2);
    net.nodes[2].host.broken.store(true, Ordering::Relaxed);
    net.pool.add(items("b", 1));
    net.reach(&[0, 1, 3], 3);
    let said = net.ended(2).expect_err("it cannot commit").to_string();
    assert!(said.contains("height 3") && said.contains("no room"), "{said}");
    (0..4).filter(|i| *i != 2).for_each(|i| assert_eq!(net.stop(i).expect("stops"), Ended::Told));
    net.nodes[2].host.broken.store(false, Ordering::Relaxed);
    // Alone: nobody tells it.
    net.start(2);
    net.reach(&[2], 3);
    net.agree();
}
