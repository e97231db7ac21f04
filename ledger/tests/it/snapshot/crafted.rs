//! A snapshot written by hand, as `docs/formats/snapshot.md` says and not by the code under test:
//! any number of changed devices, without the operations that would have changed them. The
//! gateway's tests and figures use it too.

#![allow(dead_code, unreachable_pub)]

use muster_identity::cbor::{Encode, Writer};
use muster_identity::{Did, SecretKey, sha256};
use muster_ledger::merkle::{Tree, leaf_hash};
use muster_ledger::{
    BatchId, BatchRecord, Changes, DeviceKey, DeviceRecord, Entry, Genesis, Head, SignedOperation,
    Standing, State, StateKey, Time, ValidatorSet, cosign,
};
use std::collections::BTreeMap;

/// The parts of a snapshot, to be put together true or false.
#[derive(Clone)]
pub struct Crafted {
    pub head: Head,
    pub note: String,
    pub peaks: Vec<u8>,
    pub entry: Vec<u8>,
    pub path: Vec<u8>,
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
    pub pieces: Vec<Vec<u8>>,
    /// The log.
    pub tree: Tree,
}

/// A device of the batches below.
pub fn did(n: u64) -> Did {
    Did::from_digest(sha256(&[b"device", &n.to_be_bytes()]))
}

const BATCHES: u64 = 10;
const ROWS: usize = 4_096;

impl Crafted {
    /// A ledger of 2^`log` entries in which so many devices of ten batches were revoked.
    pub fn new(genesis: &Genesis, validator: &SecretKey, log: u32, changed: u64) -> Self {
        let batch = |n: u64| BatchId(sha256(&[b"batch", &n.to_be_bytes()]));
        let mut batches: Vec<BatchId> = (0..BATCHES).map(batch).collect();
        batches.sort();
        let mut state: BTreeMap<StateKey, Vec<u8>> =
            genesis.state().iter().map(|(key, value)| (key, value.to_vec())).collect();
        for (n, id) in batches.iter().enumerate() {
            let record = BatchRecord {
                owner: genesis.organisation_did(),
                grant: genesis.grant_id(),
                model: "Probe 3".into(),
                count: 1 << 20,
                root: id.0,
                entry: n as u64,
                seq: 0,
                standing: Standing::default(),
                offer: None,
            };
            state.insert(StateKey::Batch(*id), record.to_cbor());
        }
        let records = state.iter().map(|(key, value)| (key.to_bytes(), value.clone())).collect();
        let mut rows: Vec<([u8; 32], Vec<u8>)> = Vec::new();
        for n in 0..changed {
            let (did, place, index) = (did(n), n % BATCHES, n / BATCHES * 7);
            let record = DeviceRecord {
                batch: batches[place as usize],
                index,
                seq: 1,
                key: DeviceKey::Own,
                retired: vec![],
                next_key: None,
                standing: Standing { revoked: true, ..Standing::default() },
                left: None,
                offer: None,
            };
            state.insert(StateKey::Device(did), record.to_cbor());
            // Digest, revoked, place of the batch, index, one change.
            let mut row = did.digest().to_vec();
            row.extend([1, place as u8]);
            let mut rest = index;
            while rest > 127 {
                row.push(rest as u8 | 128);
                rest >>= 7;
            }
            row.extend([rest as u8, 1]);
            rows.push((sha256(&[&[6], did.digest()]), row));
        }
        rows.sort();
        let pieces = rows
            .chunks(ROWS)
            .map(|some| some.iter().flat_map(|(_, row)| row.iter().copied()).collect::<Vec<u8>>());
        let pieces = pieces.collect();
        let size = 1 << log;
        let (height, time) = (size / 2, Time(genesis.time.0 + 5_000));
        let operation = SignedOperation(b"any bytes".to_vec());
        let entry = Entry { height, time, operation }.to_cbor();
        let mut tree = Tree::default();
        for n in 0..size - 1 {
            tree.push(leaf_hash(&n.to_be_bytes()));
        }
        tree.push(leaf_hash(&entry));
        let changes = state.into_iter().map(|(key, value)| (key, value.into())).collect();
        let head = Head {
            network: genesis.network(),
            size,
            log_root: tree.root(),
            height,
            time: Time(time.0 + 1_000),
            state_root: State::default().with(&Changes(changes)).root(),
            validators: ValidatorSet(genesis.validators.0.clone()).hash(),
        };
        Self {
            head,
            note: cosign(&head, validator).unwrap().to_note(),
            peaks: tree.root().to_vec(),
            path: tree.inclusion(size - 1, size).unwrap().concat(),
            entry,
            records,
            pieces,
            tree,
        }
    }

    /// The snapshot.
    pub fn bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(7).uint(1).text(&self.note).bytes(&self.peaks).bytes(&self.entry);
        w.bytes(&self.path).array(self.records.len());
        for (key, value) in &self.records {
            w.array(2).bytes(key).bytes(value);
        }
        w.array(self.pieces.len());
        for piece in &self.pieces {
            w.bytes(piece);
        }
        w.into_bytes()
    }

    /// The same, under a head that states something else and is signed all the same.
    pub fn signed(&self, validator: &SecretKey, change: impl FnOnce(&mut Head)) -> Self {
        let mut head = self.head;
        change(&mut head);
        Self { head, note: cosign(&head, validator).unwrap().to_note(), ..self.clone() }
    }
}
