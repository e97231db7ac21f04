//! The decision, step by step.

use crate::evidence::{Asks, Found};
use crate::request::AuthRequest;
use crate::{Gateway, Reporting, Roll, limits};
use data_encoding::BASE64URL_NOPAD;
use muster_api::source_of;
use muster_identity::cbor::Decode as _;
use muster_identity::prove_gateway;
use muster_ledger::{DevicePart, StateKey, Time, View as _};
use muster_verifier::{Claim, Evidence, Fresh, Reason, Recall, Rejected, Verified};

impl Gateway {
    /// Decides on a request, and counts the decision.
    pub async fn authenticate(&self, request: AuthRequest<'_>) -> Result<Verified, Rejected> {
        // A peer on this machine that names no source may stand for all of them.
        let source = request.source.map(source_of).filter(|source| !source.is_loopback());
        let request = AuthRequest { source, ..request };
        let sources = self.0.sources.as_ref().zip(request.source);
        let decision = match sources {
            Some((sources, source)) if !sources.draw(source, 1) => {
                Err(Rejected::new(Reason::TooMany))
            }
            _ => self.decide(request).await,
        };
        if let (Some((sources, source)), Err(rejected)) = (sources, &decision)
            && is_callers_fault(rejected.reason)
        {
            sources.charge(source, limits::REFUSAL_COST - 1);
        }
        self.0.counts.decision(&decision);
        if let (Ok(verified), Some(reports)) = (&decision, &self.0.reports) {
            reports.passed(verified.did(), &*self.0.host);
        }
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
        if let Some(session) = request.session {
            return self.resume(session, request.path);
        }
        let claim = Claim::read(request.token()?, policy)?;
        let did = *claim.did();
        request.check_user(&did)?;
        let refuse = |reason| Rejected::about(did, reason);
        let roll = self.roll().ok_or(refuse(Reason::NotReady))?;
        let now = inner.clock.at(&roll).time;
        let recalled = self.memory().recall(claim, request.request_id, now);
        let mut fresh = match recalled {
            Recall::New(claim) => {
                let given = claim.nonce().and_then(|nonce| inner.nonces.given(nonce, now));
                claim.fresh(policy, now, given)?
            }
            Recall::Again(fresh) => fresh,
            Recall::Refused(rejected) => return Err(rejected),
        };
        let found = self.evidence(&mut fresh, &request, &roll).await?;
        let (checked, part) = found.map_or((None, None), |(checked, part)| (Some(checked), part));
        let evidence = checked.as_deref().map_or(Evidence::None, Evidence::Checked);
        // Asking a node takes time in which a revocation may have come.
        let roll = self.roll().unwrap_or(roll);
        let view = roll.view(inner.clock.at(&roll).age_ms);
        let fresh = fresh.authenticate(policy, view, evidence, request.path)?;
        if let Some(part) = part {
            inner.evidence.devices.learn(did, &part);
        }
        if let Some(iat) = fresh.iat().filter(|_| fresh.is_used()) {
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
        fresh: &mut Fresh,
        request: &AuthRequest<'_>,
        roll: &Roll,
    ) -> Result<Option<Found>, Rejected> {
        let (cache, did) = (&self.0.evidence, *fresh.did());
        let refuse = |reason| Rejected::about(did, reason);
        // Whether it can be read shows when it is; here it only matters that it is there.
        if roll.chain().state().record(&StateKey::Device(did)).is_some() {
            return Ok(None);
        }
        if let Some(found) = cache.get(&did, roll) {
            return Ok(Some((found, None)));
        }
        if let Some(text) = request.receipt {
            let part = device_part(text).map_err(refuse)?;
            let found = cache.check(&did, &part, roll).map_err(refuse)?;
            return Ok(Some((found, Some(part))));
        }
        let asks = Asks { source: request.source, signed: fresh.check_own_key()? };
        let (rolls, first) = (self.subscribe(), self.0.counts.followed());
        cache.fetch(&did, asks, rolls, first).await.map(Some).map_err(refuse)
    }

    /// A use of a session.
    fn resume(&self, token: &str, path: Option<&str>) -> Result<Verified, Rejected> {
        let inner = &*self.0;
        let roll = self.roll().ok_or(Rejected::new(Reason::NotReady))?;
        let moment = inner.clock.at(&roll);
        let view = roll.view(moment.age_ms);
        inner.sessions.resume(token, moment.time, &inner.policy, view, path)
    }

    /// Opens a session for a device that was just let through, if the gateway opens any: the
    /// token, and its life in seconds.
    pub fn open_session(&self, verified: &Verified) -> Option<(String, u64)> {
        let lifetime = self.0.session_ms;
        let now = self.now();
        let token = (lifetime > 0).then(|| self.0.sessions.open(verified, now, lifetime));
        Some((token??, lifetime / 1_000))
    }

    /// Proves this gateway to a device that was just let through by a presentation; none if the
    /// gateway has no key.
    pub fn prove(&self, verified: &Verified) -> Option<String> {
        let Reporting { organisation, signer, .. } = self.0.identity.as_ref()?;
        let now = self.now().seconds();
        let (device, presentation) = (verified.did(), verified.presentation());
        let proof = prove_gateway(organisation, device, presentation, now, &**signer);
        proof.inspect_err(|error| tracing::error!(%error, "no proof can be signed")).ok()
    }

    /// A nonce for a device that has no clock, or that must bring one. It is good for a minute.
    pub fn nonce(&self) -> String {
        self.0.nonces.give(self.now(), &self.0.host.random())
    }

    /// The time, as far as it is known.
    pub(crate) fn now(&self) -> Time {
        self.roll().map_or_else(|| self.0.clock.machine(), |roll| self.0.clock.at(&roll).time)
    }

    /// Whether what a verdict opened may go on by the present roll, such as a connection.
    pub fn still(&self, verified: &Verified) -> Result<Verified, Rejected> {
        let refuse = Rejected::about(*verified.did(), Reason::NotReady);
        let roll = self.roll().ok_or(refuse)?;
        let view = roll.view(self.0.clock.at(&roll).age_ms);
        verified.still(view, &self.0.policy, None)
    }
}

/// Whether the caller could have known better: such a refusal costs its source more.
fn is_callers_fault(reason: Reason) -> bool {
    reason.http_status() == 401
        && !matches!(reason, Reason::NotReady | Reason::Busy | Reason::TooMany | Reason::Damaged)
}

fn device_part(text: &str) -> Result<DevicePart, Reason> {
    if text.len() > limits::RECEIPT_CHARACTERS {
        return Err(Reason::BadDevicePart);
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Reason::BadDevicePart)?;
    DevicePart::from_cbor(&bytes).map_err(|_| Reason::BadDevicePart)
}
