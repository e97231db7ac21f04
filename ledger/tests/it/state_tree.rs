//! The state's tree against the crate `jmt`.

use jmt::mock::MockTreeStore;
use jmt::{KeyHash, RootHash, Sha256Jmt};
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{Did, sha256};
use muster_ledger::{BatchId, Changes, GrantId, State, StateKey, StateProof, View};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn changes(writes: &[(StateKey, Vec<u8>)]) -> Changes {
    Changes(writes.iter().map(|(key, value)| (*key, value.clone().into())).collect())
}

fn place(key: &StateKey) -> KeyHash {
    KeyHash(sha256(&[&key.to_bytes()]))
}

/// Few enough keys that updates are frequent.
fn state_key() -> impl Strategy<Value = StateKey> {
    let digest = (0u8..40).prop_map(|n| sha256(&[&[n]]));
    (0u8..7, digest).prop_map(|(kind, digest)| match kind {
        0 => StateKey::Rules,
        1 => StateKey::Validators,
        2 => StateKey::Organisation(Did::from_digest(digest)),
        3 => StateKey::Grant(GrantId(digest)),
        4 => StateKey::Batch(BatchId(digest)),
        5 => StateKey::Device(Did::from_digest(digest)),
        _ => StateKey::Key(digest),
    })
}

fn history() -> impl Strategy<Value = Vec<Vec<(StateKey, Vec<u8>)>>> {
    let write = (state_key(), prop::collection::vec(any::<u8>(), 0..8));
    prop::collection::vec(prop::collection::vec(write, 1..12), 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn roots_and_proofs_are_those_of_jmt(history in history(), absent in state_key()) {
        let store = MockTreeStore::default();
        let oracle = Sha256Jmt::new(&store);
        let mut state = State::default();
        let mut model: BTreeMap<StateKey, Vec<u8>> = BTreeMap::new();
        for (version, writes) in history.iter().enumerate() {
            let writes = changes(writes);
            let before = state.clone();
            let (before_root, before_len) = (before.root(), before.len());
            state = state.with(&writes);
            prop_assert_eq!((before.root(), before.len()), (before_root, before_len));
            let values = writes.0.iter().map(|(key, value)| (place(key), Some(value.to_vec())));
            let values: Vec<_> = values.collect();
            let (root, update) = oracle.put_value_set(values, version as u64).unwrap();
            store.write_tree_update_batch(update).unwrap();
            prop_assert_eq!(state.root(), root.0, "version {}", version);
            model.extend(writes.0.iter().map(|(key, value)| (*key, value.to_vec())));
        }
        prop_assert_eq!(state.len(), model.len());
        prop_assert!(!state.is_empty());
        let listed: BTreeMap<_, _> = state.iter().map(|(key, value)| (key, value.to_vec())).collect();
        prop_assert_eq!(&listed, &model);
        // Built anew, in another order and in one piece, it is the same tree.
        let whole: Vec<_> = model.clone().into_iter().collect();
        prop_assert_eq!(State::default().with(&changes(&whole)).root(), state.root());

        let last = history.len() as u64 - 1;
        let root = state.root();
        for (key, value) in &model {
            prop_assert_eq!(state.record(key).map(|found| found.to_vec()), Some(value.clone()));
            let proof = state.prove(key);
            prop_assert!(proof.verify(&root, key, Some(value)).is_ok());
            prop_assert!(proof.verify(&root, key, None).is_err());
            prop_assert!(proof.verify(&root, key, Some(b"another value")).is_err());
            prop_assert!(proof.verify(&[9; 32], key, Some(value)).is_err());
            // The oracle's proof leads to our root as well.
            let (_, theirs) = oracle.get_with_proof(place(key), last).unwrap();
            prop_assert!(theirs.verify(RootHash(root), place(key), Some(value)).is_ok());
            for other in model.keys().filter(|other| *other != key) {
                prop_assert!(proof.verify(&root, other, Some(value)).is_err());
                prop_assert!(proof.verify(&root, other, None).is_err());
            }
        }
        if !model.contains_key(&absent) {
            prop_assert_eq!(state.record(&absent), None);
            let proof = state.prove(&absent);
            prop_assert!(proof.verify(&root, &absent, None).is_ok());
            prop_assert!(proof.verify(&root, &absent, Some(b"")).is_err());
            for present in model.keys() {
                prop_assert!(proof.verify(&root, present, None).is_err());
            }
        }
    }

    #[test]
    fn altered_proofs_fail(writes in prop::collection::vec((state_key(), any::<Vec<u8>>()), 1..40),
                           asked in state_key()) {
        let state = State::default().with(&changes(&writes));
        let value = state.record(&asked);
        let good = state.prove(&asked).to_cbor();
        let root = state.root();
        let verdict = |bytes: &[u8]| {
            StateProof::from_cbor(bytes).is_ok_and(|proof| {
                proof.verify(&root, &asked, value.as_deref()).is_ok()
            })
        };
        prop_assert!(verdict(&good));
        for at in 0..good.len() {
            for bit in [0, 3, 7] {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                prop_assert!(!verdict(&bad), "byte {}, bit {}", at, bit);
            }
        }
    }

    #[test]
    fn keys_round_trip(key in state_key(), bytes: Vec<u8>) {
        prop_assert_eq!(StateKey::from_bytes(&key.to_bytes()), Some(key));
        if let Some(key) = StateKey::from_bytes(&bytes) {
            prop_assert_eq!(key.to_bytes(), bytes);
        }
    }
}

/// More records than the histories have: put in one by one, at once, and by the oracle.
#[test]
fn a_large_state_is_that_of_jmt() {
    let key = |n: u64| StateKey::Key(sha256(&[&n.to_be_bytes()]));
    let value = |n: u64| n.to_be_bytes().to_vec();
    let (store, count) = (MockTreeStore::default(), 1_500);
    let oracle = Sha256Jmt::new(&store);
    let all: Vec<_> = (0..count).map(|n| (key(n), value(n))).collect();
    let values = all.iter().map(|(key, value)| (place(key), Some(value.clone())));
    let (root, update) = oracle.put_value_set(values.collect::<Vec<_>>(), 0).unwrap();
    store.write_tree_update_batch(update).unwrap();
    let at_once = State::default().with(&changes(&all));
    assert_eq!(at_once.root(), root.0);
    let mut one_by_one = State::default();
    let mut versions = vec![one_by_one.root()];
    for write in &all {
        one_by_one = one_by_one.with(&changes(std::slice::from_ref(write)));
        versions.push(one_by_one.root());
    }
    assert_eq!((one_by_one.root(), one_by_one.len()), (root.0, count as usize));
    assert!(one_by_one.iter().eq(at_once.iter()), "in the same order");
    // At every size it is the tree that is built at once.
    for size in (0..=count as usize).step_by(7) {
        assert_eq!(State::default().with(&changes(&all[..size])).root(), versions[size], "{size}");
    }
    for n in (0..count + 200).step_by(3) {
        let found = one_by_one.record(&key(n));
        assert_eq!(found.as_deref(), (n < count).then(|| value(n)).as_deref());
        let proof = one_by_one.prove(&key(n));
        assert_eq!(proof, at_once.prove(&key(n)));
        assert_eq!(proof.verify(&root.0, &key(n), found.as_deref()), Ok(()));
        let (_, theirs) = oracle.get_with_proof(place(&key(n)), 0).unwrap();
        let theirs = theirs.verify(root, place(&key(n)), found.as_deref());
        assert!(theirs.is_ok(), "{n}");
    }
    // Replaced, every one.
    let again: Vec<_> = (0..count).map(|n| (key(n), value(n + 1))).collect();
    let replaced = one_by_one.with(&changes(&again));
    assert_eq!(replaced.root(), State::default().with(&changes(&again)).root());
    assert_eq!(replaced.len(), one_by_one.len());
}

#[test]
fn the_empty_state() {
    let state = State::default();
    assert_eq!(&state.root(), b"SPARSE_MERKLE_PLACEHOLDER_HASH__");
    assert!(state.is_empty() && state.iter().next().is_none());
    let proof = state.prove(&StateKey::Rules);
    assert_eq!(proof.verify(&state.root(), &StateKey::Rules, None), Ok(()));
    assert!(proof.verify(&state.root(), &StateKey::Rules, Some(b"")).is_err());
}

/// A proof as deep as the tree can be is read and refused; a deeper one is not read.
#[test]
fn the_deepest_proofs() {
    let state = State::default().with(&changes(&[(StateKey::Rules, vec![1])]));
    let encode = |levels: usize| {
        let mut w = muster_identity::cbor::Writer::default();
        w.map(2).uint(1).bytes(&vec![7; 32 * levels]).uint(2).array(2).bytes(&[1; 32]);
        w.bytes(&[2; 32]);
        w.into_bytes()
    };
    let deepest = StateProof::from_cbor(&encode(256)).unwrap();
    for value in [None, Some(&b""[..])] {
        assert!(deepest.verify(&state.root(), &StateKey::Validators, value).is_err());
    }
    assert!(StateProof::from_cbor(&encode(257)).is_err());
}

/// However a state grew, and whatever grew beside it from the same beginning, each device of it is
/// found, and none that is not.
#[test]
fn every_device_is_found_however_the_state_grew() {
    let device = |n: u32| StateKey::Device(Did::from_digest(sha256(&[&n.to_be_bytes()])));
    let with = |state: &State, range: std::ops::Range<u32>| {
        let writes: Vec<_> = range.map(|n| (device(n), vec![1])).collect();
        state.with(&changes(&writes))
    };
    let found = |state: &State, n: u32| state.record(&device(n)).is_some();
    let (mut states, mut state) = (Vec::new(), State::default());
    for step in 0..30 {
        state = with(&state, step * 1_000..(step + 1) * 1_000);
        states.push(state.clone());
        // One that is given up: it leaves no trace that anybody could see.
        let beside = with(&state, 1_000_000 + step * 500..1_000_500 + step * 500);
        assert!(found(&beside, 1_000_000 + step * 500));
    }
    for (step, state) in (1..).zip(&states) {
        let end = step * 1_000;
        assert!((0..end).step_by(37).all(|n| found(state, n)), "after {end}");
        assert!((end..32_000).step_by(37).all(|n| !found(state, n)), "after {end}");
        assert!((1_000_000..1_015_000).step_by(37).all(|n| !found(state, n)), "after {end}");
    }
}
