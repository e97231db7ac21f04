//! Snapshots: what goes in comes out, and nothing else does.

mod crafted;

use crate::chained::Ledger;
use crate::histories::{History, alone, replay, steps};
use crate::network::{checkpoint, genesis, validators};
use crafted::Crafted;
use muster_ledger::{
    Alone, Chain, Join, QuorumCheckpoint, Snapshot, SnapshotFault, State, StateKey, Time, View,
};
use proptest::prelude::*;

/// Two threads.
struct Both;

impl Join for Both {
    fn join<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        std::thread::scope(|scope| {
            let b = scope.spawn(b);
            (a(), b.join().unwrap())
        })
    }
}

type Checked = Result<(Chain, QuorumCheckpoint), SnapshotFault>;

/// As a follower checks it that has nothing but the genesis.
fn check(bytes: &[u8], validator_count: usize) -> Checked {
    let genesis = genesis(validator_count);
    Snapshot::parse(bytes)?.check(&genesis.network(), &genesis.validators, &Both)
}

fn signed(chain: &Chain, validator_count: usize) -> QuorumCheckpoint {
    let head = chain.head(chain.time().plus_ms(7)).unwrap();
    let note = checkpoint(&head, &validators(validator_count));
    chain.check(&note).unwrap()
}

fn records(state: &State) -> Vec<(StateKey, Vec<u8>)> {
    state.iter().map(|(key, value)| (key, value.to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_goes_in_comes_out(
        steps in steps(16),
        sizes in prop::collection::vec(1usize..9, 1..6),
    ) {
        let mut history = History::new(alone());
        for (what, at, who, n, _) in steps {
            history.step((what, at, who, n, 0));
        }
        let chain = replay(&history, &sizes);
        let quorum = signed(&chain, 1);
        let bytes = chain.snapshot(&quorum).unwrap().unwrap();
        let (again, checked) = check(&bytes, 1).unwrap();
        prop_assert_eq!(&checked, &quorum);
        prop_assert_eq!(records(again.state()), records(chain.state()));
        prop_assert_eq!(again.head(Time(0)), chain.head(Time(0)));
        prop_assert_eq!((again.time(), again.size()), (chain.time(), chain.size()));
        // Both make the same snapshot.
        prop_assert_eq!(again.snapshot(&quorum).unwrap().unwrap(), bytes);
    }
}

#[test]
fn it_goes_on_as_the_ledger_does() {
    let mut ledger = Ledger::new(4);
    assert_eq!(ledger.chain.snapshot(&signed(&ledger.chain, 4)), Ok(None), "nothing to tell");
    for n in 0..9 {
        ledger.enrol(&format!("batch {n}"), 1);
        let quorum = signed(&ledger.chain, 4);
        let bytes = ledger.chain.snapshot(&quorum).unwrap().unwrap();
        let (mut other, _) = check(&bytes, 4).unwrap();
        let mut copy = Ledger { chain: ledger.chain.clone(), ..Ledger::new(4) };
        copy.enrol("next", 1);
        let block = muster_ledger::Block::from_entries([muster_identity::cbor::Decode::from_cbor(
            &copy.entries[0],
        )
        .unwrap()]);
        other = other.extend(&block.unwrap()[0]).unwrap().0;
        assert_eq!(other.head(Time(0)), copy.chain.head(Time(0)), "after {} entries", n + 1);
        assert_eq!(
            other.snapshot(&signed(&other, 4)).unwrap(),
            copy.chain.snapshot(&signed(&copy.chain, 4)).unwrap()
        );
        assert!(copy.chain.snapshot(&quorum).is_err(), "the checkpoint of another head");
    }
}

#[test]
fn every_altered_byte_is_refused() {
    let mut history = History::new(alone());
    for n in 0..60u32 {
        let random = muster_identity::sha256(&[&n.to_be_bytes()]);
        history.step((random[0] % 13, random[1] % 6, 9, random[3] % 16, 0));
    }
    let chain = replay(&history, &[3]);
    let good = chain.snapshot(&signed(&chain, 1)).unwrap().unwrap();
    assert!(check(&good, 1).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(check(&bad, 1).is_err(), "byte {at}");
        bad.truncate(at);
        assert!(check(&bad, 1).is_err(), "cut at {at}");
    }
    assert!(check(&[&good[..], &[0]].concat(), 1).is_err(), "more than all");
}

#[test]
fn one_written_by_hand_is_the_one_that_is_written() {
    let (genesis, keys) = (genesis(1), validators(1));
    for changed in [0, 1, 4_095, 4_096, 4_097, 12_289] {
        let crafted = Crafted::new(&genesis, &keys[0], 5, changed);
        let bytes = crafted.bytes();
        let (chain, quorum) = check(&bytes, 1).unwrap();
        assert_eq!(chain.state().root(), crafted.head.state_root);
        assert_eq!(chain.snapshot(&quorum).unwrap().unwrap(), bytes);
        assert_eq!(Snapshot::parse(&bytes).unwrap().to_bytes(), bytes);
        let alone = Snapshot::parse(&bytes).unwrap();
        let alone = alone.check(&genesis.network(), &genesis.validators, &Alone).unwrap();
        assert_eq!(alone.0.head(Time(0)), chain.head(Time(0)));
        for n in 0..changed {
            let record = chain.state().device(&crafted::did(n)).unwrap().unwrap();
            assert!(record.standing.revoked);
        }
        assert_eq!(chain.state().device(&crafted::did(changed)), Ok(None));
        // The bound of the issue: 10,000,000 devices of which one in a hundred changed.
        assert!(changed < 4_000 || bytes.len() as u64 / changed < 45, "{}", bytes.len());
    }
}

/// Each false in one thing only.
#[test]
fn a_snapshot_that_lies_is_refused() {
    let (genesis, keys) = (genesis(1), validators(1));
    let good = Crafted::new(&genesis, &keys[0], 5, 5_000);
    assert!(check(&good.bytes(), 1).is_ok());
    let refused = |name: &str, says: &str, change: &dyn Fn(&mut Crafted)| {
        let mut bad = good.clone();
        change(&mut bad);
        let fault = check(&bad.bytes(), 1).map(drop).unwrap_err();
        assert!(fault.to_string().contains(says), "{name}: {fault}");
    };
    refused("a device less", "state root", &|s| {
        let last = s.pieces.len() - 1;
        let at = last_row(&s.pieces[last]);
        s.pieces[last].truncate(at);
    });
    refused("a batch less", "a row of an unknown batch", &|s| {
        s.records.retain(|(key, _)| key[0] != 5);
    });
    refused("a key less", "state root", &|s| {
        let at = s.records.iter().position(|(key, _)| key[0] == 7).unwrap();
        s.records.remove(at);
    });
    refused("no validators", "state", &|s| s.records.retain(|(key, _)| key[0] != 2));
    refused("records in another order", "records out of order", &|s| s.records.swap(0, 1));
    refused("a record twice", "records out of order", &|s| {
        s.records.insert(0, s.records[0].clone());
    });
    refused("pieces in another order", "a piece that is not full", &|s| s.pieces.swap(0, 1));
    refused("rows in another order", "rows out of order", &|s| {
        let first = row(&s.pieces[1]).to_vec();
        s.pieces[1] = [&s.pieces[1][first.len()..], &first].concat();
    });
    refused("an empty piece", "a piece that is not full", &|s| s.pieces.push(vec![]));
    refused("nothing but an empty piece", "an empty piece", &|s| s.pieces = vec![vec![]]);
    refused("one piece of all", "a byte string above its limit", &|s| {
        s.pieces = vec![[s.pieces.concat(), vec![0; 200_000]].concat()];
    });
    refused("a piece too long", "a piece of too many rows", &|s| {
        s.pieces = vec![s.pieces.concat()];
    });
    refused("a row as a record", "a record that is a row", &|s| {
        let (chain, _) = check(&s.bytes(), 1).unwrap();
        let key = StateKey::Device(crafted::did(0));
        let value = chain.state().record(&key).unwrap().to_vec();
        s.records.push((key.to_bytes(), value));
        s.records.sort();
    });
    refused("another last entry", "log root", &|s| {
        *s.entry.last_mut().unwrap() ^= 1;
    });
    refused("a path too long", "log root", &|s| s.path.extend([0; 32]));
    refused("another peak", "log root", &|s| s.peaks[0] ^= 1);
    refused("a peak more", "log root", &|s| s.peaks.extend([0; 32]));
    refused("signed by nobody", "0 of 1 needed", &|s| {
        s.note = muster_ledger::cosign(&s.head, &crate::network::ed25519("x")).unwrap().to_note();
    });
    type Lie = fn(&mut muster_ledger::Head);
    let lies: [(&str, Lie); 6] = [
        ("height", |head| head.height += 1),
        ("time", |head| head.time = Time(head.time.0 - 1_001)),
        ("state root", |head| head.state_root[0] ^= 1),
        ("next validator set", |head| head.validators[0] ^= 1),
        ("log root", |head| head.size -= 1),
        ("log root", |head| head.log_root[0] ^= 1),
    ];
    for (what, lie) in lies {
        let fault = check(&good.signed(&keys[0], lie).bytes(), 1).map(drop).unwrap_err();
        assert_eq!(fault, SnapshotFault::Mismatch(what));
    }
    // Of another network, by its own validators.
    let mut other = genesis.clone();
    other.nonce[0] ^= 1;
    let other = Crafted::new(&other, &keys[0], 5, 1);
    assert!(check(&other.bytes(), 1).is_err());
    assert!(matches!(check(&good.bytes(), 4), Err(SnapshotFault::Checkpoint(_))));
}

/// Where the last row begins.
fn last_row(piece: &[u8]) -> usize {
    let mut at = 0;
    while at + row(&piece[at..]).len() < piece.len() {
        at += row(&piece[at..]).len();
    }
    at
}

/// The first row: digest, two bytes, the index, one byte.
fn row(piece: &[u8]) -> &[u8] {
    let index = piece[34..].iter().position(|byte| byte & 128 == 0).unwrap() + 1;
    &piece[..34 + index + 1]
}
