//! Presentations that no gateway lets through: of known devices with a signature that is none, and
//! of devices that were never enrolled.

use super::load::{CONNECTIONS, Connection};
use crate::commands::window;
use crate::host::random;
use anyhow::{Result, ensure};
use muster_identity::{Audience, Did, PublicKey, Signature, Signer, SignerError, present};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;

/// Signs with random bytes.
struct Forger(PublicKey);

impl Signer for Forger {
    fn public_key(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, SignerError> {
        Ok(Signature(random()))
    }
}

/// Whom the flood pretends to be.
pub(super) struct Victims {
    pub(super) devices: Vec<(Did, PublicKey)>,
    pub(super) audience: Audience,
}

impl Victims {
    /// The n-th presentation: every second one of a device that exists.
    fn token(&self, number: u64) -> Result<String> {
        let (did, key) = self.devices[number as usize / 2 % self.devices.len()];
        let did = if number.is_multiple_of(2) { did } else { Did::from_digest(random()) };
        Ok(present(&did, &self.audience, &window(60), &random(), &Forger(key))?)
    }
}

/// A flood that goes on.
pub(super) struct Flood {
    sent: Arc<AtomicU64>,
    tasks: JoinSet<Result<()>>,
}

impl Flood {
    /// Sends so many, each as soon as a connection is free. None may be let through.
    pub(super) fn start(gateway: SocketAddr, victims: &Arc<Victims>, number: u64) -> Self {
        let sent = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (victims, sent) = (victims.clone(), sent.clone());
            tasks.spawn(async move {
                let mut connection = Connection::open(gateway).await?;
                loop {
                    let next = sent.fetch_add(1, Ordering::Relaxed);
                    if next >= number {
                        return Ok(());
                    }
                    let request = request(&victims.token(next)?, None);
                    let status = connection.ask(&request).await?;
                    ensure!(status == 401, "a forged presentation was answered with {status}");
                }
            });
        }
        Self { sent, tasks }
    }

    /// How many were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Says what ended it early, if anything did.
    pub(super) fn check(&mut self) -> Result<()> {
        while let Some(done) = self.tasks.try_join_next() {
            done??;
        }
        Ok(())
    }

    /// Waits until all were answered.
    pub(super) async fn end(mut self) -> Result<()> {
        while let Some(done) = self.tasks.join_next().await {
            done??;
        }
        Ok(())
    }
}

/// A request with a presentation, and for the bare server with a key.
pub(super) fn request(token: &str, key: Option<&str>) -> Vec<u8> {
    let key = key.map(|key| format!("X-Key: {key}\r\n")).unwrap_or_default();
    format!(
        "GET /v1/authenticate HTTP/1.1\r\nHost: gateway.example\r\n\
         Authorization: Muster {token}\r\n{key}\r\n"
    )
    .into_bytes()
}
