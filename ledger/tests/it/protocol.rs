//! A protocol version that rises at a named height.

use crate::chained::Ledger;
use crate::governed::solo;
use crate::network::{Org, World, batch};
use muster_identity::SecretKey;
use muster_identity::cbor::Writer;
use muster_ledger::{
    Action, Block, ChainFault, Error, NextProtocol, Refusal, SignedOperation, UpgradeProtocol,
    View, WithdrawGrant,
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
    say(&mut ledger, &maker.root, announce(1, Some((2, 4)))).unwrap();
    let ahead = ledger.chain.upgrade_ahead().unwrap().unwrap();
    assert!(!ahead.due);
    let says = "the network goes to protocol 2 at height 4; this program knows up to 1";
    assert_eq!(ahead.to_string(), says);
    ledger.enrol("second", 2);
    assert!(!ledger.chain.upgrade_ahead().unwrap().unwrap().due);
    ledger.enrol("third", 2);
    assert_eq!(ledger.chain.height(), 3);
    let due = ledger.chain.upgrade_ahead().unwrap().unwrap();
    assert_eq!((due.due, due.to_string()), (true, format!("upgrade needed: {says}")));
    // Not even what would take it back.
    let needs = Refusal::Upgrade { version: 2, height: 4, known: 1 };
    for (key, action) in [
        (&maker.root, announce(2, None)),
        (&maker.root, announce(2, Some((2, 9)))),
        (&maker.approve, Action::WithdrawGrant(WithdrawGrant { grant: ledger.genesis.grant_id() })),
    ] {
        assert_eq!(refusal(say(&mut ledger, key, action)), needs);
    }
    assert_eq!(needs.code(), "upgrade-needed");
}

#[test]
fn taken_back_in_time_it_never_comes() {
    let (mut ledger, maker) = (solo(1), Org::new("maker"));
    say(&mut ledger, &maker.root, announce(1, Some((2, 3)))).unwrap();
    say(&mut ledger, &maker.root, announce(2, None)).unwrap();
    assert_eq!(ledger.chain.upgrade_ahead(), Ok(None));
    ledger.enrol("third", 2);
    assert_eq!(ledger.chain.height(), 3);
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
    say(&mut ledger, &maker.root, announce(1, Some((2, 3)))).unwrap();
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
    assert_eq!(due.height, 3);
    assert!(matches!(
        ledger.chain.extend(&due),
        Err(ChainFault::Operation { height: 3, error: Error::Upgrade(_), .. })
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
            refusal: Refusal::Upgrade { version: 2, height: 3, known: 1 },
            ..
        })
    ));
}
