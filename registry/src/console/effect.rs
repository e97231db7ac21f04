//! What a change would reach, before anybody signs it.

use super::asking::Subject;
use super::limits::TOGETHER;
use super::{DAY_MS, HOUR_MS};
use crate::claims::Claim;
use crate::node::Node;
use crate::readers::Reader;
use crate::store::{SeenBy, SeenOf};
use muster_api::{EffectPlace, EffectView, GatewayView, Problem, limits};
use muster_identity::Did;
use muster_ledger::{BatchId, View as _, status};
use std::collections::{BTreeMap, BTreeSet};

impl Node {
    pub(crate) async fn effect(
        &self,
        targets: &[Subject],
        reader: Reader,
    ) -> Result<EffectView, Problem> {
        if targets.len() > limits::EFFECT_TARGETS {
            let title = "more targets than an effect is told of at once";
            return Err(Problem::new(413, "too-many-targets", title)
                .cure("name whole batches, or ask in parts"));
        }
        let mut view = EffectView::default();
        let (mut batches, mut devices) = (BTreeSet::new(), BTreeSet::new());
        for target in targets {
            match target {
                Subject::Batch(id) => drop(batches.insert(*id)),
                Subject::Device(did) => drop(devices.insert(*did)),
            }
        }
        let mut looks = Vec::new();
        self.effect_on_batches(&batches, &mut view, &mut looks);
        self.effect_on_devices(&batches, &devices, &mut view, &mut looks).await?;
        self.where_seen(looks, &mut view, reader).await?;
        view.gateways = self.gateway_counts(reader)?;
        view.ended_today = self.ended_today().await?;
        Ok(view)
    }

    /// Whole batches, by what the roster has of them.
    fn effect_on_batches(
        &self,
        batches: &BTreeSet<BatchId>,
        view: &mut EffectView,
        looks: &mut Vec<(SeenOf, u64)>,
    ) {
        let roster = self.console.roster();
        for id in batches {
            let Some((_, batch)) = roster.batch(id) else {
                view.unknown.push(id.to_string());
                continue;
            };
            view.devices += batch.count;
            *view.models.entry(batch.model.clone()).or_default() += batch.count;
            let tally = batch.tally();
            view.states.active += tally.active;
            view.states.held += tally.held;
            view.states.revoked += tally.revoked;
            view.states.deactivated += tally.deactivated;
            if let Some(number) = batch.number {
                looks.push((SeenOf::Batch(number, batch.count), batch.count));
            }
        }
    }

    /// Single devices, but for those of the batches.
    async fn effect_on_devices(
        &self,
        batches: &BTreeSet<BatchId>,
        devices: &BTreeSet<Did>,
        view: &mut EffectView,
        looks: &mut Vec<(SeenOf, u64)>,
    ) -> Result<(), Problem> {
        let published = self.published()?;
        let (state, time) = (published.chain.state(), published.checkpoint.head().time);
        let devices: Vec<Did> = devices.iter().copied().collect();
        for part in devices.chunks(TOGETHER) {
            let numbers = self.store.claims_of(part.iter().map(Claim::of_did).collect()).await?;
            // A claim without a leaf is that of a key.
            let leaves = numbers.iter().map(|(name, number)| (*number, *name)).collect();
            let leaves: BTreeSet<Claim> =
                self.store.leaves_of(leaves).await?.into_iter().map(|row| row.name).collect();
            let places: Vec<Option<BatchId>> = {
                let roster = self.console.roster();
                let place = |did: &Did| {
                    let name = Some(Claim::of_did(did)).filter(|name| leaves.contains(name))?;
                    let entry = roster.place_of(*numbers.get(&name)?)?;
                    Some(roster.at(entry)?.id)
                };
                part.iter().map(place).collect()
            };
            let mut names = Vec::new();
            for (did, id) in part.iter().zip(places) {
                let batch = match id {
                    Some(id) => state.batch(&id)?.map(|batch| (id, batch)),
                    None => None,
                };
                let Some((id, batch)) = batch else {
                    view.unknown.push(did.to_string());
                    continue;
                };
                if batches.contains(&id) {
                    continue;
                }
                names.push(Claim::of_did(did));
                view.devices += 1;
                view.states.add(status(state.device(did)?.as_ref(), &batch, time).word());
                *view.models.entry(batch.model).or_default() += 1;
            }
            let count = names.len() as u64;
            looks.push((SeenOf::Names(names), count));
        }
        Ok(())
    }

    /// Where the devices were seen, as far as they are looked up.
    async fn where_seen(
        &self,
        looks: Vec<(SeenOf, u64)>,
        view: &mut EffectView,
        reader: Reader,
    ) -> Result<(), Problem> {
        let now = self.host.now().0;
        let since = (now.saturating_sub(DAY_MS), now.saturating_sub(7 * DAY_MS));
        let mut places: BTreeMap<(Did, String), EffectPlace> = BTreeMap::new();
        for (of, count) in looks {
            let room = limits::EFFECT_LOOKS - view.looked_at;
            let (of, count) = match of {
                SeenOf::Batch(number, count) => {
                    (SeenOf::Batch(number, count.min(room)), count.min(room))
                }
                SeenOf::Names(mut names) => {
                    names.truncate(room as usize);
                    (SeenOf::Names(names), count.min(room))
                }
            };
            if count == 0 {
                continue;
            }
            view.looked_at += count;
            for SeenBy { organisation, gateway, devices, day, week, last } in
                self.store.seen_by(of, since).await?
            {
                // Where a device is, its gateways tell their own organisation alone.
                if !reader.sees(&organisation) {
                    continue;
                }
                view.seen += devices;
                view.seen_day += day;
                view.seen_week += week;
                let place = places.entry((organisation, gateway)).or_default();
                place.devices += devices;
                place.day += day;
                place.last_seen = place.last_seen.max(last);
            }
        }
        let known: BTreeMap<(String, String), GatewayView> = self
            .gateways_view(reader)?
            .gateways
            .into_iter()
            .map(|gateway| ((gateway.organisation.clone(), gateway.gateway.clone()), gateway))
            .collect();
        for ((organisation, gateway), mut place) in places {
            (place.organisation, place.gateway) = (organisation.to_string(), gateway);
            let found = known.get(&(place.organisation.clone(), place.gateway.clone()));
            place.site = found.map(|gateway| gateway.site.clone()).unwrap_or_default();
            view.places.push(place);
        }
        view.places.sort_by(|a, b| (b.devices, &a.gateway).cmp(&(a.devices, &b.gateway)));
        Ok(())
    }

    /// Devices that ended since midnight (UTC).
    async fn ended_today(&self) -> Result<u64, Problem> {
        let now = self.host.now().0;
        let Some(index) = self.console.index() else { return Ok(0) };
        let hours = index.hours(now / DAY_MS * 24, now / HOUR_MS + 1).await;
        let hours = self.console.said(&self.folder, hours).unwrap_or_default();
        Ok(hours.iter().map(|hour| hour.revoked).sum())
    }
}
