use super::governance::check_approved;
use super::members::{check_organisations, for_all};
use super::{Author, Changes, Consent, Context, View, check_seq, claim};
use crate::{
    BatchRecord, Capability, ChangeKeys, Enrol, Grant, GrantRecord, Matter, OrgKey,
    OrganisationRecord, Refusal, Standing, StateKey, WithdrawGrant, limits,
};

pub(super) fn enrol(
    view: &impl View,
    author: &Author,
    enrol: &Enrol,
    at: &Context,
) -> Result<Changes, Refusal> {
    author.with(view, Capability::Enrol)?;
    let mut grant = view.grant(&enrol.grant)?.ok_or(Refusal::UnknownGrant(enrol.grant))?;
    let id = enrol.batch(&at.network);
    if view.batch(&id)?.is_some() {
        return Err(Refusal::BatchExists(id));
    }
    grant.admits(enrol, &author.did, at.time)?;
    grant.used += enrol.count;
    let batch = BatchRecord {
        owner: author.did,
        grant: enrol.grant,
        model: enrol.model.clone(),
        count: enrol.count,
        root: enrol.root,
        entry: at.index,
        seq: 0,
        standing: Standing::default(),
        offer: None,
    };
    let mut changes = Changes::default();
    changes.put(StateKey::Grant(enrol.grant), &grant);
    changes.put(StateKey::Batch(id), &batch);
    Ok(changes)
}

impl GrantRecord {
    /// Whether an organisation may enrol so many devices of a model under the grant, at a time.
    pub(crate) fn admits(
        &self,
        enrol: &Enrol,
        by: &muster_identity::Did,
        time: crate::Time,
    ) -> Result<(), Refusal> {
        self.check(&enrol.grant, by, &enrol.model, enrol.count, time)
    }

    /// As `admits`, before the batch exists.
    pub fn check(
        &self,
        id: &crate::GrantId,
        by: &muster_identity::Did,
        model: &str,
        count: u64,
        time: crate::Time,
    ) -> Result<(), Refusal> {
        let refuse = |why| Err(Refusal::Grant { grant: *id, why });
        if self.organisation != *by {
            return refuse("it belongs to another organisation");
        }
        if self.withdrawn {
            return refuse("it was withdrawn");
        }
        if time >= self.expires {
            return refuse("it has expired");
        }
        if !self.models.is_empty() && !self.models.iter().any(|m| m == model) {
            return Err(Refusal::Model(model.into()));
        }
        if count == 0 {
            return Err(Refusal::Limit("a batch holds at least one device"));
        }
        if count > self.count.saturating_sub(self.used) {
            return Err(Refusal::GrantExceeded {
                allowed: self.count,
                used: self.used,
                asked: count,
            });
        }
        Ok(())
    }
}

pub(super) fn change_keys(
    view: &impl View,
    author: &Author,
    change: &ChangeKeys,
    consent: Consent,
) -> Result<Changes, Refusal> {
    let mut record = author.with(view, Capability::Root)?;
    check_seq(record.seq, change.seq)?;
    let before = record.keys.clone();
    if change.add.is_empty() && change.remove.is_empty() {
        return Err(Refusal::Limit("a change of keys adds or removes at least one"));
    }
    for key in &change.remove {
        let before = record.keys.len();
        record.keys.retain(|k| k.key != *key);
        if record.keys.len() == before {
            return Err(Refusal::UnknownKey(*key));
        }
    }
    let mut changes = Changes::default();
    for (new, capabilities) in &change.add {
        claim(view, &mut changes, &new.key, &author.did)?;
        record.keys.push(OrgKey { key: new.key, capabilities: *capabilities });
    }
    let rules = view.rules()?;
    let can = |keys: &[OrgKey]| rules.approval.is_none_or(|a| a.can_be_met_by(keys));
    // Whoever locks himself out finds nobody who lets him in again.
    if can(&before) && !can(&record.keys) {
        return Err(Refusal::TooFewApprovers);
    }
    check_approved(&rules, consent, "a change of keys")?;
    put_keys(&mut changes, author, record)?;
    Ok(changes)
}

/// Writes an organisation whose keys changed, one change later, if they are keys it may have.
pub(super) fn put_keys(
    changes: &mut Changes,
    author: &Author,
    mut record: OrganisationRecord,
) -> Result<(), Refusal> {
    if record.keys.len() > limits::ORGANISATION_KEYS {
        return Err(Refusal::Limit("an organisation has at most 32 keys"));
    }
    if !record.keys.iter().any(|k| k.capabilities.has(Capability::Root)) {
        return Err(Refusal::NoRootKey);
    }
    record.seq += 1;
    changes.put(StateKey::Organisation(author.did), &record);
    Ok(())
}

pub(super) fn grant(
    view: &impl View,
    author: &Author,
    grant: &Grant,
    consent: Consent,
    at: &Context,
) -> Result<Changes, Refusal> {
    let members = view.members()?;
    let mut record = for_all(view, author, &members, consent, Capability::Approve)?;
    check_seq(record.seq, grant.seq)?;
    let id = Grant::id(&at.network, &author.did, grant.seq);
    if !view.organisation(&grant.organisation)?.is_some_and(|o| o.is_admitted()) {
        return Err(Refusal::UnknownAuthor(grant.organisation));
    }
    if grant.count == 0 {
        return Err(Refusal::Limit("a grant is for at least one device"));
    }
    if at.time >= grant.expires {
        return Err(Refusal::Limit("a grant ends in the future"));
    }
    let rules = view.rules()?;
    if grant.evidence < rules.evidence {
        return Err(Refusal::Limit("the network's rules ask for stronger evidence"));
    }
    check_organisations(&members, &rules, Matter::Grant, consent)?;
    record.seq += 1;
    let granted = GrantRecord {
        issuer: author.did,
        organisation: grant.organisation,
        models: grant.models.clone(),
        count: grant.count,
        used: 0,
        expires: grant.expires,
        evidence: grant.evidence,
        withdrawn: false,
    };
    let mut changes = Changes::default();
    changes.put(StateKey::Organisation(author.did), &record);
    changes.put(StateKey::Grant(id), &granted);
    Ok(changes)
}

pub(super) fn withdraw(
    view: &impl View,
    author: &Author,
    withdraw: &WithdrawGrant,
    consent: Consent,
) -> Result<Changes, Refusal> {
    let members = view.members()?;
    for_all(view, author, &members, consent, Capability::Approve)?;
    // Whoever gave it takes it back alone; the others do so together.
    let together = members.are_several() && consent == Consent::Others;
    let id = withdraw.grant;
    let mut grant = view.grant(&id)?.ok_or(Refusal::UnknownGrant(id))?;
    if grant.issuer != author.did && !together {
        return Err(Refusal::Grant { grant: id, why: "another organisation gave it" });
    }
    if grant.withdrawn {
        return Err(Refusal::Grant { grant: id, why: "it was withdrawn already" });
    }
    grant.withdrawn = true;
    let mut changes = Changes::default();
    changes.put(StateKey::Grant(id), &grant);
    Ok(changes)
}
