//! `muster gateway`.

use super::{CaArg, KnownHead, MetricsArg, ProxiesArg, TlsArg};
use crate::keys::KeyPlace;
use crate::listen::Place;
use clap::{Args, Subcommand};
use muster_gateway::Span;
use std::path::PathBuf;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Gateway {
    #[command(subcommand)]
    pub(crate) command: Option<GatewayCommand>,
    #[command(flatten)]
    pub(crate) run: GatewayRun,
}

#[derive(Subcommand)]
pub(crate) enum GatewayCommand {
    /// Load devices beforehand, so that a site that is cut off knows them on its first day.
    Preload(GatewayPreload),
}

/// What a gateway's folder belongs to.
#[derive(Args)]
pub(crate) struct GatewayFolder {
    /// Genesis of the network; by default the home folder's.
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
    /// Nodes to follow, in order of preference.
    #[arg(long, default_value = "http://127.0.0.1:7700")]
    pub(crate) node: Vec<String>,
    /// Certificates of the authorities that vouch for https:// nodes.
    #[command(flatten)]
    pub(crate) ca: CaArg,
    /// Folder for what it has verified; by default gateway/ of the home folder.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// A head known from elsewhere, such as from another gateway, after an absence longer than
    /// the trust period: number of log entries, a colon, log root in base64.
    #[arg(long, value_name = "SIZE:ROOT")]
    pub(crate) trust: Option<KnownHead>,
    /// Follow every operation from the genesis on. Otherwise an empty folder may begin with a
    /// snapshot that the network's validators signed.
    #[arg(long)]
    pub(crate) from_genesis: bool,
    /// Listen, and follow nodes, beyond this machine without TLS. Only behind or inside something
    /// that adds it.
    #[arg(long)]
    pub(crate) without_tls: bool,
}

#[derive(Args)]
pub(crate) struct GatewayRun {
    #[command(flatten)]
    pub(crate) folder: GatewayFolder,
    /// Name of the service; devices must name it in their presentations.
    #[arg(long, required = true)]
    pub(crate) audience: Option<String>,
    /// Where to listen: an address and port, or `unix:` and the path of a socket.
    #[arg(long, default_value_t = Place::loopback(muster_api::limits::GATEWAY_PORT))]
    pub(crate) listen: Place,
    #[command(flatten)]
    pub(crate) tls: TlsArg,
    /// Age of the roll after which it refuses: seconds, or such as 15m, 12h, 30d.
    #[arg(long, default_value = "1h")]
    pub(crate) max_age: Span,
    /// Limits class by class: models, batches, owners, paths (TOML, docs/gateway.md).
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Open sessions of this length for devices that ask for one; without it, none.
    #[arg(long, value_name = "SPAN")]
    pub(crate) sessions: Option<Span>,
    /// Requests in a second from one address, a refused one counting as ten; 0: as many as come.
    #[arg(long, default_value_t = muster_gateway::limits::SOURCE_RATE)]
    pub(crate) source_rate: u32,
    /// Devices that proved themselves to keep on disk; the oldest makes room.
    #[arg(long, default_value_t = muster_gateway::limits::LEARNED)]
    pub(crate) learn: u64,
    /// Never ask a node about a device: it must be known here, or bring its device part.
    #[arg(long)]
    pub(crate) no_look_ups: bool,
    /// Private key (PKCS#8 PEM) by which it acknowledges to the nodes and proves itself to devices;
    /// made if the file does not exist. An operator registers it: `muster gateways add`.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Organisation (DID) that runs it; by default that of the home folder.
    #[arg(long, value_name = "DID", requires = "key")]
    pub(crate) operator: Option<String>,
    /// Tell the nodes which devices it let through, and when.
    #[arg(long, requires = "key")]
    pub(crate) report_devices: bool,
    /// Whom it believes about the requests of others: also `X-Request-Id`, by which a second question
    /// about one request gets the same answer, and `X-Original-*`.
    #[command(flatten)]
    pub(crate) proxies: ProxiesArg,
    #[command(flatten)]
    pub(crate) metrics: MetricsArg,
    /// Answer the questions of an MQTT broker too, by these topic rules.
    #[arg(long, value_name = "FILE")]
    pub(crate) topics: Option<PathBuf>,
    /// Let a device use any MQTT client id, not only its DID or its DID, `/` and a word.
    #[arg(long, requires = "topics")]
    pub(crate) any_client_id: bool,
}

#[derive(Args)]
pub(crate) struct GatewayPreload {
    /// Receipts (`muster enrol --out`, or one receipt), a batch, or a lot that the line named.
    pub(crate) what: String,
    /// Private key that signs the question about a lot if the node asks for it; by default
    /// keys/admin.pem of the home folder.
    #[arg(long, value_name = "FILE|pkcs11:...")]
    pub(crate) sign_with: Option<KeyPlace>,
    #[command(flatten)]
    pub(crate) folder: GatewayFolder,
}
