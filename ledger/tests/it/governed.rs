//! Networks that one organisation runs alone, with rules and people who approve.

use crate::chained::Ledger;
use crate::network::{HOUR, World, ed25519, genesis, validators};
use muster_identity::cbor::Encode;
use muster_identity::{SecretKey, Signer};
use muster_ledger::{
    Action, Approval, Approve, Capabilities, Capability, Chain, Changes, OrgKey,
    OrganisationRecord, ProposalId, Propose, Refusal, Rules, StateKey, View, WithdrawProposal,
};

pub(crate) const fn approval(devices: u64, people: u64) -> Approval {
    Approval { devices: Some(devices), people, governance: false }
}

/// A ledger whose validators are keys of its organisation, as `muster init` makes it.
pub(crate) fn solo(count: usize) -> Ledger {
    let mut genesis = genesis(count);
    let capabilities = Capabilities::of(&[Capability::Validator]);
    for key in validators(count) {
        genesis.organisation.keys.push(OrgKey { key: key.public_key(), capabilities });
    }
    Ledger { chain: Chain::new(&genesis), genesis, ..Ledger::new(count) }
}

/// A world of one organisation that runs the only validator.
pub(crate) fn solo_world() -> World {
    let mut world = World { state: genesis(1).state(), ..World::new() }.governed(None);
    let mut record = world.record();
    let capabilities = Capabilities::of(&[Capability::Validator]);
    record.keys.push(OrgKey { key: validator_key().public_key(), capabilities });
    world.set(StateKey::Organisation(world.maker.did), &record);
    world
}

/// Its validator.
pub(crate) fn validator_key() -> SecretKey {
    validators(1).remove(0)
}

/// People who may operate and approve: what they do differs by what they sign, not by their role.
pub(crate) fn person(n: u8) -> SecretKey {
    ed25519(&format!("person {n}"))
}

/// So many people there are.
pub(crate) const PEOPLE: u8 = 4;

impl World {
    /// Writes records past `apply`.
    pub(crate) fn set(&mut self, key: StateKey, record: &impl Encode) {
        let mut changes = Changes::default();
        changes.0.insert(key, record.to_cbor().into());
        self.state = self.state.with(&changes);
    }

    pub(crate) fn record(&self) -> OrganisationRecord {
        self.state.organisation(&self.maker.did).unwrap().unwrap()
    }

    /// Gives the maker every validator and its people, and the network its rules.
    pub(crate) fn governed(mut self, approval: Option<Approval>) -> Self {
        let mut record = self.record();
        let capabilities = Capabilities::of(&[Capability::Operate, Capability::Approve]);
        for key in (0..PEOPLE).map(person) {
            record.keys.push(OrgKey { key: key.public_key(), capabilities });
            self.set(StateKey::of_key(&key.public_key()), &self.maker.did.clone());
        }
        let did = self.maker.did;
        self.set(StateKey::Organisation(did), &record);
        for key in validators(1) {
            self.set(StateKey::of_key(&key.public_key()), &did);
        }
        self.set(StateKey::Rules, &Rules { approval, ..Rules::DEFAULT });
        self
    }

    pub(crate) fn proposes(
        &mut self,
        key: &SecretKey,
        action: Action,
    ) -> Result<ProposalId, Refusal> {
        self.proposes_until(key, action, 24)
    }

    pub(crate) fn proposes_until(
        &mut self,
        key: &SecretKey,
        action: Action,
        hours: u64,
    ) -> Result<ProposalId, Refusal> {
        let expires = self.time.plus_ms(hours * HOUR);
        let propose = Propose { action: Box::new(action), expires, reason: "because".into() };
        let signed = self.sign(self.maker.did, key, Action::Propose(propose));
        self.applies(&signed).map(|_| signed.verify().unwrap().proposal())
    }

    pub(crate) fn approves(
        &mut self,
        key: &SecretKey,
        proposal: ProposalId,
    ) -> Result<Changes, Refusal> {
        self.does(self.maker.did, key, Action::Approve(Approve { proposal }))
    }

    pub(crate) fn withdraws(
        &mut self,
        key: &SecretKey,
        proposal: ProposalId,
    ) -> Result<Changes, Refusal> {
        self.does(self.maker.did, key, Action::WithdrawProposal(WithdrawProposal { proposal }))
    }
}
