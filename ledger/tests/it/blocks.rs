//! Chains: what extends them, and what their checkpoints must say.

use crate::chained::Ledger;
use crate::network::{Org, batch, checkpoint, ed25519};
use muster_identity::cbor::{Decode, Encode};
use muster_ledger::{
    Action, Block, Chain, ChainFault, Entry, Error, Head, NoteFault, Refusal, Revoke,
    SignedOperation, Time, View, WithdrawGrant, limits,
};

fn withdraw(ledger: &Ledger) -> SignedOperation {
    let maker = Org::new("maker");
    let grant = ledger.genesis.grant_id();
    ledger.sign(maker.did, &maker.approve, Action::WithdrawGrant(WithdrawGrant { grant }))
}

fn why(ledger: &Ledger, block: &Block) -> ChainFault {
    ledger.chain.extend(block).expect_err("an invalid block")
}

#[test]
fn height_and_time_follow() {
    let mut ledger = Ledger::new(1);
    let good = ledger.block(vec![withdraw(&ledger)]);
    for height in [0, 2, u64::MAX] {
        let fault = why(&ledger, &Block { height, ..good.clone() });
        assert_eq!(fault, ChainFault::Block { height, why: "it does not follow the last block" });
    }
    for time in [Time(0), ledger.chain.time()] {
        let fault = why(&ledger, &Block { time, ..good.clone() });
        let why = "its time is not after the last block's";
        assert_eq!(fault, ChainFault::Block { height: 1, why });
    }
    let (height, why_size) = (1, "a block has 1 to 1,024 operations");
    for operations in [vec![], vec![withdraw(&ledger); limits::BLOCK_OPERATIONS + 1]] {
        let fault = why(&ledger, &Block { operations, ..good.clone() });
        assert_eq!(fault, ChainFault::Block { height, why: why_size });
    }
    let operations = vec![SignedOperation(vec![0; limits::OPERATION_BYTES]); 64];
    let fault = why(&ledger, &Block { operations, ..good.clone() });
    assert_eq!(fault, ChainFault::Block { height, why: "a block has at most 1,048,576 bytes" });

    ledger.commit(&good);
    assert_eq!((ledger.chain.height(), ledger.chain.size()), (1, 1));
    assert_eq!(ledger.chain.time(), good.time);
    assert!(matches!(why(&ledger, &good), ChainFault::Block { .. }), "not twice");
}

#[test]
fn a_block_with_one_bad_operation_is_invalid_whole() {
    let ledger = Ledger::new(1);
    let good = withdraw(&ledger);
    let root = ledger.chain.state().root();
    let refused = ledger.block(vec![good.clone(), good.clone()]);
    let fault = why(&ledger, &refused);
    assert!(matches!(
        fault,
        ChainFault::Refused { height: 1, index: 1, refusal: Refusal::Grant { .. } }
    ));
    let mut bytes = good.0.clone();
    *bytes.last_mut().unwrap() ^= 1;
    let forged = ledger.block(vec![good, SignedOperation(bytes)]);
    let fault = why(&ledger, &forged);
    let error = Error::Identity(muster_identity::Error::Signature);
    assert_eq!(fault, ChainFault::Operation { height: 1, index: 1, error });
    assert_eq!((ledger.chain.state().root(), ledger.chain.size()), (root, 0));
}

/// An operation sees what earlier ones of its block did.
#[test]
fn operations_of_a_block_follow_each_other() {
    let mut ledger = Ledger::new(1);
    let maker = Org::new("maker");
    let network = ledger.chain.network();
    let batch = batch(&network, &maker.did, ledger.genesis.grant_id(), "a", 2);
    let enrol = ledger.sign(maker.did, &maker.enrol, Action::Enrol(batch.enrol.clone()));
    let revoke = Revoke { target: batch.devices[0].target(), reason: String::new() };
    let revoke = ledger.sign(maker.did, &maker.operate, Action::Revoke(revoke));
    let backwards = ledger.block(vec![revoke.clone(), enrol.clone()]);
    assert!(matches!(why(&ledger, &backwards), ChainFault::Refused { index: 0, .. }));
    let block = ledger.block(vec![enrol, revoke]);
    let (chain, changes) = ledger.chain.extend(&block).unwrap();
    assert_eq!(ledger.chain.state().with(&changes).root(), chain.state().root());
    // One at a time, as a proposer does, it is the same ledger.
    let mut step = ledger.chain.clone();
    for entry in block.entries() {
        let verified = entry.operation.verify().unwrap();
        let changes = step.try_apply(&verified, block.time).unwrap();
        step = step.push(&entry.to_cbor(), &changes);
    }
    assert_eq!(step.state().root(), chain.state().root());
    assert_eq!(step.head(block.time).unwrap().log_root, chain.head(block.time).unwrap().log_root);
    ledger.commit(&block);
    assert!(ledger.chain.state().device(&batch.devices[0].did).unwrap().unwrap().standing.revoked);
}

#[test]
fn entries_make_the_same_blocks() {
    let mut ledger = Ledger::new(1);
    let (a, b) = (ledger.enrol("a", 1), ledger.enrol("b", 2));
    let maker = Org::new("maker");
    let revoke = |batch: &crate::network::Batch| {
        let revoke = Revoke { target: batch.devices[0].target(), reason: "x".into() };
        ledger.sign(maker.did, &maker.operate, Action::Revoke(revoke))
    };
    let block = ledger.block(vec![revoke(&a), revoke(&b)]);
    ledger.commit(&block);
    let entries = || ledger.entries.iter().map(|bytes| Entry::from_cbor(bytes).unwrap());
    let blocks = Block::from_entries(entries()).unwrap();
    assert_eq!(blocks.iter().map(|b| b.operations.len()).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(blocks[2], block);
    let mut replay = Chain::new(&ledger.genesis);
    for block in &blocks {
        replay = replay.extend(block).unwrap().0;
    }
    assert_eq!(replay.head(Time(0)), ledger.chain.head(Time(0)));
    let mut torn: Vec<Entry> = entries().collect();
    torn[3].time = torn[3].time.plus_ms(1);
    assert_eq!(Block::from_entries(torn), Err(Error::Bound("one block with two times")));
}

#[test]
fn a_checkpoint_states_what_the_operations_give() {
    let mut ledger = Ledger::new(4);
    ledger.enrol("a", 3);
    let head = ledger.chain.head(ledger.chain.time()).unwrap();
    let check = |head: &Head, signers: usize| {
        ledger.chain.check(&checkpoint(head, &ledger.validators[..signers]))
    };
    assert_eq!(check(&head, 3).unwrap().head(), &head);
    let quorum = NoteFault::Quorum { good: 2, needed: 3 };
    assert_eq!(check(&head, 2), Err(ChainFault::Checkpoint(quorum)));
    // Signed again later, with no new block: the same ledger.
    let later = Head { time: head.time.plus_ms(10_000), ..head };
    assert!(check(&later, 3).is_ok() && later.same_ledger(&head));
    let altered: [(&str, Head); 6] = [
        ("size", Head { size: head.size + 1, ..head }),
        ("log root", Head { log_root: [1; 32], ..head }),
        ("height", Head { height: head.height + 1, ..head }),
        ("state root", Head { state_root: [1; 32], ..head }),
        ("next validator set", Head { validators: [1; 32], ..head }),
        ("time", Head { time: Time(head.time.0 - 1), ..head }),
    ];
    for (what, bad) in altered {
        assert_eq!(check(&bad, 4), Err(ChainFault::Mismatch(what)));
    }
    let elsewhere = Head { network: muster_ledger::Network([1; 32]), ..head };
    assert_eq!(check(&elsewhere, 4), Err(ChainFault::Checkpoint(NoteFault::Network)));
    let strangers = [ed25519("x"), ed25519("y"), ed25519("z")];
    let fault = ledger.chain.check(&checkpoint(&head, &strangers));
    let quorum = NoteFault::Quorum { good: 0, needed: 3 };
    assert_eq!(fault, Err(ChainFault::Checkpoint(quorum)));
}

#[test]
fn the_head_of_an_empty_ledger() {
    let ledger = Ledger::new(1);
    let head = ledger.chain.head(Time(0)).unwrap();
    assert_eq!((head.size, head.height, head.time), (0, 0, ledger.genesis.time));
    assert_eq!(head.log_root, muster_ledger::merkle::empty_root());
    assert_eq!(head.validators, ledger.genesis.validators.hash());
    assert!(ledger.chain.check(&checkpoint(&head, &ledger.validators)).is_ok());
}
