//! `apply`: what an operation does to the state. A pure function of state, operation and place
//! in the log. It checks everything but two things, which need leaves it has not seen: that
//! possession signatures are good and that no DID or key of a batch is on the ledger already.

mod device;
mod governance;
mod members;
mod organisation;
mod ownership;
mod subject;

use crate::{
    Action, Approve, BatchId, BatchRecord, Capability, DeviceRecord, GrantId, GrantRecord, Members,
    Network, OfferId, OpenProposal, Operation, OrganisationRecord, Outcome, OversightRecord,
    ProposalId, ProposalRecord, ProtocolRecord, Refusal, Rules, StateKey, Time, ValidatorSet,
    VerifiedOperation, limits, operation, owner_of,
};
pub use governance::approvals_needed;

use alloc::{collections::BTreeMap, sync::Arc};
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{Did, PublicKey};

/// Read access to a state.
pub trait View {
    /// The bytes of a record.
    fn record(&self, key: &StateKey) -> Option<Arc<[u8]>>;

    /// A record, decoded. What is in a state was checked when it came there.
    fn read<T: Decode>(&self, key: StateKey) -> Result<Option<T>, Refusal> {
        self.record(&key)
            .map(|bytes| T::from_cbor_again(&bytes).map_err(|_| Refusal::Corrupt("a record")))
            .transpose()
    }

    /// An organisation.
    fn organisation(&self, did: &Did) -> Result<Option<OrganisationRecord>, Refusal> {
        self.read(StateKey::Organisation(*did))
    }

    /// A grant.
    fn grant(&self, id: &GrantId) -> Result<Option<GrantRecord>, Refusal> {
        self.read(StateKey::Grant(*id))
    }

    /// A batch.
    fn batch(&self, id: &BatchId) -> Result<Option<BatchRecord>, Refusal> {
        self.read(StateKey::Batch(*id))
    }

    /// A device that changed since its enrolment.
    fn device(&self, did: &Did) -> Result<Option<DeviceRecord>, Refusal> {
        self.read(StateKey::Device(*did))
    }

    /// Who owns a device that changed since its enrolment; none if it did not, or is unknown: then
    /// its batch's owner does.
    fn owner_of(&self, did: &Did) -> Result<Option<Did>, Refusal> {
        let Some(device) = self.device(did)? else { return Ok(None) };
        let batch = self.batch(&device.batch)?.ok_or(Refusal::Corrupt("a device without batch"))?;
        Ok(Some(*owner_of(Some(&device), &batch)))
    }

    /// Who enrolled a batch, whoever owns it now: possession signatures name it.
    fn manufacturer(&self, batch: &BatchRecord) -> Result<Did, Refusal> {
        let grant = self.grant(&batch.grant)?.ok_or(Refusal::Corrupt("a batch without grant"))?;
        Ok(grant.organisation)
    }

    /// The organisations; none as long as there is only the genesis' own.
    fn members(&self) -> Result<Members, Refusal> {
        Ok(self.read(StateKey::Members)?.unwrap_or_default())
    }

    /// The validators.
    fn validators(&self) -> Result<ValidatorSet, Refusal> {
        self.read(StateKey::Validators)?.ok_or(Refusal::Corrupt("no validators"))
    }

    /// The rules.
    fn rules(&self) -> Result<Rules, Refusal> {
        self.read(StateKey::Rules)?.ok_or(Refusal::Corrupt("no rules"))
    }

    /// The protocol version. A network begins with the first.
    fn protocol(&self) -> Result<ProtocolRecord, Refusal> {
        let first =
            ProtocolRecord { version: operation::FIRST_PROTOCOL, next: None, confirm_from: None };
        Ok(self.read(StateKey::Protocol)?.unwrap_or(first))
    }

    /// What is counted of an organisation.
    fn oversight(&self, did: &Did) -> Result<OversightRecord, Refusal> {
        Ok(self.read(StateKey::Oversight(*did))?.unwrap_or_default())
    }

    /// A proposal.
    fn proposal(&self, id: &ProposalId) -> Result<Option<ProposalRecord>, Refusal> {
        self.read(StateKey::Proposal(*id))
    }
}

/// Records to write, in one piece or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(pub BTreeMap<StateKey, Arc<[u8]>>);

impl Changes {
    pub(crate) fn put(&mut self, key: StateKey, record: &impl Encode) {
        self.0.insert(key, record.to_cbor().into());
    }

    /// These and others, of other records.
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.extend(others);
        self
    }

    /// Adds later changes on top.
    pub fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }
}

/// Where an operation enters the log.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The network.
    pub network: Network,
    /// Position of the operation in the log.
    pub index: u64,
    /// Height of its block.
    pub height: u64,
    /// Time of its block.
    pub time: Time,
}

/// Applies an operation: the records it changes, or why it is refused.
pub fn apply(
    view: &impl View,
    signed: &VerifiedOperation,
    at: &Context,
) -> Result<Changes, Refusal> {
    let operation = signed.operation();
    if operation.network != at.network {
        return Err(Refusal::WrongNetwork);
    }
    if at.time > operation.valid_until {
        return Err(Refusal::Expired { until: operation.valid_until, now: at.time });
    }
    if operation.valid_until.since(at.time) > limits::OPERATION_LIFETIME_MS {
        return Err(Refusal::TooLongLived);
    }
    let (version, known) = (view.protocol()?.at(at.height), operation::PROTOCOL);
    if version != known {
        return Err(Refusal::Upgrade { version, height: at.height, known });
    }
    let author = Author { did: operation.author, key: *signed.key() };
    match &operation.action {
        Action::Propose(a) => governance::propose(view, &author, a, signed.proposal(), at),
        Action::Approve(a) => governance::approve(view, &author, a, at),
        Action::WithdrawProposal(a) => governance::withdraw(view, &author, a, at),
        action => carry_out(view, &author, action, Consent::Author, signed.proposal(), at),
    }
}

/// Who stands behind an action.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    /// The author alone.
    Author,
    /// The author, and as many others as the rules ask for: organisations where it concerns all,
    /// else keys of the author's own.
    Others,
}

/// Does what an action says, of its own or as a proposal says it. `id` is that of the operation
/// which holds the action.
fn carry_out(
    view: &impl View,
    author: &Author,
    action: &Action,
    consent: Consent,
    id: ProposalId,
    at: &Context,
) -> Result<Changes, Refusal> {
    match action {
        Action::Enrol(a) => organisation::enrol(view, author, a, at),
        Action::ChangeKeys(a) => organisation::change_keys(view, author, a, consent),
        Action::Grant(a) => organisation::grant(view, author, a, consent, at),
        Action::WithdrawGrant(a) => organisation::withdraw(view, author, a, consent),
        Action::Admit(a) => members::admit(view, author, a, consent),
        Action::Expel(a) => members::expel(view, author, a, consent),
        Action::ChangeValidators(a) => members::change_validators(view, author, a, consent),
        Action::ChangeRules(a) => members::change_rules(view, author, a, consent),
        Action::UpgradeProtocol(a) => governance::upgrade(view, author, a, consent, at),
        Action::Hold(a) => device::hold(view, author, a, consent, at),
        Action::Release(a) => device::release(view, author, a, consent, at),
        Action::Revoke(a) => device::revoke(view, author, a, consent, at),
        Action::Deactivate(a) => device::deactivate(view, author, a, consent, at),
        Action::RevokeKey(a) => device::revoke_key(view, author, a, consent, at),
        Action::Rotate(a) => device::rotate(view, author, a, at),
        Action::OfferTransfer(a) => ownership::offer(view, author, a, consent, OfferId(id.0), at),
        Action::AcceptTransfer(a) => ownership::accept(view, author, a, at),
        Action::CancelTransfer(a) => ownership::cancel(view, author, a),
        Action::Recover(a) => ownership::recover(view, author, a, at),
        // The decoder lets none of these into a proposal.
        Action::Propose(_) | Action::Approve(_) | Action::WithdrawProposal(_) => {
            Err(Refusal::Limit("a proposal holds no other"))
        }
    }
}

/// The proposal that an accepted operation carried out, by the state before it and the records that
/// it changed. Whoever shows or counts what operations do must look at its action, not at the word
/// *approve* alone.
pub fn carried_out(
    before: &impl View,
    operation: &Operation,
    changes: &Changes,
) -> Result<Option<OpenProposal>, Refusal> {
    let Action::Approve(Approve { proposal }) = &operation.action else { return Ok(None) };
    let after = changes.0.get(&StateKey::Proposal(*proposal));
    let after = after.map(|bytes| ProposalRecord::from_cbor(bytes)).transpose();
    match after.map_err(|_| Refusal::Corrupt("a record"))? {
        Some(ProposalRecord::Closed(Outcome::CarriedOut)) => match before.proposal(proposal)? {
            Some(ProposalRecord::Open(open)) => Ok(Some(*open)),
            _ => Err(Refusal::UnknownProposal(*proposal)),
        },
        _ => Ok(None),
    }
}

/// Whose operation it is, and the key that signed it.
struct Author {
    did: Did,
    key: PublicKey,
}

impl Author {
    /// The author's organisation, if the key is one of its present keys.
    fn member(&self, view: &impl View) -> Result<OrganisationRecord, Refusal> {
        let record = view.organisation(&self.did)?.ok_or(Refusal::UnknownAuthor(self.did))?;
        if !record.keys.iter().any(|k| k.key == self.key) {
            return Err(Refusal::NotAKeyOf { key: self.key, author: self.did });
        }
        Ok(record)
    }

    /// The author's organisation, if the key has the capability there.
    fn with(&self, view: &impl View, needs: Capability) -> Result<OrganisationRecord, Refusal> {
        let record = self.member(view)?;
        if !record.may(&self.key, needs) {
            return Err(Refusal::Capability { key: self.key, needs: needs.word() });
        }
        Ok(record)
    }
}

/// Refuses an operation that was signed for another count of changes.
fn check_seq(found: u64, signed: u64) -> Result<(), Refusal> {
    if found == signed { Ok(()) } else { Err(Refusal::Sequence { found, signed }) }
}

/// Refuses a key that entered the ledger before, and claims it.
fn claim(
    view: &impl View,
    changes: &mut Changes,
    key: &PublicKey,
    owner: &Did,
) -> Result<(), Refusal> {
    let place = StateKey::of_key(key);
    if view.record(&place).is_some() || changes.0.contains_key(&place) {
        return Err(Refusal::KeyUsed(*key));
    }
    changes.put(place, owner);
    Ok(())
}
