//! What readers ask. Everything is answered from the newest signed head and rows that never
//! change, so no reader waits for a commit.

use crate::claims::Claim;
use crate::governance::{protocol_view, rules_view};
use crate::node::{Node, Published};
use crate::readers::Reader;
use crate::store::LeafRow;
use crate::{Error, tiles};
use data_encoding::BASE64;
use muster_api::{
    BatchView, ChangeView, DeviceView, GrantView, HoldView, KeyView, Leaves, NetworkView,
    OfferView, OrganisationView, Problem, limits,
};
use muster_identity::Did;
use muster_identity::cbor::Decode;
use muster_ledger::merkle::leaf_hash;
use muster_ledger::{
    Action, BatchId, BatchRecord, DevicePart, DeviceRecord, Entry, GrantId, GrantRecord, Leaf,
    Offer, OrganisationRecord, Power, Receipt, Retired, Standing, Time, VerifiedOperation,
    View as _, owner_of, status,
};
use std::collections::BTreeSet;

/// A device, its leaf and its batch, all under one head.
pub(crate) struct Device {
    pub(crate) row: LeafRow,
    pub(crate) leaf: Leaf,
    pub(crate) batch: BatchRecord,
    pub(crate) record: Option<DeviceRecord>,
}

impl Node {
    /// A device under a head; none if it is not enrolled there.
    pub(crate) async fn find(
        &self,
        published: &Published,
        did: &Did,
    ) -> Result<Option<Device>, Problem> {
        let Some(row) = self.store.leaf(*did).await? else { return Ok(None) };
        let state = published.chain.state();
        // The store may be a block ahead of the head.
        let Some(batch) = state.batch(&row.batch)? else { return Ok(None) };
        let leaf = Leaf::from_cbor(&row.leaf).map_err(Error::damaged)?;
        let record = state.device(did)?;
        Ok(Some(Device { row, leaf, batch, record }))
    }

    pub(crate) async fn network_view(&self) -> Result<NetworkView, Problem> {
        let (published, overview) = self.overview()?;
        let head = published.checkpoint.head();
        Ok(NetworkView {
            network: self.network.to_string(),
            size: head.size,
            height: head.height,
            time: published.chain.time().0,
            checkpoint_time: head.time.0,
            log_root: BASE64.encode(&head.log_root),
            state_root: BASE64.encode(&head.state_root),
            devices: overview.devices,
            organisations: overview
                .organisations
                .iter()
                .map(|(did, record)| organisation_view(did, record))
                .collect(),
            grants: overview
                .grants
                .iter()
                .map(|(id, grant)| {
                    let of = overview.organisations.get(&grant.organisation);
                    // Nobody signs under a grant of an organisation that was expelled.
                    let ended = of.is_some_and(|record| !record.is_admitted());
                    let view = grant_view(id, grant);
                    GrantView { withdrawn: view.withdrawn || ended, ..view }
                })
                .collect(),
            rules: rules_view(&published.chain)?,
            protocol: protocol_view(&published.chain)?,
        })
    }

    pub(crate) async fn device_view(
        &self,
        did: &Did,
        reader: Reader,
    ) -> Result<Option<DeviceView>, Problem> {
        let published = self.published()?;
        let Some(device) = self.find(&published, did).await? else { return Ok(None) };
        let index = match &device.record {
            Some(record) => record.index,
            None => self.place(&device, did).await?.0,
        };
        let time = published.checkpoint.head().time;
        let directory = self.store.directory(*did).await?;
        let seen = self.store.seen(*did).await?;
        let withheld = [&directory.as_ref().map(|d| d.0), &seen.as_ref().map(|s| s.organisation)]
            .into_iter()
            .flatten()
            .any(|owner| !reader.sees(owner));
        let directory = directory.filter(|(owner, _)| reader.sees(owner)).map(|(_, row)| row);
        let seen = seen.filter(|seen| reader.sees(&seen.organisation));
        let record = device.record.as_ref();
        let first = device.leaf.inception.key;
        let key = record.map_or(Some(first), |r| r.key.given(first));
        Ok(Some(DeviceView {
            did: did.to_string(),
            batch: device.row.batch.to_string(),
            index,
            owner: owner_of(record, &device.batch).to_string(),
            model: device.batch.model.clone(),
            changed: record.is_some(),
            seq: record.map_or(0, |r| r.seq),
            standing: status(record, &device.batch, time).word().into(),
            key: key.map(|k| k.to_multikey()),
            retired: record
                .map(|r| r.retired.iter().map(|k| k.key.to_multikey()).collect())
                .unwrap_or_default(),
            recovered: record.map(recovered).unwrap_or_default(),
            left: record.and_then(|r| r.left.as_ref()).map(|left| left.entry),
            offer: record.and_then(|r| {
                let batch = r.left.is_none().then_some(device.batch.seq);
                r.offer.as_deref().filter(|o| o.batch == batch).and_then(|o| offer(o, time))
            }),
            holds: record.map(|r| holds(&r.standing, time)).unwrap_or_default(),
            lot: directory.as_ref().and_then(|d| d.lot.clone()),
            serial: directory.map(|d| d.serial),
            last_seen: seen.as_ref().map(|seen| seen.time),
            last_seen_by: seen.map(|seen| seen.gateway),
            withheld,
        }))
    }

    /// Place of a device's leaf, and the path to its batch's root: one tile of each row.
    async fn place(&self, device: &Device, did: &Did) -> Result<(u64, Vec<[u8; 32]>), Error> {
        let lost = || Error::damaged("a tile of a batch is missing or altered");
        let number = device.row.number;
        let tile = self.store.tile_of(number, *did).await?.ok_or_else(lost)?;
        let position = tile.position(&leaf_hash(&device.row.leaf)).ok_or_else(lost)?;
        let index = tile.index * tiles::WIDTH as u64 + position;
        let mut path = tile.path(position).ok_or_else(lost)?;
        for (level, at, position) in tiles::above(index, device.batch.count) {
            let tile = self.store.tile(number, level, at).await?.ok_or_else(lost)?;
            path.extend(tile.path(position).ok_or_else(lost)?);
        }
        Ok((index, path))
    }

    pub(crate) async fn device_part(&self, did: &Did) -> Result<Option<DevicePart>, Problem> {
        let published = self.published()?;
        let Some(device) = self.find(&published, did).await? else { return Ok(None) };
        Ok(Some(self.part(device, did).await?))
    }

    async fn part(&self, device: Device, did: &Did) -> Result<DevicePart, Error> {
        let (index, path) = self.place(&device, did).await?;
        Ok(DevicePart { batch: device.row.batch, index, leaf: device.row.leaf, path })
    }

    pub(crate) async fn receipt(&self, did: &Did) -> Result<Option<Receipt>, Problem> {
        let published = self.published()?;
        let Some(found) = self.find(&published, did).await? else { return Ok(None) };
        let place = found.batch.entry;
        let mut entries = self.store.entries(place, 1).await?;
        let entry = entries.pop().ok_or_else(|| Error::damaged("an entry is missing"))?;
        let batch = self.proof(place, entry, &published.checkpoint)?;
        Ok(Some(Receipt { device: self.part(found, did).await?, batch }))
    }

    pub(crate) fn batch_view(&self, id: &BatchId) -> Result<Option<BatchView>, Problem> {
        let published = self.published()?;
        let time = published.checkpoint.head().time;
        Ok(published.chain.state().batch(id)?.map(|record| batch_view(id, &record, time)))
    }

    /// A page of a batch's leaves, behind a device's; none if the batch is not on the ledger.
    pub(crate) async fn leaves(
        &self,
        id: &BatchId,
        after: Option<&Did>,
    ) -> Result<Option<Leaves>, Problem> {
        if self.published()?.chain.state().batch(id)?.is_none() {
            return Ok(None);
        }
        let after = after.map(Claim::of_did);
        let page = self.store.batch_leaves(*id, after, limits::LEAVES_PAGE).await?;
        Ok(Some(Leaves(page.into_iter().map(|staged| staged.leaf).collect())))
    }

    pub(crate) async fn batch_views(&self) -> Result<Vec<BatchView>, Problem> {
        let (published, overview) = self.overview()?;
        let time = published.checkpoint.head().time;
        let mut all: Vec<_> = overview.batches.iter().collect();
        all.sort_by_key(|(_, record)| std::cmp::Reverse(record.entry));
        Ok(all.into_iter().map(|(id, record)| batch_view(id, record, time)).collect())
    }

    pub(crate) async fn history(&self, subject: &[u8; 32]) -> Result<Vec<ChangeView>, Problem> {
        let published = self.published()?;
        let size = published.checkpoint.head().size;
        let did = Did::from_digest(*subject);
        let mut subjects = vec![*subject];
        subjects.extend(self.store.leaf(did).await?.map(|row| row.batch.0));
        let left = published.chain.state().device(&did)?.and_then(|record| record.left);
        let places = match (left, subjects.get(1)) {
            // What happened to its batch after it left is none of its history.
            (Some(left), Some(batch)) => {
                let own = self.store.touched(vec![*subject], limits::HISTORY_CHANGES).await?;
                let batch = self.store.touched(vec![*batch], limits::HISTORY_CHANGES).await?;
                let batch = batch.into_iter().filter(|place| *place < left.entry);
                let all: BTreeSet<u64> = own.into_iter().chain(batch).collect();
                let skip = all.len().saturating_sub(limits::HISTORY_CHANGES as usize);
                all.into_iter().skip(skip).collect()
            }
            _ => self.store.touched(subjects, limits::HISTORY_CHANGES).await?,
        };
        let entries = self.store.entries_at(places).await?;
        let changes = tokio::task::spawn_blocking(move || {
            let under_head = entries.into_iter().filter(|(place, _)| *place < size);
            under_head.map(|(place, bytes)| change_view(place, &bytes)).collect()
        });
        let changes: Result<Vec<_>, Error> = changes.await.map_err(|e| Error::Us(e.to_string()))?;
        let mut views = Vec::new();
        for (mut view, verified) in changes? {
            if let Some(approved) =
                self.approved(&published, verified.operation(), view.entry).await?
            {
                let reason = reason(&approved.action);
                view.reason = (!reason.is_empty()).then(|| reason.into());
                view.approved = Some(approved.view);
            }
            views.push(view);
        }
        Ok(views)
    }
}

fn organisation_view(did: &Did, record: &OrganisationRecord) -> OrganisationView {
    let keys = record.keys.iter().map(|k| KeyView {
        key: k.key.to_multikey(),
        capabilities: k.capabilities.words().map(String::from).collect(),
    });
    OrganisationView {
        did: did.to_string(),
        label: record.label.clone(),
        seq: record.seq,
        keys: keys.collect(),
    }
}

fn grant_view(id: &GrantId, record: &GrantRecord) -> GrantView {
    GrantView {
        grant: id.to_string(),
        organisation: record.organisation.to_string(),
        models: record.models.clone(),
        count: record.count,
        used: record.used,
        expires: record.expires.0,
        evidence: record.evidence.word().into(),
        withdrawn: record.withdrawn,
    }
}

pub(crate) fn batch_view(id: &BatchId, record: &BatchRecord, time: Time) -> BatchView {
    BatchView {
        batch: id.to_string(),
        owner: record.owner.to_string(),
        grant: record.grant.to_string(),
        model: record.model.clone(),
        count: record.count,
        entry: record.entry,
        seq: record.seq,
        standing: record.standing.at(time).word().into(),
        holds: holds(&record.standing, time),
        offer: record.offer.as_deref().and_then(|o| offer(o, time)),
    }
}

fn recovered(record: &DeviceRecord) -> Vec<String> {
    let keys = record.retired.iter().filter(|retired| retired.why == Retired::Recovered);
    keys.map(|retired| retired.key.to_multikey()).collect()
}

/// An offer as long as it can be accepted.
fn offer(offer: &Offer, time: Time) -> Option<OfferView> {
    (time < offer.expires).then(|| OfferView {
        offer: offer.id.to_string(),
        to: offer.to.to_string(),
        expires: offer.expires.0,
    })
}

/// Holds in force at a time.
fn holds(standing: &Standing, time: Time) -> Vec<HoldView> {
    let present = standing.holds.iter().filter(|h| h.until.is_none_or(|until| time < until));
    let view = |hold: &muster_ledger::HoldRecord| HoldView {
        hold: hold.id.to_string(),
        power: match hold.power {
            Power::Owner => "owner",
            Power::Incident => "incident",
            Power::Governance => "governance",
        }
        .into(),
        by: hold.by.to_string(),
        until: hold.until.map(|until| until.0),
    };
    present.map(view).collect()
}

/// The public reason of an action, possibly empty.
pub(crate) fn reason(action: &Action) -> &str {
    match action {
        Action::Hold(a) => a.reason.as_str(),
        Action::Revoke(a) => a.reason.as_str(),
        Action::Propose(a) if a.reason.is_empty() => reason(&a.action),
        Action::Propose(a) => a.reason.as_str(),
        _ => "",
    }
}

pub(crate) fn change_view(
    place: u64,
    bytes: &[u8],
) -> Result<(ChangeView, VerifiedOperation), Error> {
    let entry = Entry::from_cbor(bytes).map_err(Error::damaged)?;
    let verified = entry.operation.verify().map_err(Error::damaged)?;
    let operation = verified.operation();
    let reason = reason(&operation.action);
    let view = ChangeView {
        entry: place,
        height: entry.height,
        time: entry.time.0,
        action: operation.action.word().into(),
        author: operation.author.to_string(),
        key: verified.key().to_multikey(),
        hash: verified.hash().to_string(),
        reason: (!reason.is_empty()).then(|| reason.into()),
        approved: None,
    };
    Ok((view, verified))
}
