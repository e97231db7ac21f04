use crate::budget::{Budget, Rate};
use crate::devices::Devices;
use crate::{Roll, limits};
use muster_api::{Client, ClientError};
use muster_identity::Did;
use muster_ledger::DevicePart;
use muster_verifier::{Enrolment, Reason};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// What shows that devices were enrolled: checked device parts in memory, others on disk. What a
/// device sends is kept as well as what a node answers; all of it is checked against the verified
/// roll first.
pub(crate) struct EvidenceCache {
    nodes: Arc<[Client]>,
    /// Whether nodes may be asked.
    look_ups: bool,
    turns: Semaphore,
    of_source: Budget,
    of_all: Budget,
    /// Of questions about DIDs whose holder nobody knows beforehand.
    of_unsigned: Budget,
    pub(crate) devices: Devices,
    kept: Mutex<Kept>,
}

/// Who makes us ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks {
    pub(crate) source: Option<IpAddr>,
    /// Whether the holder of the DID signed, as far as that can be known before the answer.
    pub(crate) signed: bool,
}

/// Evidence of a device, and its part if that is not on disk yet.
pub(crate) type Found = (Arc<Enrolment>, Option<DevicePart>);

#[derive(Debug, Default)]
struct Kept {
    devices: HashMap<Did, (Arc<Enrolment>, u64)>,
    /// Devices by when they were asked for last.
    order: BTreeMap<u64, Did>,
    clock: u64,
    not_found: HashMap<Did, Instant>,
    not_found_order: VecDeque<(Did, Instant)>,
}

impl EvidenceCache {
    pub(crate) fn new(nodes: Arc<[Client]>, look_ups: bool, devices: Devices) -> Self {
        let rate = |(a_second, burst)| Rate { a_second, burst };
        Self {
            nodes,
            look_ups,
            turns: Semaphore::new(limits::FETCHES),
            of_source: Budget::new(rate(limits::SOURCE_LOOK_UPS), limits::BUCKETS),
            of_all: Budget::new(rate(limits::LOOK_UPS), 1),
            of_unsigned: Budget::new(rate(limits::UNSIGNED_LOOK_UPS), 1),
            devices,
            kept: Mutex::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().devices.len()
    }

    /// Evidence at hand, in memory or on disk.
    pub(crate) fn get(&self, did: &Did, roll: &Roll) -> Option<Arc<Enrolment>> {
        if let Some(found) = self.lock().get(did) {
            return Some(found);
        }
        // False, or of a batch that is not on the roll yet: as good as none.
        self.devices.get(did).and_then(|part| self.check(did, &part, roll).ok())
    }

    /// Checks a device part and keeps it.
    pub(crate) fn check(
        &self,
        did: &Did,
        part: &DevicePart,
        roll: &Roll,
    ) -> Result<Arc<Enrolment>, Reason> {
        // Roll age is no question here.
        let checked = Enrolment::check(part, roll.view(0))?;
        if checked.did() != *did {
            return Err(Reason::BadDevicePart);
        }
        let checked = Arc::new(checked);
        self.lock().put(*did, checked.clone());
        Ok(checked)
    }

    /// As [`Self::check`], for a part that a node answered. A node may know a batch some
    /// milliseconds before the roll does: the roll gets a moment to catch up.
    async fn check_soon(
        &self,
        did: &Did,
        part: &DevicePart,
        rolls: &mut watch::Receiver<Option<Arc<Roll>>>,
    ) -> Result<Arc<Enrolment>, Reason> {
        let end = Instant::now() + limits::CATCH_UP;
        loop {
            let roll = rolls.borrow_and_update().clone().ok_or(Reason::NotReady)?;
            match self.check(did, part, &roll) {
                Err(Reason::UnknownDevice) => match timeout_at(end, rolls.changed()).await {
                    Ok(Ok(())) => {}
                    _ => return Err(Reason::UnknownDevice),
                },
                decided => return decided,
            }
        }
    }

    /// Asks the nodes, `first` first, if the budget of the source and of all allows it.
    pub(crate) async fn fetch(
        &self,
        did: &Did,
        asks: Asks,
        mut rolls: watch::Receiver<Option<Arc<Roll>>>,
        first: usize,
    ) -> Result<Found, Reason> {
        if !self.look_ups || self.lock().is_not_found(did) {
            return Err(Reason::UnknownDevice);
        }
        let may = asks.source.is_none_or(|source| self.of_source.draw(source, 1))
            && (asks.signed || self.of_unsigned.draw((), 1))
            && self.of_all.draw((), 1);
        if !may {
            return Err(Reason::Busy);
        }
        let turn = timeout(limits::FETCH_WAIT, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| Reason::Busy)?.map_err(|_| Reason::Busy)?;
        // Another request may have brought it while this one waited.
        if let Some(found) = self.lock().get(did) {
            return Ok((found, None));
        }
        let mut answered = false;
        for i in 0..self.nodes.len() {
            let node = &self.nodes[(first + i) % self.nodes.len()];
            match timeout(limits::FETCH_WAIT, node.device_part(did)).await {
                Ok(Ok(part)) => match self.check_soon(did, &part, &mut rolls).await {
                    Ok(found) => return Ok((found, Some(part))),
                    Err(Reason::UnknownDevice) => answered = true,
                    Err(reason) => {
                        tracing::warn!(node = node.base(), %did, %reason, "false device part");
                    }
                },
                Ok(Err(ClientError::Refused(_))) => answered = true,
                Ok(Err(error)) => tracing::debug!(%error, "no device part"),
                Err(_) => tracing::debug!(node = node.base(), "no device part in time"),
            }
        }
        if answered {
            self.lock().put_not_found(*did);
        }
        Err(Reason::UnknownDevice)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn get(&mut self, did: &Did) -> Option<Arc<Enrolment>> {
        let (found, used) = self.devices.get_mut(did)?;
        self.clock += 1;
        self.order.remove(used);
        *used = self.clock;
        self.order.insert(self.clock, *did);
        Some(found.clone())
    }

    fn put(&mut self, did: Did, enrolment: Arc<Enrolment>) {
        self.clock += 1;
        if let Some((_, used)) = self.devices.insert(did, (enrolment, self.clock)) {
            self.order.remove(&used);
        }
        self.order.insert(self.clock, did);
        if self.devices.len() > limits::EVIDENCE
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.devices.remove(&oldest);
        }
    }

    fn is_not_found(&mut self, did: &Did) -> bool {
        let now = Instant::now();
        let old = |(_, since): &(Did, Instant)| now.duration_since(*since) >= limits::NOT_FOUND_FOR;
        while self.not_found_order.front().is_some_and(old) {
            self.drop_oldest_not_found();
        }
        self.not_found.contains_key(did)
    }

    fn put_not_found(&mut self, did: Did) {
        let now = Instant::now();
        self.not_found.insert(did, now);
        self.not_found_order.push_back((did, now));
        if self.not_found_order.len() > limits::NOT_FOUND {
            self.drop_oldest_not_found();
        }
    }

    fn drop_oldest_not_found(&mut self) {
        if let Some((did, since)) = self.not_found_order.pop_front()
            && self.not_found.get(&did) == Some(&since)
        {
            self.not_found.remove(&did);
        }
    }
}
