use super::members::{check_consent, governor};
use super::{Author, Changes, Consent, Context, View, carry_out};
use crate::{
    Action, Approve, Approved, Capability, Matter, Members, OpenProposal, OrganisationRecord,
    Outcome, OversightRecord, ProposalId, ProposalRecord, Propose, ProtocolRecord, Refusal, Rules,
    StateKey, UpgradeProtocol, WithdrawProposal, limits,
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

/// Refuses one signature where the rules of one organisation ask for more.
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

/// A version announced takes the place of the one before, as long as that is not reached. The same
/// again confirms it, a day later or more: until then whoever sees it can take it back.
pub(super) fn upgrade(
    view: &impl View,
    author: &Author,
    upgrade: &UpgradeProtocol,
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let (mut record, members) = governor(view, author, upgrade.seq, consent)?;
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
    check_consent(&members, &view.rules()?, Matter::Protocol, consent)?;
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
    carry_out(view, author, &propose.action, Consent::Others, id, at)?;
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
    let mut proposal = open(view, &id, at)?;
    let members = view.members()?;
    match concerns_all(&members, &proposal.action) {
        Some(_) => count_organisations(view, author, &mut proposal, &members)?,
        None => count_people(author, &mut proposal, &organisation)?,
    }
    let needed = approvals_needed(view, &proposal.action)?;
    proposal.approvals.push(Approved { key: author.key, organisation: author.did });
    if (proposal.approvals.len() as u64) < needed {
        let (mut changes, record) = sweep(view, &proposal.organisation, at)?;
        changes.put(StateKey::Oversight(proposal.organisation), &record);
        changes.put(StateKey::Proposal(id), &ProposalRecord::Open(proposal));
        return Ok(changes);
    }
    let proposer = Author { did: proposal.organisation, key: proposal.key };
    let done = carry_out(view, &proposer, &proposal.action, Consent::Others, id, at)?;
    Ok(done.and(close(view, &id, &proposal.organisation, Outcome::CarriedOut, at)?))
}

fn concerns_all(members: &Members, action: &Action) -> Option<Matter> {
    action.matter().filter(|_| members.are_several())
}

/// How many must approve an action if it is proposed now: other organisations where it concerns
/// all, else other keys of the organisation that proposes.
pub fn approvals_needed(view: &impl View, action: &Action) -> Result<u64, Refusal> {
    let (members, rules) = (view.members()?, view.rules()?);
    Ok(match concerns_all(&members, action) {
        // Whoever proposes agrees, and a proposal is never carried out by its author alone.
        Some(matter) => {
            rules.table().get(matter).of(members.0.len()).saturating_sub(1).max(1) as u64
        }
        None => rules.people(),
    })
}

/// Of what one organisation decides, the approvals of its present keys count, each once.
fn count_people(
    author: &Author,
    proposal: &mut OpenProposal,
    organisation: &OrganisationRecord,
) -> Result<(), Refusal> {
    if proposal.organisation != author.did {
        return Err(Refusal::NotOwner(proposal.organisation));
    }
    if proposal.key == author.key {
        return Err(Refusal::OwnApproval("another key than the one that proposed approves"));
    }
    if proposal.approvals.iter().any(|approved| approved.key == author.key) {
        return Err(Refusal::OwnApproval("this key approved the proposal already"));
    }
    proposal.approvals.retain(|approved| {
        approved.organisation == author.did && organisation.may(&approved.key, Capability::Approve)
    });
    Ok(())
}

/// Of what concerns all, other organisations' approvals count, each organisation's once, as long as
/// it is one and the key that gave it may.
fn count_organisations(
    view: &impl View,
    author: &Author,
    proposal: &mut OpenProposal,
    members: &Members,
) -> Result<(), Refusal> {
    if proposal.organisation == author.did {
        return Err(Refusal::OwnApproval("the organisation that proposed counts already"));
    }
    let mut counting = Vec::new();
    for approved in &proposal.approvals {
        let Approved { key, organisation } = approved;
        let other = *organisation != proposal.organisation && members.contains(organisation);
        let record = if other { view.organisation(organisation)? } else { None };
        if record.is_some_and(|record| record.may(key, Capability::Approve)) {
            counting.push(*approved);
        }
    }
    if counting.iter().any(|approved| approved.organisation == author.did) {
        return Err(Refusal::OwnApproval("this organisation approved the proposal already"));
    }
    proposal.approvals = counting;
    Ok(())
}

pub(super) fn withdraw(
    view: &impl View,
    author: &Author,
    withdraw: &WithdrawProposal,
    at: &Context,
) -> Result<Changes, Refusal> {
    let id = withdraw.proposal;
    let proposal = open(view, &id, at)?;
    // Another organisation just does not approve: none can keep the others from deciding.
    if proposal.organisation != author.did {
        return Err(Refusal::NotOwner(proposal.organisation));
    }
    let outcome = if proposal.key == author.key {
        author.member(view)?;
        Outcome::Withdrawn
    } else {
        author.with(view, Capability::Approve)?;
        Outcome::Rejected
    };
    close(view, &id, &author.did, outcome, at)
}

/// A proposal that may be approved.
fn open(view: &impl View, id: &ProposalId, at: &Context) -> Result<Box<OpenProposal>, Refusal> {
    match view.proposal(id)?.ok_or(Refusal::UnknownProposal(*id))? {
        ProposalRecord::Closed(outcome) => Err(Refusal::ProposalClosed(outcome)),
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
