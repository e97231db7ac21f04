//! A ledger in memory, made by real operations, for the benchmarks of decisions: batches of devices
//! whose keys come from a seed, and as many of them revoked as wanted.

use super::cores;
use super::manifest::{Seed, serial};
use crate::host::Machine;
use anyhow::{Context as _, Result};
use muster_api::Host as _;
use muster_identity::cbor::Encode as _;
use muster_identity::{Algorithm, Did, Inception, PossessionTerms, SecretKey, Signer as _, sha256};
use muster_ledger::merkle::leaf_hash;
use muster_ledger::{
    Action, BatchId, Block, Chain, Changes, DevicePart, DeviceRecord, DeviceRef, Enrol, Evidence,
    Genesis, Leaf, LeafTree, Operation, Revoke, SerialCommitment, State, StateKey, Target, View,
};

/// The order's challenge.
const CHALLENGE: &[u8] = b"order-4711";

/// Records written at once: some MiB of changes.
const WAVE: usize = 16_384;

/// The ledger, and who may change it.
pub(super) struct Register {
    pub(super) genesis: Genesis,
    pub(super) chain: Chain,
    admin: SecretKey,
}

/// A batch of devices that signed their possession.
pub(super) struct Batch {
    pub(super) id: BatchId,
    algorithm: Algorithm,
    seed: Seed,
    genesis: Genesis,
    /// Devices in the order of their leaves, and the number of each.
    order: Vec<(Did, u64)>,
    tree: LeafTree,
}

/// A device of a batch.
pub(super) struct Device {
    pub(super) key: SecretKey,
    pub(super) did: Did,
    pub(super) part: DevicePart,
}

impl Register {
    pub(super) fn new(genesis: Genesis, admin: SecretKey) -> Self {
        let chain = Chain::new(&genesis);
        Self { genesis, chain, admin }
    }

    /// Enrols so many new devices.
    pub(super) fn enrol(&mut self, algorithm: Algorithm, devices: u64) -> Result<Batch> {
        let (seed, genesis) = (Seed::new(), &self.genesis);
        let numbers: Vec<u64> = (1..=devices).collect();
        let mut leaves = cores::map(&numbers, |number| {
            let (did, leaf) = leaf(genesis, &seed.key_of(algorithm, &serial("SN", *number))?)?;
            Ok((did, *number, leaf_hash(&leaf)))
        })?;
        leaves.sort_unstable_by_key(|(did, _, _)| *did);
        let mut tree = LeafTree::default();
        for (did, _, hash) in &leaves {
            tree.push_hash(did, *hash)?;
        }
        let order = leaves.iter().map(|(did, number, _)| (*did, *number)).collect();
        let (grant, count, root) = (genesis.grant_id(), tree.count(), tree.root());
        let enrol = Enrol { grant, model: "bench-9".into(), count, root };
        let id = enrol.batch(&genesis.network());
        let genesis = genesis.clone();
        self.commit(Action::Enrol(enrol))?;
        Ok(Batch { id, algorithm, seed, genesis, order, tree })
    }

    fn commit(&mut self, action: Action) -> Result<()> {
        let (network, author) = (self.genesis.network(), self.genesis.organisation_did());
        let valid_until = Machine.now().plus_ms(60_000);
        let signed = Operation { network, author, valid_until, action }.sign(&self.admin)?;
        let (height, time) = (self.chain.height() + 1, self.chain.time().plus_ms(1));
        let block = Block { height, time, operations: vec![signed] };
        self.chain = self.chain.extend(&block)?.0;
        Ok(())
    }

    /// The state in which devices of a batch are revoked. One is revoked by an operation; the
    /// records of the others are what that operation wrote, with their own place.
    pub(super) fn revoked(&mut self, batch: &Batch, places: &[usize]) -> Result<State> {
        let before = self.chain.clone();
        let Some(first) = places.first() else { return Ok(before.state().clone()) };
        let device = batch.device(*first)?;
        let target = DeviceRef { did: device.did, part: Some(Box::new(device.part)) };
        let target = Target::Device(target);
        self.commit(Action::Revoke(Revoke { target, reason: String::new() }))?;
        let state = self.chain.state();
        let written = state.device(&device.did)?.context("the revocation wrote no record")?;
        let mut after = before.state().clone();
        for wave in places.chunks(WAVE) {
            let records = cores::map(wave, |place| {
                let record = DeviceRecord { index: *place as u64, ..written.clone() };
                Ok((StateKey::Device(batch.order[*place].0), record.to_cbor().into()))
            })?;
            after = after.with(&Changes(records.into_iter().collect()));
        }
        self.chain = before;
        Ok(after)
    }

    /// A state in which so many devices of elsewhere are revoked: no device that is asked about.
    pub(super) fn others_revoked(&mut self, batch: &Batch, others: u64) -> Result<State> {
        let before = self.chain.clone();
        let one = self.revoked(batch, &[0])?;
        let record = one.device(&batch.order[0].0)?.context("the revocation wrote no record")?;
        let record: std::sync::Arc<[u8]> = record.to_cbor().into();
        let mut after = before.state().clone();
        let numbers: Vec<u64> = (0..others).collect();
        for wave in numbers.chunks(WAVE) {
            let records = wave.iter().map(|number| {
                let did = Did::from_digest(sha256(&[b"elsewhere", &number.to_be_bytes()]));
                // Each record has memory of its own, as if it came from the log.
                (StateKey::Device(did), std::sync::Arc::from(&record[..]))
            });
            after = after.with(&Changes(records.collect()));
        }
        Ok(after)
    }
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    fn key(&self, place: usize) -> Result<SecretKey> {
        self.seed.key_of(self.algorithm, &serial("SN", self.order[place].1))
    }

    /// The device whose leaf stands in this place.
    pub(super) fn device(&self, place: usize) -> Result<Device> {
        let key = self.key(place)?;
        let (did, leaf) = leaf(&self.genesis, &key)?;
        let part = self.tree.device_part(self.id, place as u64, leaf);
        Ok(Device { key, did, part: part.context("the leaf is not in the tree")? })
    }
}

/// A leaf with the device's own signature. It is always the same: signatures are deterministic.
fn leaf(genesis: &Genesis, key: &SecretKey) -> Result<(Did, Vec<u8>)> {
    let inception = Inception::from_key(key.public_key());
    let did = Did::of(&inception);
    let terms = PossessionTerms {
        network: &genesis.network().0,
        manufacturer: &genesis.organisation_did(),
        challenge: CHALLENGE,
        owner_recovery: false,
    };
    let signature = terms.sign(&did, key)?;
    let evidence = Evidence::Possession { challenge: CHALLENGE.to_vec(), signature };
    let serial = SerialCommitment(sha256(&[did.digest()]));
    let leaf = Leaf { inception, evidence, serial, owner_recovery: false };
    Ok((did, leaf.to_cbor()))
}
