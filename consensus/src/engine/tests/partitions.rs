//! Engines that do not hear each other for a while.

use super::network::{Net, items, key, set, until};
use crate::engine::context::{Height, ValueId};
use crate::engine::sign_state::{SignState, Step};
use malachite::app::types::core::{NilOrVal, Round};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
fn a_node_that_waits_hears_of_what_it_missed() {
    let mut net = Net::wired(4);
    net.pool.add(items("a", 3));
    net.reach(&[0, 1, 2, 3], 3);
    // It knows of nothing to decide, so nothing but its peers can make it begin a height.
    net.nodes[2].host.blind.store(true, Ordering::Relaxed);
    net.apart(&[2], true);
    net.pool.add(items("b", 5));
    net.reach(&[0, 1, 3], 8);
    assert_eq!((net.height(2), net.view(2).round), (3, None));
    net.apart(&[2], false);
    net.reach(&[2], 8);
    assert_eq!(net.view(2).round, None, "it waits again");
    net.pool.add(items("c", 3));
    net.reach(&[0, 1, 2, 3], 11);
    net.agree();
}

#[test]
fn two_halves_decide_nothing_and_go_on_when_they_meet() {
    let mut net = Net::wired(4);
    net.pool.add(items("a", 3));
    net.reach(&[0, 1, 2, 3], 3);
    net.apart(&[0, 1], true);
    net.pool.add(items("b", 3));
    std::thread::sleep(Duration::from_secs(12));
    let heights: Vec<u64> = (0..4).map(|i| net.height(i)).collect();
    assert_eq!(heights, [3; 4], "a half decided");
    net.apart(&[0, 1], false);
    let healed = Instant::now();
    net.reach(&[0, 1, 2, 3], 4);
    println!("decided {:?} after the halves met", healed.elapsed());
    net.reach(&[0, 1, 2, 3], 6);
    net.agree();
}

#[test]
fn a_node_alone_rests() {
    // It has something to decide and nobody to decide it with: it stays in one round.
    let mut net = Net::wired(4);
    net.pool.add(items("a", 1));
    net.reach(&[0, 1, 2, 3], 1);
    net.apart(&[3], true);
    net.pool.add(items("b", 4));
    net.reach(&[0, 1, 2], 5);
    std::thread::sleep(Duration::from_secs(3));
    assert!(net.view(3).round.is_none_or(|round| round <= 2), "{:?}", net.view(3));
    net.apart(&[3], false);
    until("all are at height 5", || net.height(3) == 5);
    net.agree();
}

#[test]
fn what_was_prevoted_in_time_is_not_too_old_later() {
    let mut net = Net::wired_off(4);
    // Who proposes height 1 in round 0, one who will not hear of it, one who cannot precommit it.
    let proposer = (0..4).find(|i| key(*i as u8).public_key() == set(4).0[1]).expect("a validator");
    let others: Vec<usize> = (0..4).filter(|i| *i != proposer).collect();
    let (deaf, mute, other) = (others[0], others[1], others[2]);
    let engine = net.nodes[mute].dir.path().join("engine");
    std::fs::create_dir(&engine).expect("a folder");
    let mut signed = SignState::open(&engine.join("sign-state"), Height(0)).expect("opens");
    let elsewhere = NilOrVal::Val(ValueId([9; 32]));
    let refused = signed.allow(Height(1), Round::new(0), Step::Precommit, elsewhere);
    refused.expect("is written");
    // The log of a validator that signed something is there.
    drop(signed);
    std::fs::write(engine.join("consensus.log"), [&[0, 0, 0, 1][..], &[0; 8]].concat())
        .expect("writes");
    net.apart(&[deaf], true);
    (0..4).for_each(|i| net.start(i));
    until("they are connected", || net.view(proposer).peers >= 2);
    net.pool.add(items("a", 1));
    let voted = |net: &Net, i: usize| {
        let signed = std::fs::read(net.nodes[i].dir.path().join("engine/sign-state"));
        signed.is_ok_and(|s| s.chunks(50).any(|r| r[12] == Step::Precommit as u8 && r[13] == 1))
    };
    until("two are locked", || voted(&net, proposer) && voted(&net, other));
    net.stop(mute).expect("stops");
    // From now on what was proposed is too old, and the one who did not hear of it must help.
    net.nodes[deaf].host.refuses.store(true, Ordering::Relaxed);
    net.apart(&[deaf], false);
    net.reach(&[proposer, other, deaf], 1);
    net.agree();
}
