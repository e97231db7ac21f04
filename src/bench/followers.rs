//! Gateways that follow one node, each with a folder of its own, and what they think of a device.

use crate::commands::window;
use crate::demo::{AUDIENCE, did_of};
use crate::home::Home;
use crate::host::{Machine, random};
use anyhow::{Context as _, Result, anyhow, bail};
use muster_gateway::{AuthRequest, Gateway, GatewayConfig};
use muster_identity::{SecretKey, present};
use muster_ledger::Genesis;
use muster_verifier::{Rejected, Verified};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longest wait for one of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The gateways.
pub(super) struct Followers(Vec<Gateway>);

/// When the gateways refused a device, in milliseconds.
#[derive(Default)]
pub(super) struct Refused {
    /// A fresh presentation.
    pub(super) presentations: Vec<f64>,
    /// To go on by an earlier verdict.
    pub(super) sessions: Vec<f64>,
}

impl Followers {
    /// Starts so many.
    pub(super) async fn start(
        home: &Home,
        genesis: &Genesis,
        node: &str,
        number: u64,
    ) -> Result<Self> {
        let mut gateways = Vec::new();
        for place in 0..number {
            let dir = home.path(&format!("follower-{place}"));
            let (nodes, audience) = (vec![node.to_owned()], AUDIENCE.parse()?);
            let config =
                GatewayConfig::new(dir, genesis.clone(), nodes, audience, Arc::new(Machine));
            gateways.push(Gateway::start(config).await?);
        }
        for gateway in &gateways {
            let mut rolls = gateway.subscribe();
            timeout(PATIENCE, rolls.wait_for(Option::is_some)).await.context("a first head")??;
        }
        Ok(Self(gateways))
    }

    /// Brings the device to each of them, which must let it through.
    pub(super) async fn meet(&self, key: &Arc<SecretKey>) -> Result<Vec<Verified>> {
        let mut tasks = JoinSet::new();
        for (place, gateway) in self.0.iter().cloned().enumerate() {
            let key = key.clone();
            tasks.spawn(async move { (place, greet(&gateway, &key).await) });
        }
        let mut met = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (place, verdict) = done?;
            met.push((place, verdict?.map_err(|rejected| anyhow!("refused: {rejected}"))?));
        }
        met.sort_by_key(|(place, _)| *place);
        Ok(met.into_iter().map(|(_, verified)| verified).collect())
    }

    /// Asks each of them at once and again at every new roll until it refuses the device, and
    /// the session that it opened. The times are counted from `since`.
    pub(super) async fn until_refused(
        &self,
        key: &Arc<SecretKey>,
        sessions: Vec<Verified>,
        since: Instant,
        refused: &mut Refused,
    ) -> Result<()> {
        let mut tasks = JoinSet::new();
        for (gateway, session) in self.0.iter().cloned().zip(sessions) {
            let key = key.clone();
            let asking = async move { ask(&gateway, &key, &session, since).await };
            tasks.spawn(async move {
                timeout(PATIENCE, asking).await.context("a gateway never refused the device")?
            });
        }
        while let Some(done) = tasks.join_next().await {
            let (presentation, session) = done??;
            refused.presentations.push(presentation);
            refused.sessions.push(session);
        }
        Ok(())
    }

    /// Stops them.
    pub(super) async fn stop(self) {
        for gateway in self.0 {
            gateway.close().await;
        }
    }
}

/// Milliseconds until a gateway refuses a fresh presentation, and until it ends a session.
async fn ask(
    gateway: &Gateway,
    key: &SecretKey,
    session: &Verified,
    since: Instant,
) -> Result<(f64, f64)> {
    let elapsed = || since.elapsed().as_secs_f64() * 1_000.0;
    let mut rolls = gateway.subscribe();
    loop {
        match greet(gateway, key).await? {
            Err(rejected) if rejected.code() == "revoked" => break,
            Err(rejected) => bail!("the gateway says {rejected} instead of revoked"),
            Ok(_) => rolls.changed().await?,
        }
    }
    let presentation = elapsed();
    while gateway.still(session).is_ok() {
        rolls.changed().await?;
    }
    Ok((presentation, elapsed()))
}

/// Shows a fresh presentation.
async fn greet(gateway: &Gateway, key: &SecretKey) -> Result<Result<Verified, Rejected>> {
    let token = present(&did_of(key), &AUDIENCE.parse()?, &window(60), &random(), key)?;
    let request = AuthRequest { presentation: Some(&token), ..AuthRequest::default() };
    Ok(gateway.authenticate(request).await)
}
