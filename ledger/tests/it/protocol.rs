//! A protocol version that rises at a named height.

use crate::chained::Ledger;
use crate::governed::solo;
use crate::network::{Org, World, batch};
use muster_identity::SecretKey;
use muster_identity::cbor::Writer;
use muster_ledger::{
    Action, Block, ChainFault, Error, NextProtocol, Operation, Refusal, SignedOperation,
    UpgradeProtocol, View, WithdrawGrant, limits,
};

fn announce(seq: u64, next: Option<(u64, u64)>) -> Action {
    let next = next.map(|(version, height)| NextProtocol { version, height });
    Action::UpgradeProtocol(UpgradeProtocol { seq, next })
}

fn say(ledger: &mut Ledger, key: &SecretKey, action: Action) -> Result<(), ChainFault> {
    let signed = ledger.sign(Org::new("maker").did, key, action);
    let block = ledger.block(vec![signed]);
    let chain = ledger.chain.extend(&block)?.0;
    ledger.chain = chain;
    Ok(())
}

/// Announces version 2, and confirms it as soon as that is taken.
fn announce_for_good(ledger: &mut Ledger, height: u64) {
    let (root, next) = (Org::new("maker").root, Some((2, height)));
    say(ledger, &root, announce(1, next)).unwrap();
    say_later(ledger, &root, announce(2, next), limits::UPGRADE_NOTICE_MS).unwrap();
}

/// In a block so much later than the last.
fn say_later(
    ledger: &mut Ledger,
    key: &SecretKey,
    action: Action,
    ms: u64,
) -> Result<(), ChainFault> {
    let (time, network) = (ledger.chain.time().plus_ms(ms), ledger.chain.network());
    let author = Org::new("maker").did;
    let operation = Operation { network, author, valid_until: time, action };
    let signed = operation.sign(key).unwrap();
    let block = Block { height: ledger.chain.height() + 1, time, operations: vec![signed] };
    ledger.chain = ledger.chain.extend(&block)?.0;
    Ok(())
}

fn refusal(fault: Result<(), ChainFault>) -> Refusal {
    match fault {
        Err(ChainFault::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_version_is_announced_replaced_and_taken_back() {
    let mut world = World::new().governed(None);
    let mut does = |seq, next| world.maker_does(announce(seq, next)).map(drop);
    let limit = |result: Result<(), Refusal>| matches!(result, Err(Refusal::Limit(_)));
    assert!(limit(does(1, None)), "nothing is announced");
    for version in [0, 1, 3, u64::MAX] {
        assert!(limit(does(1, Some((version, 100)))), "{version} does not follow 1");
    }
    for height in [0, 1] {
        assert!(limit(does(1, Some((2, height)))), "the block itself, or one that is past");
    }
    does(1, Some((2, 2))).unwrap();
    assert!(limit(does(2, Some((2, 2)))), "said already");
    does(2, Some((2, 50))).unwrap();
    does(3, None).unwrap();
    assert_eq!(world.state.protocol().map(|p| (p.version, p.next)), Ok((1, None)));
    let rival = Org::new("rival");
    let refused = world.does(rival.did, &rival.root, announce(0, Some((2, 90))));
    assert_eq!(refused, Err(Refusal::Limit("the validators are not all of this organisation")));
    let approve = Org::new("maker").approve;
    let refused = world.does(world.maker.did, &approve, announce(4, Some((2, 90))));
    assert!(matches!(refused, Err(Refusal::Capability { needs: "root", .. })));
}

#[test]
fn all_goes_on_before_the_height_and_nothing_from_it_on() {
    let (mut ledger, maker) = (solo(1), Org::new("maker"));
    announce_for_good(&mut ledger, 4);
    let ahead = ledger.chain.upgrade_ahead().unwrap().unwrap();
    assert!(!ahead.due);
    let says = "the network goes to protocol 2 at height 4; this program knows up to 1";
    assert_eq!(ahead.to_string(), says);
    ledger.enrol("third", 2);
    assert_eq!(ledger.chain.height(), 3);
    let due = ledger.chain.upgrade_ahead().unwrap().unwrap();
    assert_eq!((due.due, due.to_string()), (true, format!("upgrade needed: {says}")));
    // Not even what would take it back.
    let needs = Refusal::Upgrade { version: 2, height: 4, known: 1 };
    for (key, action) in [
        (&maker.root, announce(3, None)),
        (&maker.root, announce(3, Some((2, 9)))),
        (&maker.approve, Action::WithdrawGrant(WithdrawGrant { grant: ledger.genesis.grant_id() })),
    ] {
        assert_eq!(refusal(say(&mut ledger, key, action)), needs);
    }
    assert_eq!(needs.code(), "upgrade-needed");
}

/// Whoever has a stolen root key reaches any height as fast as operations are taken, but not a day.
#[test]
fn what_nobody_confirms_a_day_later_never_comes() {
    let (mut ledger, root) = (solo(1), Org::new("maker").root);
    let limit = |fault| matches!(refusal(fault), Refusal::Limit(_));
    say(&mut ledger, &root, announce(1, Some((2, 3)))).unwrap();
    let ahead = ledger.chain.upgrade_ahead().unwrap().unwrap();
    assert_eq!((ahead.confirmed, ahead.due), (false, false));
    let says = "protocol 2 is announced for height 3 and not confirmed; this program knows up to 1";
    assert_eq!(ahead.to_string(), says);
    let day = limits::UPGRADE_NOTICE_MS;
    let early = say_later(&mut ledger, &root, announce(2, Some((2, 3))), day - 1);
    assert!(limit(early), "a millisecond too early");
    // Its height is reached and passed.
    for seed in ["second", "third", "fourth"] {
        ledger.enrol(seed, 2);
    }
    assert_eq!((ledger.chain.height(), ledger.chain.state().protocol().unwrap().at(4)), (4, 1));
    assert!(limit(say_later(&mut ledger, &root, announce(2, Some((2, 3))), day)), "it is past");
    // Another height has a day of its own.
    say(&mut ledger, &root, announce(2, Some((2, 7)))).unwrap();
    say_later(&mut ledger, &root, announce(3, Some((2, 9))), day).unwrap();
    let protocol = ledger.chain.state().protocol().unwrap();
    assert_eq!((protocol.at(9), protocol.next.map(|next| next.height)), (1, Some(9)));
    say_later(&mut ledger, &root, announce(4, Some((2, 9))), day).unwrap();
    let protocol = ledger.chain.state().protocol().unwrap();
    assert_eq!((protocol.at(8), protocol.at(9), protocol.confirm_from), (1, 2, None));
    assert!(limit(say(&mut ledger, &root, announce(5, Some((2, 9))))), "it is confirmed");
}

#[test]
fn taken_back_in_time_it_never_comes() {
    let (mut ledger, maker) = (solo(1), Org::new("maker"));
    announce_for_good(&mut ledger, 4);
    say(&mut ledger, &maker.root, announce(3, None)).unwrap();
    assert_eq!(ledger.chain.upgrade_ahead(), Ok(None));
    ledger.enrol("fourth", 2);
    assert_eq!(ledger.chain.height(), 4);
}

/// An operation of a version to come, as far as its format is fixed: the version, and nothing else.
fn of_version(version: u64) -> SignedOperation {
    let mut payload = Writer::default();
    payload.map(2).uint(1).uint(version).uint(77).text("what nobody knows yet");
    let mut w = Writer::default();
    w.array(4).bytes(b"a new header").map(0).bytes(&payload.into_bytes()).bytes(&[7; 3_309]);
    SignedOperation(w.into_bytes())
}

#[test]
fn where_the_network_goes_on_this_program_stops() {
    let (mut ledger, maker) = (solo(1), Org::new("maker"));
    announce_for_good(&mut ledger, 4);
    let size = ledger.chain.size();
    let before = ledger.chain.clone();
    let extended = |block: &Block| before.extend(block).map(drop);
    // Before the height nothing of the later version is in order, and this program cannot say more.
    let early = ledger.block(vec![of_version(2)]);
    let upgrade = |index| ChainFault::Operation {
        height: before.height() + 1,
        index,
        error: Error::Upgrade("another protocol version"),
    };
    assert_eq!(extended(&early), Err(upgrade(size)));
    // Behind others that are known, too: a block is taken whole or not at all.
    let known = batch(&ledger.chain.network(), &maker.did, ledger.genesis.grant_id(), "known", 2);
    let known = ledger.sign(maker.did, &maker.enrol, Action::Enrol(known.enrol));
    let mixed = ledger.block(vec![known.clone(), of_version(2)]);
    assert_eq!(extended(&mixed), Err(upgrade(size + 1)));
    ledger.commit(&ledger.block(vec![known]));
    let due = ledger.block(vec![of_version(2)]);
    assert_eq!(due.height, 4);
    assert!(matches!(
        ledger.chain.extend(&due),
        Err(ChainFault::Operation { height: 4, error: Error::Upgrade(_), .. })
    ));
    // An operation of the first version at that height is no longer one of the network's.
    let late = ledger.sign(
        maker.did,
        &maker.approve,
        Action::WithdrawGrant(WithdrawGrant { grant: ledger.genesis.grant_id() }),
    );
    let late = ledger.block(vec![late]);
    assert!(matches!(
        ledger.chain.extend(&late),
        Err(ChainFault::Refused {
            refusal: Refusal::Upgrade { version: 2, height: 4, known: 1 },
            ..
        })
    ));
}
