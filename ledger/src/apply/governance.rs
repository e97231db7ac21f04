use super::{Author, Changes, Consent, Context, View, carry_out, check_seq};
use crate::{
    Approve, Capability, ChangeRules, OpenProposal, OrganisationRecord, Outcome, OversightRecord,
    ProposalId, ProposalRecord, Propose, ProtocolRecord, Refusal, Rules, StateKey, UpgradeProtocol,
    ValidatorSet, WithdrawProposal, limits,
};
use alloc::{boxed::Box, vec::Vec};
use muster_identity::Did;

/// Counts devices that an organisation ends by one signature, and refuses what is above the rules.
/// Nothing is written where the rules set no number.
pub(super) fn count_ended(
    view: &impl View,
    author: &Author,
    devices: u64,
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut changes = Changes::default();
    let approval = view.rules()?.approval;
    let Some(allowed) = approval.and_then(|approval| approval.devices) else { return Ok(changes) };
    if consent == Consent::Others || devices == 0 {
        return Ok(changes);
    }
    let mut record = view.oversight(&author.did)?;
    let today = record.ended_on(at.time);
    if devices > allowed.saturating_sub(today) {
        return Err(Refusal::TooManyEnded { devices, today, allowed });
    }
    (record.day, record.ended) = (at.time.day(), today + devices);
    changes.put(StateKey::Oversight(author.did), &record);
    Ok(changes)
}

/// Refuses one signature where the rules ask for more.
pub(super) fn check_approved(
    rules: &Rules,
    consent: Consent,
    what: &'static str,
) -> Result<(), Refusal> {
    let governed = rules.approval.is_some_and(|approval| approval.governance);
    if governed && consent == Consent::Author {
        return Err(Refusal::NeedsApproval(what));
    }
    Ok(())
}

/// Refuses whoever does not have every validator of the network.
pub(super) fn runs_alone(
    view: &impl View,
    author: &Did,
    validators: &ValidatorSet,
) -> Result<(), Refusal> {
    for key in &validators.0 {
        if view.read::<Did>(StateKey::of_key(key))? != Some(*author) {
            return Err(Refusal::Limit("the validators are not all of this organisation"));
        }
    }
    Ok(())
}

/// What concerns the whole network: by the root key of the organisation that runs it alone.
fn governor(view: &impl View, author: &Author, seq: u64) -> Result<OrganisationRecord, Refusal> {
    let record = author.with(view, Capability::Root)?;
    check_seq(record.seq, seq)?;
    runs_alone(view, &author.did, &view.validators()?)?;
    Ok(record)
}

pub(super) fn change_rules(
    view: &impl View,
    author: &Author,
    change: &ChangeRules,
    consent: Consent,
) -> Result<Changes, Refusal> {
    let mut record = governor(view, author, change.seq)?;
    let present = view.rules()?;
    if present == change.rules {
        return Err(Refusal::Limit("these are the rules already"));
    }
    if change.rules.approval.is_some_and(|approval| !approval.can_be_met_by(&record.keys)) {
        return Err(Refusal::TooFewApprovers);
    }
    check_approved(&present, consent, "a change of rules")?;
    record.seq += 1;
    let mut changes = Changes::default();
    changes.put(StateKey::Organisation(author.did), &record);
    changes.put(StateKey::Rules, &change.rules);
    Ok(changes)
}

/// A version announced takes the place of the one before, as long as that is not reached. The same
/// again confirms it, a day later or more: until then whoever sees it can take it back.
pub(super) fn upgrade(
    view: &impl View,
    author: &Author,
    upgrade: &UpgradeProtocol,
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let mut record = governor(view, author, upgrade.seq)?;
    let present = view.protocol()?;
    let version = present.at(at.height);
    if let Some(next) = upgrade.next {
        if next.version != version + 1 {
            return Err(Refusal::Limit("the next protocol version is one above the present one"));
        }
        if next.height <= at.height {
            return Err(Refusal::Limit("a protocol version begins with a block to come"));
        }
    }
    let confirm_from = match (upgrade.next, present.confirm_from) {
        (None, _) if present.next.is_none() => {
            return Err(Refusal::Limit("no protocol version is announced"));
        }
        (None, _) => None,
        (next, _) if next != present.next => Some(at.time.plus_ms(limits::UPGRADE_NOTICE_MS)),
        (_, None) => return Err(Refusal::Limit("this is announced and confirmed already")),
        (_, Some(from)) if at.time < from => {
            return Err(Refusal::Limit(
                "this is announced already; it is confirmed 24 hours after that or later",
            ));
        }
        (_, Some(_)) => None,
    };
    check_approved(&view.rules()?, consent, "a new protocol version")?;
    record.seq += 1;
    let mut changes = Changes::default();
    changes.put(StateKey::Organisation(author.did), &record);
    changes.put(StateKey::Protocol, &ProtocolRecord { version, next: upgrade.next, confirm_from });
    Ok(changes)
}

pub(super) fn propose(
    view: &impl View,
    author: &Author,
    propose: &Propose,
    id: ProposalId,
    at: &Context,
) -> Result<Changes, Refusal> {
    if view.organisation(&author.did)?.is_none() {
        return Err(Refusal::UnknownAuthor(author.did));
    }
    if view.proposal(&id)?.is_some() {
        return Err(Refusal::ProposalExists(id));
    }
    if propose.expires <= at.time {
        return Err(Refusal::Limit("a proposal ends in the future"));
    }
    if propose.expires.since(at.time) > limits::PROPOSAL_LIFETIME_MS {
        return Err(Refusal::Limit("a proposal ends within 7 days"));
    }
    // What would be refused now is not worth anybody's approval.
    carry_out(view, author, &propose.action, Consent::Others, at)?;
    let (mut changes, mut record) = sweep(view, &author.did, at)?;
    if record.open.len() >= limits::OPEN_PROPOSALS {
        return Err(Refusal::Limit("an organisation has at most 16 open proposals"));
    }
    record.open.push(id);
    changes.put(StateKey::Oversight(author.did), &record);
    let open = OpenProposal {
        organisation: author.did,
        key: author.key,
        action: (*propose.action).clone(),
        expires: propose.expires,
        approvals: Default::default(),
        reason: propose.reason.clone(),
        entry: at.index,
    };
    changes.put(StateKey::Proposal(id), &ProposalRecord::Open(Box::new(open)));
    Ok(changes)
}

/// Members, rules and counters are those of this moment: a key that left approves no more, and a
/// proposal whose author lost the right is refused as its action would be.
pub(super) fn approve(
    view: &impl View,
    author: &Author,
    approve: &Approve,
    at: &Context,
) -> Result<Changes, Refusal> {
    let organisation = author.with(view, Capability::Approve)?;
    let id = approve.proposal;
    let mut proposal = open(view, &id, author, at)?;
    if proposal.key == author.key {
        return Err(Refusal::OwnApproval("another key than the one that proposed approves"));
    }
    if proposal.approvals.contains(&author.key) {
        return Err(Refusal::OwnApproval("this key approved the proposal already"));
    }
    proposal.approvals.retain(|key| organisation.may(key, Capability::Approve));
    proposal.approvals.push(author.key);
    if (proposal.approvals.len() as u64) < view.rules()?.people() {
        let (mut changes, record) = sweep(view, &author.did, at)?;
        changes.put(StateKey::Oversight(author.did), &record);
        changes.put(StateKey::Proposal(id), &ProposalRecord::Open(proposal));
        return Ok(changes);
    }
    let proposer = Author { did: proposal.organisation, key: proposal.key };
    let done = carry_out(view, &proposer, &proposal.action, Consent::Others, at)?;
    Ok(done.and(close(view, &id, &author.did, Outcome::CarriedOut, at)?))
}

pub(super) fn withdraw(
    view: &impl View,
    author: &Author,
    withdraw: &WithdrawProposal,
    at: &Context,
) -> Result<Changes, Refusal> {
    let id = withdraw.proposal;
    let proposal = open(view, &id, author, at)?;
    let outcome = if proposal.key == author.key {
        author.member(view)?;
        Outcome::Withdrawn
    } else {
        author.with(view, Capability::Approve)?;
        Outcome::Rejected
    };
    close(view, &id, &author.did, outcome, at)
}

/// A proposal of the author's organisation that may be approved.
fn open(
    view: &impl View,
    id: &ProposalId,
    author: &Author,
    at: &Context,
) -> Result<Box<OpenProposal>, Refusal> {
    match view.proposal(id)?.ok_or(Refusal::UnknownProposal(*id))? {
        ProposalRecord::Closed(outcome) => Err(Refusal::ProposalClosed(outcome)),
        ProposalRecord::Open(p) if p.organisation != author.did => {
            Err(Refusal::NotOwner(p.organisation))
        }
        ProposalRecord::Open(p) if p.expires <= at.time => {
            Err(Refusal::ProposalClosed(Outcome::Expired))
        }
        ProposalRecord::Open(p) => Ok(p),
    }
}

fn close(
    view: &impl View,
    id: &ProposalId,
    organisation: &Did,
    outcome: Outcome,
    at: &Context,
) -> Result<Changes, Refusal> {
    let (mut changes, mut record) = sweep(view, organisation, at)?;
    record.open.retain(|open| open != id);
    changes.put(StateKey::Oversight(*organisation), &record);
    changes.put(StateKey::Proposal(*id), &ProposalRecord::Closed(outcome));
    Ok(changes)
}

/// Closes what expired: only whoever touches an organisation's proposals pays for them.
fn sweep(
    view: &impl View,
    organisation: &Did,
    at: &Context,
) -> Result<(Changes, OversightRecord), Refusal> {
    let (mut changes, mut record) = (Changes::default(), view.oversight(organisation)?);
    let mut left = Vec::new();
    for id in record.open {
        match view.proposal(&id)? {
            Some(ProposalRecord::Open(p)) if p.expires > at.time => left.push(id),
            Some(ProposalRecord::Open(_)) => {
                changes.put(StateKey::Proposal(id), &ProposalRecord::Closed(Outcome::Expired))
            }
            _ => return Err(Refusal::Corrupt("an open proposal that is not")),
        }
    }
    record.open = left;
    Ok((changes, record))
}
