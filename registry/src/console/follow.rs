//! The index follows the log, behind every head. It takes half of a core at most while it has much
//! to do, so whoever enrols meanwhile keeps the others.

use super::limits::{INDEX_ENTRIES, INDEX_PAGE, INDEXED};
use super::stated::{Stated, key_of};
use super::text::head;
use super::{HOUR_MS, Head};
use crate::Error;
use crate::claims::Claim;
use crate::node::Node;
use crate::store::sqlite::{Further, Index, LOT_NAMES, LogHour, LotNames, LotSize};
use muster_identity::Did;
use muster_ledger::{Action, Chain, Recover, Rotate, Target};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// How often it looks for batches whose leaves came back, and at gateways that fell silent.
const EVERY: Duration = Duration::from_secs(5);

/// The longest pause between two pieces of work.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows until the node closes.
pub(crate) async fn follow(node: Arc<Node>, mut closing: watch::Receiver<bool>) {
    let mut heads = node.published.subscribe();
    let mut gateways = BTreeMap::new();
    let mut failing = false;
    loop {
        heads.mark_unchanged();
        if let Some(index) = node.console.index() {
            match node.bring_further(index, &closing).await {
                // Without a signed head there is nothing to follow yet.
                Ok(()) | Err(Error::Starting) => failing = false,
                Err(Error::Closing) => return,
                Err(error @ Error::Damaged(_)) => node.console.fails(&node.folder, &error),
                Err(error) => {
                    if !failing {
                        tracing::warn!("index.db falls behind: {error}; searches get slower");
                    }
                    failing = true;
                }
            }
        }
        node.tell_of_gateways(&mut gateways);
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            // An error is tried again by the clock alone.
            _ = timeout(EVERY, heads.changed()), if !failing => {}
            () = sleep(EVERY), if failing => {}
        }
    }
}

/// Pauses for as long as the work took, and no longer than a piece of work may take.
async fn breathe(since: Instant, closing: &watch::Receiver<bool>) -> Result<(), Error> {
    let mut closing = closing.clone();
    match timeout(since.elapsed().min(PAUSE), closing.wait_for(|closing| *closing)).await {
        Ok(_) => Err(Error::Closing),
        Err(_) => Ok(()),
    }
}

impl Node {
    /// Takes in what the log has and the index has not.
    async fn bring_further(
        &self,
        index: &Index,
        closing: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        for entry in index.absent().await? {
            let number = self.console.roster().at(entry).and_then(|batch| batch.number);
            if let Some(number) = number {
                let sizes = self.take_in(index, entry, number, closing).await?;
                let present = vec![entry];
                index.write(Further { sizes, present, ..Further::default() }).await?;
            }
        }
        loop {
            let started = Instant::now();
            let chain = self.published()?.chain.clone();
            let (from, size) = (index.done(), chain.size());
            if from >= size {
                return Ok(());
            }
            let entries = self.store.entries(from, INDEX_ENTRIES.min(size - from)).await?;
            let done = from + entries.len() as u64;
            let mut further = Further::default();
            let mut hours: BTreeMap<u64, LogHour> = BTreeMap::new();
            for (place, bytes) in (from..).zip(&entries) {
                let stated = Stated::read(bytes)?;
                let at = stated.entry.time.0 / HOUR_MS;
                let hour = hours.entry(at).or_insert(LogHour { hour: at, ..LogHour::default() });
                match &stated.operation.action {
                    Action::Approve(_) => {
                        if let Some(action) = self.carried_out(&stated, place).await? {
                            self.note(hour, &chain, &action);
                        }
                    }
                    action => self.note(hour, &chain, action),
                }
                match &stated.operation.action {
                    Action::Enrol(_) => {
                        let number = self.console.roster().at(place).and_then(|b| b.number);
                        match number {
                            Some(number) => {
                                let sizes = self.take_in(index, place, number, closing).await?;
                                further.sizes.extend(sizes);
                            }
                            None => further.absent.push(place),
                        }
                    }
                    Action::Rotate(Rotate { device, key, .. })
                    | Action::Recover(Recover { device, key, .. }) => {
                        let head = head(&key.key.to_multicodec());
                        further.keys.extend(head.map(|h| (h, Claim::of_did(&device.did))));
                    }
                    _ => {}
                }
            }
            let root = self.log_root_at(done);
            let root = root.ok_or_else(|| Error::Us("entries beyond the log".into()))?;
            further.hours = hours.into_values().collect();
            further.done = Some((done, root));
            index.write(further).await?;
            breathe(started, closing).await?;
        }
    }

    /// What an approval carried out, if it did.
    async fn carried_out(&self, stated: &Stated, place: u64) -> Result<Option<Action>, Error> {
        let published = self.published()?;
        let approved = self.approved(&published, &stated.operation, place).await;
        let approved = approved.map_err(|problem| Error::Us(problem.to_string()))?;
        Ok(approved.filter(|a| a.view.carried_out).map(|a| a.action))
    }

    /// How many devices an operation names.
    pub(super) fn named(&self, chain: &Chain, action: &Action) -> u64 {
        use muster_ledger::View as _;
        match (action, action.target()) {
            (Action::Enrol(a), _) => a.count,
            (_, Some(Target::Device(_))) => 1,
            (_, Some(Target::Batch(id))) => {
                chain.state().batch(&id).ok().flatten().map_or(0, |batch| batch.count)
            }
            _ => 0,
        }
    }

    fn note(&self, hour: &mut LogHour, chain: &Chain, action: &Action) {
        let devices = self.named(chain, action);
        match action {
            Action::Enrol(_) => hour.enrolled += devices,
            Action::Hold(_) => hour.held += devices,
            Action::Release(_) => hour.released += devices,
            Action::Revoke(_) | Action::Deactivate(_) => hour.revoked += devices,
            _ => {}
        }
    }

    /// Takes in the leaves of a batch; gives how many of them have which lot.
    async fn take_in(
        &self,
        index: &Index,
        entry: u64,
        number: u64,
        closing: &watch::Receiver<bool>,
    ) -> Result<Vec<LotSize>, Error> {
        let mut lots: BTreeMap<(Did, String), (u64, Vec<Claim>)> = BTreeMap::new();
        let mut after = None;
        loop {
            let started = Instant::now();
            let mut keys: Vec<(Head, Claim)> = Vec::new();
            let mut full = Vec::new();
            let mut over = false;
            while !over && (keys.len() as u64) < INDEXED {
                let page = self.store.listed(number, after, INDEX_PAGE).await?;
                over = (page.len() as u64) < INDEX_PAGE;
                after = page.last().map(|row| row.name).or(after);
                for row in page {
                    keys.extend(head(&key_of(&row.leaf)?).map(|head| (head, row.name)));
                    let Some(lot) = row.lot else { continue };
                    let (count, names) = lots.entry(lot.clone()).or_default();
                    *count += 1;
                    names.push(row.name);
                    if names.len() == LOT_NAMES {
                        let names = std::mem::take(names);
                        let (organisation, lot) = lot;
                        full.push(LotNames { organisation, lot, entry, names });
                    }
                }
            }
            if over {
                let rest = lots.iter_mut().filter(|(_, (_, names))| !names.is_empty());
                full.extend(rest.map(|((organisation, lot), (_, names))| LotNames {
                    organisation: *organisation,
                    lot: lot.clone(),
                    entry,
                    names: std::mem::take(names),
                }));
            }
            let sorted = tokio::task::spawn_blocking(move || {
                keys.sort_unstable();
                full.sort_unstable_by(|a, b| (&a.lot, &a.names).cmp(&(&b.lot, &b.names)));
                (keys, full)
            });
            let (keys, lots_of) = sorted.await.map_err(|e| Error::Us(e.to_string()))?;
            index.write(Further { lots: lots_of, keys, ..Further::default() }).await?;
            if over {
                break;
            }
            breathe(started, closing).await?;
        }
        let sizes = lots.into_iter().map(|((organisation, lot), (count, _))| LotSize {
            organisation,
            lot,
            entry,
            count,
        });
        Ok(sizes.collect())
    }
}
