//! The batches of one command: one for each model, and one more after every 2^20 rows.

use crate::Error;
use crate::limits::BATCHES;
use crate::reading::{Row, State};
use muster_api::{GrantView, NetworkView};
use muster_identity::Did;
use muster_ledger::{BatchId, Enrol, EntryProof, GrantId, LeafTree, Time, limits};
use std::collections::BTreeMap;

/// A batch in the making.
pub(crate) struct Batch {
    pub(crate) model: String,
    pub(crate) grant: GrantId,
    /// Its rows, by their place in the file.
    pub(crate) rows: Vec<usize>,
    /// The node's upload, until it was used or dropped.
    pub(crate) upload: Option<String>,
    /// The staged rows in the order of the leaves, and the tree over them.
    pub(crate) order: Vec<usize>,
    pub(crate) tree: LeafTree,
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

/// Puts the rows that may be staged into batches.
pub(crate) fn plan(
    rows: &mut [Row],
    network: &NetworkView,
    organisation: &Did,
    grant: Option<GrantId>,
    now: Time,
) -> Result<Vec<Batch>, Error> {
    let mut models: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        if let Some(device) = row.ready() {
            models.entry(device.model.clone()).or_default().push(i);
        }
    }
    let mut batches = Vec::new();
    for (model, members) in models {
        let grant = choose(network, organisation, grant, &model, now)?;
        for part in members.chunks(limits::BATCH_DEVICES as usize) {
            for i in part {
                rows[*i].batch = Some(batches.len() as u16);
            }
            batches.push(Batch {
                model: model.clone(),
                grant,
                rows: part.to_vec(),
                upload: None,
                order: Vec::new(),
                tree: LeafTree::default(),
                enrolled: None,
            });
            if batches.len() > BATCHES {
                return Err(Error::Argument {
                    what: "FILE",
                    why: "the rows make more than 64 batches; enrol fewer models at once".into(),
                });
            }
        }
    }
    Ok(batches)
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

fn live(grant: &GrantView, organisation: &str, now: Time) -> bool {
    grant.organisation == organisation && !grant.withdrawn && now.0 < grant.expires
}

/// Refuses the command if its new devices are more than a grant has left.
pub(crate) fn check_grants(
    batches: &[Batch],
    rows: &[Row],
    network: &NetworkView,
) -> Result<(), Error> {
    let mut asked: BTreeMap<GrantId, u64> = BTreeMap::new();
    for batch in batches {
        let staged = batch.rows.iter().filter(|i| matches!(rows[**i].state, State::Staged)).count();
        *asked.entry(batch.grant).or_default() += staged as u64;
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
