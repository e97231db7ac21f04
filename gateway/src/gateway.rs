use crate::book::Book;
use crate::budget::{Budget, Rate};
use crate::clock::Clock;
use crate::devices::Devices;
use crate::evidence::EvidenceCache;
use crate::follower::Follower;
use crate::relay::Relay;
use crate::report::{self, Reporting, Reports};
use crate::status::{Counts, GatewayStatus, UpgradeStatus};
use crate::watermark::Watermark;
use crate::{Error, GatewayConfig, Roll, limits, metrics};
use muster_api::{Client, Host, TrustedProxies};
use muster_verifier::{NonceKey, Policy, ReplayMemory, SessionKey};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// A running gateway. Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) network: String,
    pub(crate) policy: Policy,
    pub(crate) session_ms: u64,
    pub(crate) trust_proxy: TrustedProxies,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) clock: Clock,
    pub(crate) nonces: NonceKey,
    pub(crate) sessions: SessionKey,
    pub(crate) sources: Option<Budget>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) evidence: EvidenceCache,
    pub(crate) memory: Mutex<ReplayMemory>,
    pub(crate) watermark: Watermark,
    pub(crate) rolls: watch::Receiver<Option<Arc<Roll>>>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) follower: Mutex<Option<JoinHandle<()>>>,
    pub(crate) reports: Option<Arc<Reports>>,
    pub(crate) relay: Relay,
    /// As whom it proves itself.
    pub(crate) identity: Option<Reporting>,
}

/// A gateway that may have gone meanwhile.
pub(crate) struct WeakGateway(Weak<Inner>);

impl WeakGateway {
    pub(crate) fn upgrade(&self) -> Option<Gateway> {
        self.0.upgrade().map(Gateway)
    }
}

impl Gateway {
    /// Recomputes what the folder holds and starts following. It decides at once if the folder
    /// holds a head that is young enough, also without any node.
    pub async fn start(config: GatewayConfig) -> Result<Self, Error> {
        if config.nodes.is_empty() {
            return Err(Error::NoNodes);
        }
        let client = |url: &String| Client::reach(url, &config.reach);
        let nodes = config.nodes.iter().map(client).collect::<Result<_, _>>()?;
        let nodes: Arc<[Client]> = nodes;
        let now = config.host.now();
        let opened = config.clone();
        let (book, roll, watermark, not_before, devices) = tokio::task::spawn_blocking(move || {
            let (book, roll) = Book::open(&opened)?;
            let (watermark, not_before) = Watermark::open(&opened.dir, now.seconds())?;
            let devices = Devices::open(&opened.dir, opened.learn)?;
            Ok::<_, Error>((book, roll, watermark, not_before, devices))
        })
        .await
        .map_err(|e| Error::damaged(&PathBuf::from(&config.dir), e))??;
        if book.out_of_trust(now) {
            let days = now.since(book.time()) / (24 * 60 * 60 * 1_000);
            return Err(Error::TrustPeriod { size: book.next(), days });
        }
        let counts = Arc::new(Counts::new(&config.nodes));
        let host = config.host;
        let secret = || Zeroizing::new(both(host.random(), host.random()));
        let audience = &config.policy.audience;
        let (nonces, sessions) =
            (NonceKey::new(&secret(), audience), SessionKey::new(&secret(), audience));
        let clock = Clock::new(host.clone(), roll.as_deref());
        let (rolls, published) = watch::channel(roll);
        let (stop, stopped) = watch::channel(false);
        let follower = Follower {
            book,
            nodes: nodes.clone(),
            host: host.clone(),
            counts: counts.clone(),
            rolls,
            stop: stopped.clone(),
        };
        let follower = tokio::spawn(follower.run());
        let reports = config.reporting.as_ref().map(|r| Arc::new(Reports::new(&nodes, r)));
        let gateway = Self(Arc::new(Inner {
            network: config.genesis.network().to_string(),
            policy: config.policy,
            session_ms: config.session_ms.min(muster_verifier::limits::SESSION_LIFETIME_MS),
            trust_proxy: config.trust_proxy,
            host,
            clock,
            nonces,
            sessions,
            sources: (config.source_rate > 0).then(|| {
                let rate = Rate { a_second: config.source_rate, burst: config.source_rate };
                Budget::new(rate, limits::BUCKETS)
            }),
            counts,
            evidence: EvidenceCache::new(nodes.clone(), config.look_ups, devices),
            memory: Mutex::new(ReplayMemory::new(not_before)),
            watermark,
            rolls: published,
            stop,
            follower: Mutex::new(Some(follower)),
            reports: reports.clone(),
            relay: Relay::new(&config.dir),
            identity: config.reporting.clone(),
        }));
        if let Some((reporting, reports)) = config.reporting.as_ref().zip(reports) {
            report::start(&gateway, &nodes, reporting, &reports, &stopped);
        }
        Ok(gateway)
    }

    /// Stops following and lets go of the folder.
    pub async fn close(&self) {
        self.0.stop.send_replace(true);
        let follower = self.0.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(follower) = follower {
            let _ = follower.await;
        }
        let inner = self.0.clone();
        let _ = tokio::task::spawn_blocking(move || inner.evidence.devices.close()).await;
        let latest = self.memory().latest_iat();
        if let Err(error) = self.0.watermark.settle(latest).await {
            tracing::warn!(%error, "the watermark keeps its lead");
        }
    }

    /// The present roll, once there is one.
    pub fn roll(&self) -> Option<Arc<Roll>> {
        self.0.rolls.borrow().clone()
    }

    /// Tells of every new roll.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Roll>>> {
        self.0.rolls.clone()
    }

    /// Whether it can let anybody through: there is a roll, and it is young enough.
    pub fn ready(&self) -> bool {
        let longest = self.0.policy.longest_roll_age_ms();
        self.roll().is_some_and(|roll| self.0.clock.at(&roll).age_ms <= longest)
    }

    /// How old the roll is, once there is one.
    pub fn roll_age_ms(&self) -> Option<u64> {
        self.roll().map(|roll| self.0.clock.at(&roll).age_ms)
    }

    /// How it is doing.
    pub fn status(&self) -> GatewayStatus {
        let (counts, following) = (&self.0.counts, self.0.counts.following());
        let roll = self.roll();
        let head = roll.as_ref().map(|roll| *roll.checkpoint().head());
        let moment = roll.as_ref().map(|roll| self.0.clock.at(roll));
        GatewayStatus {
            network: self.0.network.clone(),
            audience: self.0.policy.audience.to_string(),
            ready: self.ready(),
            height: head.map_or(0, |head| head.height),
            size: head.map_or(0, |head| head.size),
            checkpoint_time: head.map_or(0, |head| head.time.0),
            roll_age_ms: moment.map(|moment| moment.age_ms),
            clock_behind: moment.is_some_and(|moment| moment.clock_behind),
            max_roll_age_ms: self.0.policy.rules.max_roll_age_ms,
            nodes: following.nodes,
            accepted: counts.accepted(),
            accepted_stale: counts.stale(),
            refused: counts.refused(),
            forks_seen: following.forks,
            last_error: following.last_error,
            stopped: following.stopped,
            upgrade: roll
                .as_ref()
                .and_then(|roll| roll.chain().upgrade_ahead().ok().flatten())
                .map(UpgradeStatus::from),
            evidence: self.0.evidence.len(),
            devices: self.0.evidence.devices.len(),
            presentations: self.memory().len(),
            acknowledged: self.0.reports.as_ref().map(|reports| reports.status()),
        }
    }

    /// The same for Prometheus (text format 0.0.4).
    pub fn metrics(&self) -> String {
        metrics::text(&self.status())
    }

    pub(crate) fn downgrade(&self) -> WeakGateway {
        WeakGateway(Arc::downgrade(&self.0))
    }

    /// Whether a peer is a proxy that is believed about the requests it passes on.
    pub(crate) fn trusts(&self, peer: SocketAddr) -> bool {
        self.0.trust_proxy.trust(peer)
    }

    /// The memory changes in one step at its end, so a panic elsewhere does not spoil it.
    pub(crate) fn memory(&self) -> MutexGuard<'_, ReplayMemory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("audience", &self.0.policy.audience).finish_non_exhaustive()
    }
}

fn both(left: [u8; 16], right: [u8; 16]) -> [u8; 32] {
    let mut both = [0; 32];
    both[..16].copy_from_slice(&left);
    both[16..].copy_from_slice(&right);
    both
}
