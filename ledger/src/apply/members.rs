//! What concerns every organisation: who decides it, who they are, the validators and the rules.

use super::governance::check_approved;
use super::organisation::put_keys;
use super::{Author, Changes, Consent, View, check_seq, claim};
use crate::{
    Admission, Admit, Capabilities, Capability, ChangeRules, ChangeValidators, Expel, Matter,
    Members, OrgKey, OrganisationRecord, Refusal, Rules, StateKey, ValidatorSet, limits,
};
use alloc::vec::Vec;
use muster_identity::{Did, PublicKey};

/// The author's organisation, if its key may do by itself what needs the capability, or propose it
/// to the others.
pub(super) fn for_all(
    view: &impl View,
    author: &Author,
    members: &Members,
    consent: Consent,
    needs: Capability,
) -> Result<OrganisationRecord, Refusal> {
    if !members.are_several() || consent == Consent::Author {
        return author.with(view, needs);
    }
    let record = author.member(view)?;
    match record.may(&author.key, Capability::Root) {
        true => Ok(record),
        false => author.with(view, Capability::Approve),
    }
}

/// Refuses one organisation where the rules ask for more.
pub(super) fn check_organisations(
    members: &Members,
    rules: &Rules,
    matter: Matter,
    consent: Consent,
) -> Result<(), Refusal> {
    let needed = rules.table().get(matter).of(members.0.len());
    if consent == Consent::Author && needed > 1 {
        return Err(Refusal::NeedsApproval(matter.what()));
    }
    Ok(())
}

/// As [`check_organisations`], of what one organisation that governs alone may want approved too.
pub(super) fn check_consent(
    members: &Members,
    rules: &Rules,
    matter: Matter,
    consent: Consent,
) -> Result<(), Refusal> {
    match members.are_several() {
        true => check_organisations(members, rules, matter, consent),
        false => check_approved(rules, consent, matter.what()),
    }
}

/// Refuses whoever does not have every validator of the network.
fn runs_alone(view: &impl View, author: &Did, validators: &ValidatorSet) -> Result<(), Refusal> {
    for key in &validators.0 {
        if view.read::<Did>(StateKey::of_key(key))? != Some(*author) {
            return Err(Refusal::Limit("the validators are not all of this organisation"));
        }
    }
    Ok(())
}

/// Who speaks on what concerns the whole network: among several organisations each of them; else
/// the root key of the one that runs it.
pub(super) fn governor(
    view: &impl View,
    author: &Author,
    seq: u64,
    consent: Consent,
) -> Result<(OrganisationRecord, Members), Refusal> {
    let members = view.members()?;
    let record = for_all(view, author, &members, consent, Capability::Root)?;
    check_seq(record.seq, seq)?;
    if !members.are_several() {
        runs_alone(view, &author.did, &view.validators()?)?;
    }
    Ok((record, members))
}

pub(super) fn admit(
    view: &impl View,
    author: &Author,
    admit: &Admit,
    consent: Consent,
) -> Result<Changes, Refusal> {
    let (mut record, mut members) = governor(view, author, admit.seq, consent)?;
    let admission = &admit.admission;
    let did = admission.did();
    if view.organisation(&did)?.is_some() {
        let why = "it is or was one of this network, and none comes twice under one DID";
        return Err(Refusal::Organisation { organisation: did, why });
    }
    if members.0.len() >= limits::ORGANISATIONS {
        return Err(Refusal::Limit("a network has at most 64 organisations"));
    }
    let rules = view.rules()?;
    let keys = first_keys(admission, &rules)?;
    let mut changes = Changes::default();
    for key in &keys {
        claim(view, &mut changes, &key.key, &did)?;
    }
    check_consent(&members, &rules, Matter::Admit, consent)?;
    members.insert(author.did);
    members.insert(did);
    record.seq += 1;
    let label = admission.label.clone();
    let admitted = OrganisationRecord { label, keys, seq: Admission::SEQ };
    changes.put(StateKey::Organisation(author.did), &record);
    changes.put(StateKey::Organisation(did), &admitted);
    changes.put(StateKey::Members, &members);
    Ok(changes)
}

/// The keys of an organisation that is taken in: enough to go on when one is lost, and to take part
/// in what concerns all.
fn first_keys(admission: &Admission, rules: &Rules) -> Result<Vec<OrgKey>, Refusal> {
    let key = |(new, capabilities): &(crate::NewKey, Capabilities)| OrgKey {
        key: new.key,
        capabilities: *capabilities,
    };
    let keys: Vec<OrgKey> = admission.keys.iter().map(key).collect();
    let root = admission.inception.key;
    if !keys.iter().any(|k| k.key == root && k.capabilities.has(Capability::Root)) {
        return Err(Refusal::NoRootKey);
    }
    if keys.len() < limits::FIRST_KEYS {
        return Err(Refusal::Limit("an organisation begins with a second key beside its root key"));
    }
    if !keys.iter().any(|k| k.capabilities.has(Capability::Approve)) {
        return Err(Refusal::Limit("an organisation begins with a key that may `approve`"));
    }
    if rules.approval.is_some_and(|approval| !approval.can_be_met_by(&keys)) {
        return Err(Refusal::TooFewApprovers);
    }
    Ok(keys)
}

/// Its keys end, and with them every grant that it has: nobody can sign under one. What it owns
/// stays as it is.
pub(super) fn expel(
    view: &impl View,
    author: &Author,
    expel: &Expel,
    consent: Consent,
) -> Result<Changes, Refusal> {
    let (mut record, mut members) = governor(view, author, expel.seq, consent)?;
    let did = expel.organisation;
    let refuse = |why| Err(Refusal::Organisation { organisation: did, why });
    let Some(mut expelled) = view.organisation(&did)?.filter(|o| o.is_admitted()) else {
        return refuse("it is none of this network's");
    };
    if !members.are_several() {
        return refuse("it is the only one");
    }
    let (present, mut left) = (view.validators()?, Vec::new());
    for key in &present.0 {
        if view.read::<Did>(StateKey::of_key(key))? != Some(did) {
            left.push(*key);
        }
    }
    if left.is_empty() {
        return refuse("the network would be left without a validator: change those first");
    }
    let rules = view.rules()?;
    if rules.table.is_some_and(|table| table.locks(members.0.len() - 1)) {
        return Err(Refusal::Limit(LOCKED));
    }
    check_consent(&members, &rules, Matter::Expel, consent)?;
    let mut changes = Changes::default();
    members.0.retain(|member| *member != did);
    changes.put(StateKey::Members, &members);
    record.seq += 1;
    changes.put(StateKey::Organisation(author.did), &record);
    // Last: whoever proposed to leave wrote itself above.
    expelled.keys.clear();
    expelled.seq += 1;
    changes.put(StateKey::Organisation(did), &expelled);
    if left.len() < present.0.len() {
        changes.put(StateKey::Validators, &ValidatorSet(left));
    }
    Ok(changes)
}

/// Where one organisation has every validator, its root key replaces them with keys that nobody had:
/// a lost validator signs no block that could hold a proposal, so one signature suffices whatever
/// the rules say, and that the new ones hold their keys is shown by the head they sign. Else the
/// organisations decide, over keys that are theirs already.
pub(super) fn change_validators(
    view: &impl View,
    author: &Author,
    change: &ChangeValidators,
    consent: Consent,
) -> Result<Changes, Refusal> {
    let (present, next) = (view.validators()?, &change.validators);
    let new: Vec<PublicKey> =
        next.0.iter().filter(|key| !present.0.contains(key)).copied().collect();
    let members = view.members()?;
    let alone = runs_alone(view, &author.did, &present);
    let unknown = |key: &PublicKey| view.record(&StateKey::of_key(key)).is_none();
    let proposed = consent == Consent::Others;
    if members.are_several() && (proposed || alone.is_err() || !new.iter().all(unknown)) {
        return change_by_all(view, author, change, &present, consent);
    }
    if proposed {
        return Err(Refusal::Limit("one organisation changes its validators without a proposal"));
    }
    let mut record = author.with(view, Capability::Root)?;
    check_seq(record.seq, change.seq)?;
    alone?;
    if present == *next {
        return Err(Refusal::Limit("these are the validators already"));
    }
    let mut changes = Changes::default();
    record.keys.retain(|k| !present.0.contains(&k.key) || next.0.contains(&k.key));
    for key in &new {
        claim(view, &mut changes, key, &author.did)?;
        let capabilities = Capabilities::of(&[Capability::Validator]);
        record.keys.push(OrgKey { key: *key, capabilities });
    }
    put_keys(&mut changes, author, record)?;
    changes.put(StateKey::Validators, next);
    Ok(changes)
}

fn change_by_all(
    view: &impl View,
    author: &Author,
    change: &ChangeValidators,
    present: &ValidatorSet,
    consent: Consent,
) -> Result<Changes, Refusal> {
    let (mut record, members) = governor(view, author, change.seq, consent)?;
    if *present == change.validators {
        return Err(Refusal::Limit("these are the validators already"));
    }
    for key in &change.validators.0 {
        let owner = view.read::<Did>(StateKey::of_key(key))?;
        let owner = owner.map(|did| view.organisation(&did)).transpose()?.flatten();
        if !owner.is_some_and(|o| o.may(key, Capability::Validator)) {
            return Err(Refusal::NotAValidator(*key));
        }
    }
    check_consent(&members, &view.rules()?, Matter::Validators, consent)?;
    record.seq += 1;
    let mut changes = Changes::default();
    changes.put(StateKey::Organisation(author.did), &record);
    changes.put(StateKey::Validators, &change.validators);
    Ok(changes)
}

const LOCKED: &str = "with this table one organisation that lost its keys would end all governance: \
                      let fewer than all decide on expulsions, or on rules";

pub(super) fn change_rules(
    view: &impl View,
    author: &Author,
    change: &ChangeRules,
    consent: Consent,
) -> Result<Changes, Refusal> {
    let (mut record, members) = governor(view, author, change.seq, consent)?;
    let present = view.rules()?;
    if present == change.rules {
        return Err(Refusal::Limit("these are the rules already"));
    }
    check_rules(view, &change.rules, author, &members)?;
    check_consent(&members, &present, Matter::Rules, consent)?;
    record.seq += 1;
    let mut changes = Changes::default();
    changes.put(StateKey::Organisation(author.did), &record);
    changes.put(StateKey::Rules, &change.rules);
    Ok(changes)
}

/// Refuses rules that the present organisations and their keys could not meet.
fn check_rules(
    view: &impl View,
    rules: &Rules,
    author: &Author,
    members: &Members,
) -> Result<(), Refusal> {
    let alone = [author.did];
    let all = if members.are_several() { &members.0[..] } else { &alone };
    let mut approving = 0;
    for did in all {
        let record = view.organisation(did)?.ok_or(Refusal::Corrupt("no such organisation"))?;
        if rules.approval.is_some_and(|approval| !approval.can_be_met_by(&record.keys)) {
            return Err(Refusal::TooFewApprovers);
        }
        let approves = record.keys.iter().any(|k| k.capabilities.has(Capability::Approve));
        approving += usize::from(approves);
    }
    let Some(table) = &rules.table else { return Ok(()) };
    if table.locks(all.len()) {
        return Err(Refusal::Limit(LOCKED));
    }
    // One proposes, perhaps by its root key, and the others approve.
    if table.0.iter().any(|threshold| threshold.of(all.len()) > approving.max(1)) {
        return Err(Refusal::Limit(
            "the table asks for more organisations than have a key that may `approve`",
        ));
    }
    Ok(())
}
