//! The server's side of TLS 1.3 and 1.2, with tickets, so that a device that comes back need not
//! pay for a signature again.

use super::{Own, Stream};
use crate::cli::TlsArg;
use anyhow::{Context as _, Result, ensure};
use muster_api::KeyPin;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ProducesTickets;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take: two round trips over the slowest lines that devices have. Until
/// then it holds one of the bounded connections.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Tickets for each connection. A device opens the next one alone; each ticket is encrypted anew.
const TICKETS: usize = 1;

/// A certificate and its key. Clones share them; `SIGHUP` reads them again.
#[derive(Clone)]
pub(crate) struct Tls(Arc<RwLock<Shown>>);

/// What is shown to whoever connects.
struct Shown {
    config: Arc<ServerConfig>,
    leaf: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files that the options name, or those of the server's own certificate, and watches
    /// for `SIGHUP`; without either, there is no TLS.
    pub(crate) fn read(arg: &TlsArg, own: Own) -> Result<Option<Self>> {
        let (chain, key) = match (&arg.tls_cert, &arg.tls_key) {
            (Some(chain), Some(key)) => (chain.clone(), key.clone()),
            _ if arg.tls_self_signed => {
                own.renew()?;
                (own.chain(), own.key())
            }
            _ => return Ok(None),
        };
        // The same through every reading, so that tickets given out stay good.
        let tickets = ring::Ticketer::new().context("no key for session tickets can be made")?;
        let tls = Self(Arc::new(RwLock::new(configure(&chain, &key, tickets.clone())?)));
        let mut hangups = signal(SignalKind::hangup()).context("SIGHUP cannot be watched")?;
        let (shared, again) = (tls.clone(), tickets.clone());
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                shared.read_again(&chain, &key, tickets.clone());
            }
        });
        if arg.tls_self_signed {
            tokio::spawn(tls.clone().keep(own, again));
        }
        Ok(Some(tls))
    }

    /// Whether the options name files, which must be a pair; nothing listens yet.
    pub(crate) fn check(arg: &TlsArg) -> Result<bool> {
        let (Some(chain), Some(key)) = (&arg.tls_cert, &arg.tls_key) else {
            return Ok(arg.tls_self_signed);
        };
        let tickets = ring::Ticketer::new().context("no key for session tickets can be made")?;
        configure(chain, key, tickets).map(|_| true)
    }

    /// Makes a certificate of the server's own anew before it ends, while the server runs.
    async fn keep(self, own: Own, tickets: Arc<dyn ProducesTickets>) {
        let mut days = interval(Duration::from_secs(24 * 60 * 60));
        loop {
            days.tick().await;
            match own.renew() {
                Ok(true) => self.read_again(&own.chain(), &own.key(), tickets.clone()),
                Ok(false) => {}
                Err(error) => tracing::error!("the certificate ends before long: {error:#}"),
            }
        }
    }

    /// The key of the certificate, as clients pin it.
    pub(crate) fn pin(&self) -> Option<KeyPin> {
        KeyPin::of_certificate(&CertificateDer::from(self.leaf()?))
    }

    /// The server's own certificate, as it is shown at present.
    pub(crate) fn leaf(&self) -> Option<Vec<u8>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).leaf.clone()
    }

    /// A pair of files that is broken half way through a renewal must not end the service.
    fn read_again(&self, chain: &Path, key: &Path, tickets: Arc<dyn ProducesTickets>) {
        match configure(chain, key, tickets) {
            Ok(config) => {
                *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("certificate and key were read again");
            }
            Err(error) => tracing::error!("the certificate stays as it was: {error:#}"),
        }
    }

    /// Makes a connection secret.
    pub(super) async fn accept(
        &self,
        stream: Box<dyn Stream>,
    ) -> io::Result<TlsStream<Box<dyn Stream>>> {
        let config = self.0.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
            Ok(stream) => stream,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

fn configure(chain: &Path, key: &Path, tickets: Arc<dyn ProducesTickets>) -> Result<Shown> {
    let name = |path: &Path| path.display().to_string();
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{}: no certificates (PEM) can be read", name(chain)))?;
    ensure!(!certificates.is_empty(), "{}: there is no certificate (PEM) in it", name(chain));
    let leaf = certificates.first().map(|certificate| certificate.to_vec());
    let secret = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{}: no private key (PEM) can be read", name(key)))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("this build knows no version of TLS")?
        .with_no_client_auth()
        .with_single_cert(certificates, secret)
        .with_context(|| format!("{} and {} are no pair", name(chain), name(key)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = tickets;
    config.send_tls13_tickets = TICKETS;
    Ok(Shown { config: Arc::new(config), leaf })
}
