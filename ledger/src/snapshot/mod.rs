//! The ledger at one head in one piece: what a follower needs to go on from there, small enough for
//! a poor line, and nothing in it that the head does not prove. Format: `docs/formats/snapshot.md`.

mod consistency;
mod rows;

pub use consistency::ConsistencyProof;

use crate::merkle::{self, Frontier, Hash, leaf_hash};
use crate::tree::{Join, Placed};
use crate::{
    BatchId, Chain, Checkpoint, DeviceRecord, Error, Network, NoteFault, QuorumCheckpoint, Refusal,
    State, StateKey, ValidatorSet, limits,
};
use alloc::{sync::Arc, vec::Vec};
use muster_identity::cbor::{Decode, Encode, Reader, Writer};

/// The form this module reads and writes.
const VERSION: u64 = 1;

/// Longest entry: an operation, its height and its time.
const ENTRY_BYTES: usize = limits::OPERATION_BYTES + 64;

/// A snapshot as received: well-formed, and **not checked**. [`Self::check`] makes a [`Chain`] of it.
#[derive(Debug)]
pub struct Snapshot<'a> {
    checkpoint: Checkpoint,
    peaks: Vec<Hash>,
    entry: &'a [u8],
    path: Vec<Hash>,
    records: Vec<(StateKey, &'a [u8])>,
    /// Rows of devices, in pieces.
    pieces: Vec<&'a [u8]>,
}

/// Why a snapshot is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// Not a snapshot.
    #[error("snapshot: {0}")]
    Shape(#[from] muster_identity::Error),
    /// Not in the one form of its content.
    #[error("snapshot: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is not one of the quorum's.
    #[error("snapshot: {0}")]
    Checkpoint(#[from] NoteFault),
    /// Its content is not what its checkpoint states.
    #[error("snapshot: the checkpoint's {0} is not the one of its content")]
    Mismatch(&'static str),
}

/// Writes a state, its log's frontier and last entry, and the checkpoint over them.
pub(crate) fn write(
    state: &State,
    log: &Frontier,
    last: &[u8],
    checkpoint: &QuorumCheckpoint,
) -> Result<Vec<u8>, Refusal> {
    let batches = batches(state.iter().map(|(key, _)| key));
    let place = |id: &BatchId| batches.binary_search(id).ok();
    let mut records: Vec<(StateKey, &[u8])> = Vec::new();
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut room = 0;
    for (key, value) in state.iter() {
        if let Some((did, record, place)) = as_row(&key, value, place)? {
            if room == 0 {
                pieces.push(Vec::new());
                room = limits::SNAPSHOT_ROWS;
            }
            if let Some(piece) = pieces.last_mut() {
                rows::write(piece, &did, &record, place as u64);
            }
            room -= 1;
        } else {
            records.push((key, value));
        }
    }
    records.sort_unstable_by_key(|(key, _)| *key);
    let note = checkpoint.to_note();
    Ok(encode(&note, log.peaks(), last, log.last_path(), &records, &pieces))
}

fn encode(
    note: &str,
    peaks: &[Hash],
    entry: &[u8],
    path: &[Hash],
    records: &[(StateKey, &[u8])],
    pieces: &[impl AsRef<[u8]>],
) -> Vec<u8> {
    let mut w = Writer::default();
    w.array(7).uint(VERSION).text(note);
    merkle::encode_path(&mut w, peaks);
    w.bytes(entry);
    merkle::encode_path(&mut w, path);
    w.array(records.len());
    for (key, value) in records {
        w.array(2).bytes(&key.to_bytes()).bytes(value);
    }
    w.array(pieces.len());
    for piece in pieces {
        w.bytes(piece.as_ref());
    }
    w.into_bytes()
}

/// The batches among some keys, ascending: rows name them by their places in this list.
fn batches(keys: impl Iterator<Item = StateKey>) -> Vec<BatchId> {
    let mut batches: Vec<BatchId> = keys
        .filter_map(|key| match key {
            StateKey::Batch(id) => Some(id),
            _ => None,
        })
        .collect();
    batches.sort_unstable();
    batches
}

/// A record that is no more than a row, and the place of its batch.
fn as_row(
    key: &StateKey,
    value: &[u8],
    place: impl Fn(&BatchId) -> Option<usize>,
) -> Result<Option<(muster_identity::Did, DeviceRecord, usize)>, Refusal> {
    let StateKey::Device(did) = key else { return Ok(None) };
    let record = DeviceRecord::from_cbor(value).map_err(|_| Refusal::Corrupt("a record"))?;
    Ok(place(&record.batch).filter(|_| rows::fits(&record)).map(|place| (*did, record, place)))
}

impl<'a> Snapshot<'a> {
    /// Reads a snapshot. Nothing in it is believed yet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SnapshotFault> {
        let mut r = Reader::new(bytes);
        r.tuple(7)?;
        if r.uint()? != VERSION {
            return Err(SnapshotFault::Malformed("upgrade needed: it is of another version"));
        }
        let checkpoint = Checkpoint::parse(r.text(limits::NOTE_BYTES)?)?;
        let peaks = merkle::decode_path(&mut r)?;
        let entry = r.bytes(ENTRY_BYTES)?;
        let path = merkle::decode_path(&mut r)?;
        // A list grows as its items come: what a head claims reserves no memory.
        let mut records: Vec<(StateKey, &[u8])> = Vec::new();
        for _ in 0..r.array(limits::SNAPSHOT_RECORDS)? {
            r.tuple(2)?;
            let key = StateKey::from_bytes(r.bytes(33)?).ok_or(r.fault("an unknown record"))?;
            if records.last().is_some_and(|(last, _)| *last >= key) {
                return Err(r.fault("records out of order").into());
            }
            records.push((key, r.bytes(limits::SNAPSHOT_RECORD_BYTES)?));
        }
        let mut pieces = Vec::new();
        for _ in 0..r.array(limits::SNAPSHOT_PIECES)? {
            pieces.push(r.bytes(limits::SNAPSHOT_ROWS * rows::ROW_BYTES)?);
        }
        r.end()?;
        Ok(Self { checkpoint, peaks, entry, path, records, pieces })
    }

    /// Its bytes again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (note, peaks, path) = (self.checkpoint.to_note(), &self.peaks, &self.path);
        encode(&note, peaks, self.entry, path, &self.records, &self.pieces)
    }

    /// The checkpoint it claims to be under, unchecked.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Checks that a quorum of these validators signed its checkpoint, and that its content is
    /// exactly what the checkpoint states: log root, height and time by the last entry, state root,
    /// next validators. What it cannot show is that each step to this state was a valid one: for
    /// that, and for nothing else, the quorum is trusted more than by following every operation.
    pub fn check(
        &self,
        network: &Network,
        validators: &ValidatorSet,
        join: &impl Join,
    ) -> Result<(Chain, QuorumCheckpoint), SnapshotFault> {
        let quorum = self.checkpoint.verify(network, validators)?;
        let head = *quorum.head();
        let log_root = |_: Error| SnapshotFault::Mismatch("log root");
        let (peaks, path) = (self.peaks.clone(), self.path.clone());
        let log =
            Frontier::resume(head.size, peaks, leaf_hash(self.entry), path).map_err(log_root)?;
        if log.root() != head.log_root {
            return Err(SnapshotFault::Mismatch("log root"));
        }
        let state = self.state(join)?;
        let chain = Chain::resume(*network, state, log, self.entry)?;
        chain.compare(&head).map_err(SnapshotFault::Mismatch)?;
        Ok((chain, quorum))
    }

    fn state(&self, join: &impl Join) -> Result<State, SnapshotFault> {
        let batches = batches(self.records.iter().map(|(key, _)| *key));
        let place = |id: &BatchId| batches.binary_search(id).ok();
        let mut leaves = read_pieces(&self.pieces, &batches, join)?;
        if !leaves.is_sorted_by(|a, b| a.path < b.path) {
            return Err(SnapshotFault::Malformed("rows out of order"));
        }
        for (key, value) in &self.records {
            let row = as_row(key, value, place);
            if row.map_err(|_| SnapshotFault::Malformed("a record of a device"))?.is_some() {
                return Err(SnapshotFault::Malformed("a record that is a row"));
            }
            leaves.push(Placed::new(*key, Arc::from(*value)));
        }
        // Two runs, of which the first is nearly everything.
        leaves.sort_by_key(|leaf| leaf.path);
        if leaves.windows(2).any(|pair| pair[0].path == pair[1].path) {
            return Err(SnapshotFault::Malformed("a record twice"));
        }
        Ok(State::of_sorted(&leaves, join))
    }
}

/// Reads pieces, half of them at once with the other half. All but the last are full, and no piece
/// is empty, so that there is one way to cut rows into pieces.
fn read_pieces(
    pieces: &[&[u8]],
    batches: &[BatchId],
    join: &impl Join,
) -> Result<Vec<Placed>, SnapshotFault> {
    let Some((last, full)) = pieces.split_last() else { return Ok(Vec::new()) };
    let read = |pieces: &[&[u8]]| {
        // By what is there, not by what it claims to be.
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut leaves = Vec::with_capacity(bytes / rows::LEAST_BYTES);
        for piece in pieces {
            if read_piece(piece, batches, &mut leaves)? != limits::SNAPSHOT_ROWS {
                return Err(SnapshotFault::Malformed("a piece that is not full"));
            }
        }
        Ok(leaves)
    };
    let (left, right) = full.split_at(full.len() / 2);
    let (left, right) = join.join(|| read(left), || read(right));
    let (mut leaves, right) = (left?, right?);
    leaves.extend(right);
    if read_piece(last, batches, &mut leaves)? == 0 {
        return Err(SnapshotFault::Malformed("an empty piece"));
    }
    Ok(leaves)
}

/// Reads the rows of a piece; says how many there were.
fn read_piece(
    mut piece: &[u8],
    batches: &[BatchId],
    leaves: &mut Vec<Placed>,
) -> Result<usize, SnapshotFault> {
    let (mut rows, mut buffer) = (0, Vec::new());
    while !piece.is_empty() {
        if rows == limits::SNAPSHOT_ROWS {
            return Err(SnapshotFault::Malformed("a piece of too many rows"));
        }
        let (did, record) = rows::read(&mut piece, batches)?;
        buffer.clear();
        let mut w = Writer::behind(buffer);
        record.encode(&mut w);
        buffer = w.into_bytes();
        leaves.push(Placed::new(StateKey::Device(did), Arc::from(&buffer[..])));
        rows += 1;
    }
    Ok(rows)
}
