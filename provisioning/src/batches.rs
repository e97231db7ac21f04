//! The batches of one command: one for each model, and one more after every 2^20 rows of it.

use crate::Error;
use crate::rows::Group;
use muster_api::{GrantView, NetworkView};
use muster_identity::Did;
use muster_ledger::{BatchId, Enrol, EntryProof, GrantId, SignedOperation, Time};
use std::collections::BTreeMap;

/// A batch in the making.
pub(crate) struct Batch {
    /// Its place among the batches of the command.
    pub(crate) number: u16,
    pub(crate) model: String,
    /// Scrap: enrolled to be revoked.
    pub(crate) scrap: bool,
    pub(crate) grant: GrantId,
    /// How many rows may be staged.
    pub(crate) rows: u64,
    /// The node's upload, until it was used or dropped.
    pub(crate) upload: Option<String>,
    /// Rows that the node takes in one request.
    pub(crate) at_once: usize,
    /// How many rows are sealed, the first of them, and what is to be signed.
    pub(crate) staged: u64,
    pub(crate) first: Option<Did>,
    pub(crate) sealed: Option<Enrol>,
    /// What an earlier run signed.
    pub(crate) signed: Option<SignedOperation>,
    pub(crate) enrolled: Option<EnrolledBatch>,
}

/// A batch whose enrolment a quorum acknowledged, and the proof, which was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledBatch {
    /// Its id.
    pub batch: BatchId,
    /// What was signed: grant, model, count and root.
    pub enrol: Enrol,
    /// The acknowledgement; it is also the batch part of its devices' receipts.
    pub proof: EntryProof,
    /// Height of the block.
    pub height: u64,
    /// Time of the block.
    pub time: Time,
}

/// The batches of the groups that have rows.
pub(crate) fn plan(
    groups: &[Group],
    network: &NetworkView,
    organisation: &Did,
    grant: Option<GrantId>,
    now: Time,
) -> Result<Vec<Batch>, Error> {
    let batch = |(number, group): (usize, &Group)| {
        let grant = choose(network, organisation, grant, &group.model, now)?;
        let (model, rows) = (group.model.clone(), group.rows);
        Ok(Batch {
            number: number as u16,
            model,
            scrap: group.scrap,
            grant,
            rows,
            upload: None,
            at_once: muster_api::limits::UPLOAD_ROWS,
            staged: 0,
            first: None,
            sealed: None,
            signed: None,
            enrolled: None,
        })
    };
    groups.iter().enumerate().filter(|(_, group)| group.rows > 0).map(batch).collect()
}

/// The grant to enrol a model under: the named one, or the only one that fits.
fn choose(
    network: &NetworkView,
    organisation: &Did,
    named: Option<GrantId>,
    model: &str,
    now: Time,
) -> Result<GrantId, Error> {
    let organisation = organisation.to_string();
    if let Some(id) = named {
        let name = id.to_string();
        let known = network.grants.iter().find(|grant| grant.grant == name);
        let grant =
            known.ok_or_else(|| Error::Grant(format!("the network has no grant {name}")))?;
        return match fault(grant, &organisation, model, now) {
            None => Ok(id),
            Some(why) => Err(Error::Grant(format!("grant {name}: {why}"))),
        };
    }
    let fits = |grant: &&GrantView| fault(grant, &organisation, model, now).is_none();
    let fitting: Vec<&GrantView> = network.grants.iter().filter(fits).collect();
    match fitting[..] {
        [grant] => grant.grant.parse().map_err(|_| Error::Peer {
            what: "the id of a grant",
            ours: "64 hexadecimal digits".into(),
            theirs: format!("{} characters", grant.grant.len()),
        }),
        [] => Err(Error::Grant(format!(
            "no grant lets {organisation} enrol model {model:?} now; ask the network for one"
        ))),
        _ => {
            let ids: Vec<_> = fitting.iter().map(|grant| grant.grant.as_str()).collect();
            let ids = ids.join(", ");
            Err(Error::Grant(format!("several grants fit model {model:?}, name one: {ids}")))
        }
    }
}

/// Why a grant does not let the organisation enrol the model now.
fn fault(grant: &GrantView, organisation: &str, model: &str, now: Time) -> Option<String> {
    if grant.organisation != organisation {
        Some("it belongs to another organisation".into())
    } else if grant.withdrawn {
        Some("it was withdrawn".into())
    } else if now.0 >= grant.expires {
        Some("it has expired".into())
    } else if !grant.models.is_empty() && !grant.models.iter().any(|m| m == model) {
        Some(format!("it does not cover model {model:?}"))
    } else {
        None
    }
}

/// The only model that the organisation's grants name, where they name one.
pub(crate) fn only_model(
    network: &NetworkView,
    organisation: &Did,
    named: Option<GrantId>,
    now: Time,
) -> Option<String> {
    let organisation = organisation.to_string();
    let named = named.map(|id| id.to_string());
    let mut models = network
        .grants
        .iter()
        .filter(|grant| named.as_ref().is_none_or(|name| *name == grant.grant))
        .filter(|grant| live(grant, &organisation, now))
        .map(|grant| &grant.models[..]);
    match (models.next(), models.next()) {
        (Some([model]), None) => Some(model.clone()),
        _ => None,
    }
}

/// A live grant, and a model that it covers: the right to tell what the line says, where no row
/// is enrolled.
pub(crate) fn any_grant(
    network: &NetworkView,
    organisation: &Did,
    named: Option<GrantId>,
    now: Time,
) -> Result<(GrantId, String), Error> {
    let own = organisation.to_string();
    let named = named.map(|id| id.to_string());
    let fits = |grant: &&GrantView| {
        named.as_ref().is_none_or(|name| *name == grant.grant) && live(grant, &own, now)
    };
    let grant = network.grants.iter().find(fits);
    let none = || Error::Grant(format!("{own} has no grant now; ask the network for one"));
    let grant = grant.ok_or_else(none)?;
    let id = grant.grant.parse().map_err(|_| none())?;
    Ok((id, grant.models.first().cloned().unwrap_or_else(|| "any".into())))
}

fn live(grant: &GrantView, organisation: &str, now: Time) -> bool {
    grant.organisation == organisation && !grant.withdrawn && now.0 < grant.expires
}

/// Refuses the command if its new devices are more than a grant has left.
pub(crate) fn check_grants(batches: &[Batch], network: &NetworkView) -> Result<(), Error> {
    let mut asked: BTreeMap<GrantId, u64> = BTreeMap::new();
    // What an earlier run signed may be enrolled, and used up its part of the grant.
    for batch in batches.iter().filter(|batch| batch.signed.is_none()) {
        *asked.entry(batch.grant).or_default() += batch.staged;
    }
    for (id, asked) in asked {
        let name = id.to_string();
        let Some(grant) = network.grants.iter().find(|grant| grant.grant == name) else {
            return Err(Error::Grant(format!("the network has no grant {name} any more")));
        };
        if asked > grant.count.saturating_sub(grant.used) {
            let (allowed, used) = (grant.count, grant.used);
            return Err(Error::GrantExceeded { grant: name, allowed, used, asked });
        }
    }
    Ok(())
}
