use crate::book::Book;
use crate::evidence::EvidenceCache;
use crate::follower::Follower;
use crate::request::AuthRequest;
use crate::status::{Counts, GatewayStatus};
use crate::watermark::Watermark;
use crate::{Error, GatewayConfig, Roll, limits, metrics};
use data_encoding::BASE64URL_NOPAD;
use muster_api::{Client, Host};
use muster_identity::Did;
use muster_identity::cbor::Decode;
use muster_ledger::{DevicePart, View};
use muster_verifier::{
    Claim, Enrolment, Evidence, Policy, Reason, Recall, Rejected, ReplayMemory, Verified,
};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running gateway. Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    network: String,
    policy: Policy,
    trust_request_id: bool,
    look_ups: bool,
    host: Arc<dyn Host>,
    counts: Arc<Counts>,
    evidence: EvidenceCache,
    memory: Mutex<ReplayMemory>,
    watermark: Watermark,
    rolls: watch::Receiver<Option<Arc<Roll>>>,
    stop: watch::Sender<bool>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl Gateway {
    /// Recomputes what the folder holds and starts following. It decides at once if the folder
    /// holds a head that is young enough, also without any node.
    pub async fn start(config: GatewayConfig) -> Result<Self, Error> {
        if config.nodes.is_empty() {
            return Err(Error::NoNodes);
        }
        let client = if config.without_tls { Client::without_tls } else { Client::new };
        let nodes = config.nodes.iter().map(|url| client(url)).collect::<Result<_, _>>()?;
        let nodes: Arc<[Client]> = nodes;
        let now = config.host.now();
        let opened = config.clone();
        let (book, roll, watermark, not_before) = tokio::task::spawn_blocking(move || {
            let (book, roll) = Book::open(&opened)?;
            let (watermark, not_before) = Watermark::open(&opened.dir, now.seconds())?;
            Ok::<_, Error>((book, roll, watermark, not_before))
        })
        .await
        .map_err(|e| Error::damaged(&PathBuf::from(&config.dir), e))??;
        if book.out_of_trust(now) {
            let days = now.since(book.time()) / (24 * 60 * 60 * 1_000);
            return Err(Error::TrustPeriod { size: book.next(), days });
        }
        let counts = Arc::new(Counts::new(&config.nodes));
        let (rolls, published) = watch::channel(roll);
        let (stop, stopped) = watch::channel(false);
        let follower = Follower {
            book,
            nodes: nodes.clone(),
            host: config.host.clone(),
            counts: counts.clone(),
            rolls,
            stop: stopped,
        };
        let follower = tokio::spawn(follower.run());
        Ok(Self(Arc::new(Inner {
            network: config.genesis.network().to_string(),
            policy: config.policy(),
            trust_request_id: config.trust_request_id,
            look_ups: config.look_ups,
            host: config.host,
            counts,
            evidence: EvidenceCache::new(nodes),
            memory: Mutex::new(ReplayMemory::new(not_before)),
            watermark,
            rolls: published,
            stop,
            follower: Mutex::new(Some(follower)),
        })))
    }

    /// Stops following and lets go of the folder.
    pub async fn close(&self) {
        self.0.stop.send_replace(true);
        let follower = self.0.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(follower) = follower {
            let _ = follower.await;
        }
        let latest = self.memory().latest_iat();
        if let Err(error) = self.0.watermark.settle(latest).await {
            tracing::warn!(%error, "the watermark keeps its lead");
        }
    }

    /// Decides on a request, and counts the decision.
    pub async fn authenticate(&self, request: AuthRequest<'_>) -> Result<Verified, Rejected> {
        let decision = self.decide(request).await;
        self.0.counts.decision(&decision);
        decision
    }

    /// Counts a refusal of a request whose headers cannot be read.
    pub(crate) fn refuse(&self, rejected: Rejected) -> Result<Verified, Rejected> {
        self.0.counts.decision(&Err(rejected));
        Err(rejected)
    }

    async fn decide(&self, request: AuthRequest<'_>) -> Result<Verified, Rejected> {
        let inner = &*self.0;
        let policy = &inner.policy;
        let claim = Claim::read(request.token()?, policy)?;
        let did = *claim.did();
        request.check_user(&did)?;
        let refuse = |reason| Rejected::about(did, reason);
        let roll = self.roll().ok_or(refuse(Reason::NotReady))?;
        let now = inner.host.now();
        let recalled = self.memory().recall(claim, request.request_id, now);
        let fresh = match recalled {
            Recall::New(claim) => claim.fresh(policy, now, None)?,
            Recall::Again(fresh) => fresh,
            Recall::Refused(rejected) => return Err(rejected),
        };
        let checked = self.evidence(&did, request.receipt, &roll).await.map_err(refuse)?;
        let evidence = checked.as_deref().map_or(Evidence::None, Evidence::Checked);
        // Asking a node takes time in which a revocation may have come.
        let roll = self.roll().unwrap_or(roll);
        let fresh = fresh.authenticate(policy, roll.view(inner.host.now()), evidence)?;
        if let Some(iat) = fresh.iat() {
            inner.watermark.cover(iat).await.map_err(|error| {
                tracing::error!(%error, "refusing: what is used cannot be remembered");
                inner.counts.error(error.to_string());
                refuse(Reason::Busy)
            })?;
        }
        self.memory().admit(fresh, request.request_id, now)
    }

    /// Evidence for a device of which the state holds no record: at hand, sent along, or asked
    /// for, in this order.
    async fn evidence(
        &self,
        did: &Did,
        receipt: Option<&str>,
        roll: &Roll,
    ) -> Result<Option<Arc<Enrolment>>, Reason> {
        let cache = &self.0.evidence;
        if roll.chain().state().device(did).map_err(|_| Reason::Damaged)?.is_some() {
            return Ok(None);
        }
        if let Some(found) = cache.get(did) {
            return Ok(Some(found));
        }
        match receipt {
            Some(text) => cache.check(did, &device_part(text)?, roll).map(Some),
            None if !self.0.look_ups => Err(Reason::UnknownDevice),
            None => cache.fetch(did, self.subscribe(), self.0.counts.followed()).await.map(Some),
        }
    }

    /// Whether a session that a verdict opened may go on by the present roll.
    pub fn still(&self, verified: &Verified) -> Result<Verified, Rejected> {
        let refuse = Rejected::about(*verified.did(), Reason::NotReady);
        let roll = self.roll().ok_or(refuse)?;
        verified.still(roll.view(self.0.host.now()), &self.0.policy)
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
        let now = self.0.host.now();
        self.roll().is_some_and(|roll| roll.age_ms(now) <= self.0.policy.max_roll_age_ms)
    }

    /// How it is doing.
    pub fn status(&self) -> GatewayStatus {
        let counted = self.0.counts.read();
        let roll = self.roll();
        let head = roll.as_ref().map(|roll| *roll.checkpoint().head());
        GatewayStatus {
            network: self.0.network.clone(),
            audience: self.0.policy.audience.to_string(),
            ready: self.ready(),
            height: head.map_or(0, |head| head.height),
            size: head.map_or(0, |head| head.size),
            checkpoint_time: head.map_or(0, |head| head.time.0),
            roll_age_ms: roll.map(|roll| roll.age_ms(self.0.host.now())),
            max_roll_age_ms: self.0.policy.max_roll_age_ms,
            nodes: counted.nodes,
            accepted: counted.accepted,
            refused: counted.refused,
            forks_seen: counted.forks,
            last_error: counted.last_error,
            stopped: counted.stopped,
            evidence: self.0.evidence.len(),
            presentations: self.memory().len(),
        }
    }

    /// The same for Prometheus (text format 0.0.4).
    pub fn metrics(&self) -> String {
        metrics::text(&self.status())
    }

    pub(crate) fn trusts_request_id(&self) -> bool {
        self.0.trust_request_id
    }

    /// The memory changes in one step at its end, so a panic elsewhere does not spoil it.
    fn memory(&self) -> MutexGuard<'_, ReplayMemory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("audience", &self.0.policy.audience).finish_non_exhaustive()
    }
}

fn device_part(text: &str) -> Result<DevicePart, Reason> {
    if text.len() > limits::RECEIPT_CHARACTERS {
        return Err(Reason::BadDevicePart);
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Reason::BadDevicePart)?;
    DevicePart::from_cbor(&bytes).map_err(|_| Reason::BadDevicePart)
}
