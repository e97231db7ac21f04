//! A whole ledger: chain, log and what is needed to prove things from it.

use crate::network::{Batch, HOUR, Org, batch, checkpoint, genesis, validators};
use muster_identity::cbor::Encode;
use muster_identity::{Did, SecretKey};
use muster_ledger::merkle::{Tree, leaf_hash};
use muster_ledger::{
    Action, Block, Chain, EntryProof, Genesis, Operation, Receipt, SignedOperation, Time,
};

/// A ledger with its log kept whole.
pub(crate) struct Ledger {
    pub(crate) genesis: Genesis,
    pub(crate) validators: Vec<SecretKey>,
    pub(crate) chain: Chain,
    pub(crate) log: Tree,
    pub(crate) entries: Vec<Vec<u8>>,
}

impl Ledger {
    pub(crate) fn new(validator_count: usize) -> Self {
        let genesis = genesis(validator_count);
        Self {
            chain: Chain::new(&genesis),
            genesis,
            validators: validators(validator_count),
            log: Tree::default(),
            entries: Vec::new(),
        }
    }

    /// The time of the next block.
    pub(crate) fn next_time(&self) -> Time {
        self.chain.time().plus_ms(1_000)
    }

    pub(crate) fn sign(&self, author: Did, key: &SecretKey, action: Action) -> SignedOperation {
        let valid_until = self.next_time().plus_ms(HOUR);
        let network = self.chain.network();
        Operation { network, author, valid_until, action }.sign(key).unwrap()
    }

    /// The next block with these operations.
    pub(crate) fn block(&self, operations: Vec<SignedOperation>) -> Block {
        Block { height: self.chain.height() + 1, time: self.next_time(), operations }
    }

    pub(crate) fn commit(&mut self, block: &Block) {
        let (chain, _) = self.chain.extend(block).unwrap();
        self.chain = chain;
        for entry in block.entries() {
            let entry = entry.to_cbor();
            self.log.push(leaf_hash(&entry));
            self.entries.push(entry);
        }
    }

    /// Enrols a batch of devices in a block of its own.
    pub(crate) fn enrol(&mut self, seed: &str, count: usize) -> Batch {
        let maker = Org::new("maker");
        let network = self.chain.network();
        let batch = batch(&network, &maker.did, self.genesis.grant_id(), seed, count);
        let signed = self.sign(maker.did, &maker.enrol, Action::Enrol(batch.enrol.clone()));
        self.commit(&self.block(vec![signed]));
        batch
    }

    /// Proof of an entry under the present head, signed by so many validators.
    pub(crate) fn prove(&self, index: u64, signers: usize) -> EntryProof {
        let head = self.chain.head(self.chain.time()).unwrap();
        EntryProof {
            index,
            entry: self.entries[index as usize].clone(),
            path: self.log.inclusion(index, self.chain.size()).unwrap(),
            checkpoint: checkpoint(&head, &self.validators[..signers]).to_note(),
        }
    }

    /// The receipt of a device whose batch was enrolled at an index of the log.
    pub(crate) fn receipt(
        &self,
        batch: &Batch,
        device: usize,
        entry: u64,
        signers: usize,
    ) -> Receipt {
        let device = batch.devices[device].part.clone();
        Receipt { device, batch: self.prove(entry, signers) }
    }
}
