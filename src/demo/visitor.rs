use super::{AUDIENCE, Parts, did_of};
use crate::commands::window;
use crate::host::random;
use anyhow::{Result, bail};
use muster_api::Reach;
use muster_identity::{Audience, Did, SecretKey, present};
use std::fmt;
use std::time::{Duration, Instant};

/// Brings presentations to the gateway and to the service, as a device would, over HTTP.
pub(crate) struct Visitor {
    http: reqwest::Client,
    gateway: String,
    service: String,
    audience: Audience,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) body: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)
    }
}

impl Visitor {
    pub(crate) fn new(parts: &Parts) -> Result<Self> {
        Self::at(&parts.gateway, &format!("{}/telemetry", parts.upstream))
    }

    /// With a gateway, and a service that is called.
    pub(crate) fn at(gateway: &str, service: &str) -> Result<Self> {
        Ok(Self {
            http: muster_api::http_client(&Reach::default())
                .map_err(anyhow::Error::msg)?
                .timeout(Duration::from_secs(30))
                .build()?,
            gateway: format!("{gateway}/v1/authenticate"),
            service: service.to_owned(),
            audience: AUDIENCE.parse()?,
        })
    }

    /// A fresh presentation of a key, for its own DID or for another.
    pub(crate) fn token(&self, key: &SecretKey, did: Option<Did>) -> Result<String> {
        let did = did.unwrap_or_else(|| did_of(key));
        Ok(present(&did, &self.audience, &window(60), &random(), key)?)
    }

    /// Shows a presentation to the gateway.
    pub(crate) async fn show(&self, token: &str) -> Result<Answer> {
        self.send(&self.gateway, token).await
    }

    /// Calls the service with a fresh presentation.
    pub(crate) async fn greet(&self, key: &SecretKey) -> Result<Answer> {
        self.send(&self.service, &self.token(key, None)?).await
    }

    async fn send(&self, url: &str, token: &str) -> Result<Answer> {
        let request = self.http.get(url).header("authorization", format!("Muster {token}"));
        let response = request.send().await?;
        let status = response.status().as_u16();
        let reason = response
            .headers()
            .get("muster-reason")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        Ok(Answer { status, reason, body: response.text().await? })
    }

    /// Waits until the gateway takes presentations of this second. One that restarted cannot
    /// know which of an earlier moment were used, and refuses them all.
    pub(crate) async fn until_open(&self, key: &SecretKey) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            let answer = self.show(&self.token(key, None)?).await?;
            match (answer.status, answer.reason.as_str()) {
                (200, _) => return Ok(()),
                (401, "replayed") => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => bail!("the gateway answered {answer} instead of 200"),
            }
        }
        bail!("the gateway takes no presentations for 30 s after its start")
    }

    /// Milliseconds until the gateway refuses a device with a reason, from now on.
    pub(crate) async fn until_refused(&self, key: &SecretKey, reason: &str) -> Result<f64> {
        let start = Instant::now();
        let mut tries = 0;
        while start.elapsed() < Duration::from_secs(10) {
            let answer = self.show(&self.token(key, None)?).await?;
            if answer.status == 403 && answer.reason == reason {
                return Ok(start.elapsed().as_secs_f64() * 1_000.0);
            }
            if answer.status != 200 {
                bail!("the gateway answered {answer} instead of 200 or 403 {reason}");
            }
            tries += 1;
            // A gateway remembers 1,024 presentations of one device: ask often at first, seldom
            // when it takes long.
            let pause = if tries < 400 { 250 } else { 20_000 };
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        bail!("the gateway still lets the device through after 10 s")
    }
}
