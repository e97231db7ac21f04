//! Acknowledgements: a gateway tells nodes by which head it decides, and now and then how it is
//! doing (`docs/formats/acknowledgement.md`). Nothing here keeps a decision waiting: what cannot
//! be sent is given up for something newer.

use crate::gateway::WeakGateway;
use crate::{Gateway, Roll, limits};
use muster_api::{Client, ClientError, Host};
use muster_identity::{Did, Mode, REPORTED_REASONS, Report, SEEN_DEVICES, Signer, Statement};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// As whom a gateway acknowledges.
#[derive(Clone)]
pub struct Reporting {
    /// The organisation that runs it.
    pub organisation: Did,
    /// Its key, registered with the nodes by an operator of the organisation.
    pub signer: Arc<dyn Signer>,
    /// Whether reports say which devices were let through. Their nodes learn it, nobody else.
    pub last_seen: bool,
}

impl fmt::Debug for Reporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting")
            .field("organisation", &self.organisation)
            .field("key", &self.signer.public_key())
            .finish_non_exhaustive()
    }
}

/// How a node takes the acknowledgements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AcknowledgedStatus {
    /// The node's address.
    pub url: String,
    /// Log entries under the last head that it was told of.
    pub size: u64,
    /// What the node says against them at present, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the gateway keeps of its acknowledgements.
#[derive(Debug)]
pub(crate) struct Reports {
    told: Mutex<Vec<AcknowledgedStatus>>,
    seen: Option<Mutex<Seen>>,
}

impl Reports {
    pub(crate) fn new(nodes: &[Client], reporting: &Reporting) -> Self {
        let told = |node: &Client| AcknowledgedStatus {
            url: node.base().into(),
            ..AcknowledgedStatus::default()
        };
        let seen = reporting.last_seen.then(Mutex::default);
        Self { told: Mutex::new(nodes.iter().map(told).collect()), seen }
    }

    /// How the nodes take them.
    pub(crate) fn status(&self) -> Vec<AcknowledgedStatus> {
        self.told().clone()
    }

    /// A device was let through.
    pub(crate) fn passed(&self, did: &Did, host: &dyn Host) {
        if let Some(seen) = &self.seen {
            whole(seen).note(*did, host.now().0);
        }
    }

    fn told(&self) -> MutexGuard<'_, Vec<AcknowledgedStatus>> {
        whole(&self.told)
    }
}

/// Whole values go in and out, so a panic elsewhere does not spoil them.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Devices that were let through of late, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    turns: BTreeMap<u64, Did>,
    devices: BTreeMap<Did, (u64, u64)>,
    turn: u64,
}

impl Seen {
    fn note(&mut self, did: Did, time: u64) {
        self.turn += 1;
        if let Some((turn, _)) = self.devices.insert(did, (self.turn, time)) {
            self.turns.remove(&turn);
        }
        self.turns.insert(self.turn, did);
        if self.devices.len() > limits::SEEN
            && let Some((_, oldest)) = self.turns.pop_first()
        {
            self.devices.remove(&oldest);
        }
    }

    /// Those behind a turn, as many as a report holds, ascending; and the last one's turn.
    fn behind(&self, turn: u64) -> (Vec<(Did, u64)>, u64) {
        let some = self.turns.range(turn + 1..).take(SEEN_DEVICES);
        let (mut list, mut last) = (Vec::new(), turn);
        for (turn, did) in some {
            list.extend(self.devices.get(did).map(|(_, time)| (*did, *time)));
            last = *turn;
        }
        list.sort_unstable();
        (list, last)
    }
}

/// Since when the gateway decides by a head of this size.
#[derive(Debug, Clone, Copy)]
struct Adopted {
    size: u64,
    at: Instant,
}

/// Begins to acknowledge to every node, each at its own pace.
pub(crate) fn start(
    gateway: &Gateway,
    nodes: &[Client],
    reporting: &Reporting,
    reports: &Arc<Reports>,
    stop: &watch::Receiver<bool>,
) {
    let rolls = gateway.subscribe();
    let first = rolls.borrow().as_deref().map(adopted);
    let (adopt, adopted) = watch::channel(first);
    tokio::spawn(watch_sizes(rolls, adopt, stop.clone()));
    for (place, node) in nodes.iter().enumerate() {
        let teller = Teller {
            gateway: gateway.downgrade(),
            node: node.clone(),
            place,
            reporting: reporting.clone(),
            reports: reports.clone(),
            adopted: adopted.clone(),
            started: Instant::now(),
            seen: 0,
        };
        tokio::spawn(teller.run(stop.clone()));
    }
}

fn adopted(roll: &Roll) -> Adopted {
    Adopted { size: roll.size(), at: roll.received() }
}

/// Notes when the roll grows; a head that is only signed again is no news.
async fn watch_sizes(
    mut rolls: watch::Receiver<Option<Arc<Roll>>>,
    adopt: watch::Sender<Option<Adopted>>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            changed = rolls.changed() => if changed.is_err() { return },
            _ = stop.changed() => return,
        }
        let now = rolls.borrow_and_update().as_deref().map(adopted);
        adopt.send_if_modified(|last| {
            let grew = last.map(|a| a.size) != now.map(|a| a.size);
            if grew {
                *last = now;
            }
            grew
        });
    }
}

/// Tells one node.
struct Teller {
    gateway: WeakGateway,
    node: Client,
    place: usize,
    reporting: Reporting,
    reports: Arc<Reports>,
    adopted: watch::Receiver<Option<Adopted>>,
    started: Instant,
    /// How far the node was told of devices that were seen.
    seen: u64,
}

impl Teller {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.tell() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn tell(&mut self) {
        let (shortest, longest) = limits::ACKNOWLEDGE_AGAIN;
        let (mut report, mut pause) = (Instant::now(), shortest);
        loop {
            if self.adopted.borrow_and_update().is_some() {
                let with_report = Instant::now() >= report;
                let Some(told) = self.send(with_report).await else { return };
                if told {
                    pause = shortest;
                    if with_report {
                        report = Instant::now() + limits::REPORT_EVERY;
                    }
                } else {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                    continue;
                }
                tokio::time::sleep(limits::ACKNOWLEDGE_GAP).await;
            }
            tokio::select! {
                changed = self.adopted.changed() => if changed.is_err() { return },
                () = sleep_until(report), if self.adopted.borrow().is_some() => {}
            }
        }
    }

    /// Whether the node took it; none when the gateway has gone.
    async fn send(&mut self, with_report: bool) -> Option<bool> {
        let gateway = self.gateway.upgrade()?;
        let roll = gateway.roll()?;
        let (seen, turn) = match &self.reports.seen {
            Some(seen) if with_report => whole(seen).behind(self.seen),
            _ => (Vec::new(), self.seen),
        };
        let statement = self.statement(&gateway, &roll, with_report, seen);
        drop(gateway);
        let reporting = self.reporting.clone();
        let size = statement.size;
        // A key in hardware may take its time.
        let signed = tokio::task::spawn_blocking(move || {
            muster_identity::acknowledge(&reporting.organisation, &statement, &*reporting.signer)
        });
        let error = match signed.await {
            Err(_) => return None,
            Ok(Err(error)) => Some(error.to_string()),
            Ok(Ok(token)) => {
                match timeout(limits::ACKNOWLEDGE_WAIT, self.node.acknowledge(token)).await {
                    Err(_) => Some("no answer".into()),
                    Ok(Err(ClientError::Refused(problem))) => Some(problem.to_string()),
                    Ok(Err(error)) => Some(error.to_string()),
                    Ok(Ok(())) => None,
                }
            }
        };
        let told = error.is_none();
        if told {
            self.seen = turn;
        }
        self.note(size, error);
        Some(told)
    }

    fn statement(
        &self,
        gateway: &Gateway,
        roll: &Roll,
        with_report: bool,
        seen: Vec<(Did, u64)>,
    ) -> Statement {
        let status = gateway.status();
        let (now, made) = (Instant::now(), gateway.now().0);
        let known = *self.adopted.borrow();
        let since = known.filter(|a| a.size == roll.size()).map_or(roll.received(), |a| a.at);
        let head = roll.checkpoint().head();
        let report = with_report.then(|| Report {
            uptime: now.duration_since(self.started).as_secs(),
            roll_age: status.roll_age_ms.unwrap_or(0),
            accepted: status.accepted,
            refused: counted(&status.refused),
            forks: status.forks_seen,
            seen,
        });
        Statement {
            size: head.size,
            log_root: head.log_root,
            height: head.height,
            checkpoint: head.time.0,
            adopted: made.saturating_sub(millis(now.duration_since(since))),
            made,
            mode: match (&status.stopped, status.roll_age_ms) {
                (Some(_), _) => Mode::Stopped,
                (None, Some(age)) if age <= status.max_roll_age_ms => Mode::Live,
                (None, _) => Mode::Stale,
            },
            report,
        }
    }

    /// Each new complaint is logged once.
    fn note(&self, size: u64, error: Option<String>) {
        let mut told = self.reports.told();
        let Some(status) = told.get_mut(self.place) else { return };
        if let Some(error) = &error
            && status.error.as_ref() != Some(error)
        {
            tracing::warn!(node = status.url, %error, "the node takes no acknowledgement");
        }
        if error.is_none() {
            status.size = size;
        }
        status.error = error;
    }
}

fn counted(refused: &BTreeMap<&'static str, u64>) -> Vec<(String, u64)> {
    let happened = refused.iter().filter(|(_, n)| **n > 0).take(REPORTED_REASONS);
    happened.map(|(code, n)| ((*code).to_owned(), *n)).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{SEEN_DEVICES, Seen};
    use crate::limits;
    use muster_identity::Did;

    fn did(n: usize) -> Did {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_be_bytes());
        Did::from_digest(digest)
    }

    #[test]
    fn each_node_hears_of_each_device_once_and_the_oldest_make_room() {
        let mut seen = Seen::default();
        (0..100).for_each(|n| seen.note(did(n), n as u64));
        let (first, turn) = seen.behind(0);
        assert_eq!((first.len(), first[0]), (SEEN_DEVICES, (did(0), 0)));
        let (rest, turn) = seen.behind(turn);
        assert_eq!((rest.len(), rest[0]), (100 - SEEN_DEVICES, (did(64), 64)));
        assert_eq!(seen.behind(turn).0, []);
        // Again, later.
        seen.note(did(3), 200);
        assert_eq!(seen.behind(turn).0, [(did(3), 200)]);
        (0..2 * limits::SEEN).for_each(|n| seen.note(did(1_000 + n), 300));
        assert_eq!((seen.devices.len(), seen.turns.len()), (limits::SEEN, limits::SEEN));
    }
}
