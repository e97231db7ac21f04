//! How to reach a server, and how one is reached.

use crate::listen::Place;
use anyhow::{Context as _, Result};
use clap::Args;
use muster_api::{Client, KeyPin, Reach, TrustedProxies};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How long a command waits for a node that has no signed head yet: validators that start together
/// need some seconds until enough of them hear of each other.
const STARTING_WITHIN: Duration = Duration::from_secs(30);

/// How to reach a node.
#[derive(Args, Clone)]
pub(crate) struct NodeArg {
    /// The node's address.
    #[arg(long, env = "MUSTER_NODE", default_value = "http://127.0.0.1:7700")]
    pub(crate) node: String,
    /// Speak plain HTTP to a node beyond this machine. Only inside a tunnel.
    #[arg(long)]
    pub(crate) without_tls: bool,
    #[command(flatten)]
    pub(crate) ca: CaArg,
}

impl NodeArg {
    /// A client of the node.
    pub(crate) fn client(&self) -> Result<Client> {
        let client = Client::reach(&self.node, &self.ca.reach(self.without_tls)?)?;
        Ok(client.patient(STARTING_WITHIN))
    }
}

/// Whom to believe that a server is who it says.
#[derive(Args, Clone)]
pub(crate) struct CaArg {
    /// Certificates (PEM) of the authorities that vouch for https:// nodes; by default those that
    /// the Web believes.
    #[arg(long, value_name = "FILE")]
    pub(crate) node_ca: Option<PathBuf>,
    /// Key of an https:// node, as it prints it: believed instead of any authority. May be repeated
    /// for several nodes.
    #[arg(long, value_name = "sha256//...", conflicts_with = "node_ca")]
    pub(crate) node_pin: Vec<KeyPin>,
}

impl CaArg {
    /// What the options say of the way to a node.
    pub(crate) fn reach(&self, without_tls: bool) -> Result<Reach> {
        let pins = self.node_pin.clone();
        Ok(Reach { pins, ..reach(without_tls, self.node_ca.as_deref())? })
    }
}

/// Which proxies are believed.
#[derive(Args, Clone)]
pub(crate) struct ProxiesArg {
    /// Proxies that are believed about the requests they pass on (`X-Real-IP`, `X-Forwarded-For`):
    /// `local` (this machine), `unix` (the socket file), addresses and networks, commas between.
    /// Name only proxies that set these themselves.
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "local")]
    trust_proxy: Option<TrustedProxies>,
}

impl ProxiesArg {
    /// The proxies.
    pub(crate) fn trusted(&self) -> TrustedProxies {
        self.trust_proxy.clone().unwrap_or_default()
    }
}

/// How a server proves itself.
#[derive(Args, Clone)]
pub(crate) struct TlsArg {
    /// Certificate chain (PEM), the server's own first: speak TLS 1.3 and 1.2. Read again at
    /// SIGHUP.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Speak TLS by a certificate that the server makes itself, in tls/ of its folder. Clients are
    /// given the printed key (--node-pin), or the certificate (--node-ca).
    #[arg(long, conflicts_with = "tls_cert")]
    pub(crate) tls_self_signed: bool,
    /// A further name or address that the certificate made by --tls-self-signed is for. May be
    /// repeated.
    #[arg(long, value_name = "NAME", requires = "tls_self_signed", value_parser = tls_name)]
    pub(crate) tls_name: Vec<String>,
}

impl TlsArg {
    /// The names of the server's own certificate that the options add.
    pub(crate) fn names(&self) -> Vec<String> {
        self.tls_name.clone()
    }
}

/// A name as certificates have it (RFC 5280 §4.2.1.6), or an address.
fn tls_name(text: &str) -> Result<String, &'static str> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let name = text.len() <= 253 && !text.is_empty() && text.bytes().all(letter);
    match name || text.parse::<std::net::IpAddr>().is_ok() {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("expected a name such as gate.example, or an address, without a port"),
    }
}

/// Where metrics are served.
#[derive(Args, Clone)]
pub(crate) struct MetricsArg {
    /// Where Prometheus reads metrics: an address and port, `unix:` and the path of a socket, or
    /// `off`; by default a port of this machine, 7702 of a node and 7703 of a gateway. Whoever
    /// reaches it reads them.
    #[arg(long, value_name = "PLACE")]
    metrics: Option<MetricsPlace>,
}

impl MetricsArg {
    /// The place.
    pub(crate) fn place(&self) -> MetricsPlace {
        self.metrics.clone().unwrap_or(MetricsPlace::Usual)
    }

    /// Refuses to serve them beyond this machine without TLS, unless told to by name.
    pub(crate) fn check(&self, tls: bool, without_tls: bool) -> Result<()> {
        match &self.metrics {
            Some(MetricsPlace::At(place)) => place.check(tls, without_tls).context("--metrics"),
            _ => Ok(()),
        }
    }
}

/// Where metrics are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetricsPlace {
    /// On the port that is fixed for it, if that is free.
    Usual,
    /// There.
    At(Place),
    /// Nowhere.
    Off,
}

impl FromStr for MetricsPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

/// The way to a server, with the authorities of a file or the Web's.
pub(crate) fn reach(without_tls: bool, ca: Option<&Path>) -> Result<Reach> {
    let read = |file: &Path| {
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    };
    Ok(Reach { without_tls, ca: ca.map(read).transpose()?, pins: Vec::new() })
}
