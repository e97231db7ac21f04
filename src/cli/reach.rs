//! How to reach a server, and how one is reached.

use anyhow::{Context as _, Result};
use clap::Args;
use muster_api::{Client, Reach, TrustedProxies};
use std::fs;
use std::path::{Path, PathBuf};

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
        Ok(Client::reach(&self.node, &self.ca.reach(self.without_tls)?)?)
    }
}

/// Whom to believe that a server is who it says.
#[derive(Args, Clone)]
pub(crate) struct CaArg {
    /// Certificates (PEM) of the authorities that vouch for https:// nodes; by default those that
    /// the Web believes.
    #[arg(long, value_name = "FILE")]
    pub(crate) node_ca: Option<PathBuf>,
}

impl CaArg {
    /// What the options say of the way to a node.
    pub(crate) fn reach(&self, without_tls: bool) -> Result<Reach> {
        reach(without_tls, self.node_ca.as_deref())
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
}

/// The way to a server, with the authorities of a file or the Web's.
pub(crate) fn reach(without_tls: bool, ca: Option<&Path>) -> Result<Reach> {
    let read = |file: &Path| {
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    };
    Ok(Reach { without_tls, ca: ca.map(read).transpose()? })
}
