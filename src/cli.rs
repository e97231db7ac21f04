//! The command line. Scripts rely on it: names and exit statuses are stable.

mod bench;
mod device;
mod enrol;
mod lot;
mod org;

pub(crate) use bench::{Bench, BenchEnrol, BenchFormat, BenchResolve, BenchRevoke};
pub(crate) use device::{
    AlgorithmArg, Device, DeviceKey, DeviceNew, DevicePresent, DeviceReel, DeviceRun,
};
pub(crate) use enrol::{Enrol, FormatArg};
pub(crate) use lot::{Lot, LotReport, LotScrap};
pub(crate) use org::{Org, OrgGrant, OrgKeyAdd, OrgKeyRemove, OrgKeyRotate, OrgWithdraw};

use clap::{Args, Parser, Subcommand, ValueEnum};
use data_encoding::BASE64;
use muster_api::{Client, ClientError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Decentralized, self-sovereign identity for IoT devices.
#[derive(Parser)]
#[command(name = "muster", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Folder of this organisation: genesis, keys, node, gateway.
    #[arg(long, global = true, env = "MUSTER_HOME", default_value = "muster-data")]
    pub(crate) home: PathBuf,
    /// One JSON object on standard output instead of words.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Everything on this machine, by one command: enrol, pass a gateway, revoke, be refused.
    Demo(Demo),
    /// Begin a network: genesis, keys, folders.
    Init(Init),
    /// Run a node.
    Serve(Serve),
    /// Enrol the devices of one or more files.
    Enrol(Enrol),
    /// A software device: its key, its DID, its presentations.
    #[command(subcommand)]
    Device(Device),
    /// Run a gateway: authenticate devices for the service behind it.
    Gateway(Gateway),
    /// Resolve a DID to its document.
    Resolve(Resolve),
    /// Check a receipt, offline, with the genesis file alone.
    Verify(Verify),
    /// Show a device or batch and what happened to it.
    Show(Subject),
    /// Revoke a device or batch for good, or with --key one key of a device.
    Revoke(Revoke),
    /// Suspend a device or batch until it is released.
    Hold(Hold),
    /// Lift a hold.
    Release(Release),
    /// End a DID (or those of a batch) for good.
    Deactivate(Deactivate),
    /// Replace a device's key, signed by the old and the new one.
    Rotate(Rotate),
    /// Lots of the factory: whether made = shipped + rework + scrap, and the end of scrap.
    #[command(subcommand)]
    Lot(Lot),
    /// The organisation: its keys and its grants.
    #[command(subcommand)]
    Org(Org),
    /// The ledger: audit, export, status.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Measure Muster beside the limit of this machine.
    #[command(subcommand)]
    Bench(Bench),
}

impl Command {
    /// Whether it stays up and logs what it does.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Gateway(_))
    }
}

/// How to reach a node.
#[derive(Args, Clone)]
pub(crate) struct NodeArg {
    /// The node's address.
    #[arg(long, env = "MUSTER_NODE", default_value = "http://127.0.0.1:7700")]
    pub(crate) node: String,
    /// Speak plain HTTP to a node beyond this machine. Only inside a tunnel.
    #[arg(long)]
    pub(crate) without_tls: bool,
}

impl NodeArg {
    /// A client of the node.
    pub(crate) fn client(&self) -> Result<Client, ClientError> {
        if self.without_tls { Client::without_tls(&self.node) } else { Client::new(&self.node) }
    }
}

/// How to sign.
#[derive(Args, Clone)]
pub(crate) struct SignArg {
    #[command(flatten)]
    pub(crate) node: NodeArg,
    /// Private key (PKCS#8 PEM) that signs; by default keys/admin.pem of the home folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_with: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Demo {
    /// Devices to enrol.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(20..=100_000))]
    pub(crate) devices: u64,
    /// Leave after the story; exit status 1 if anything was not as it should be.
    #[arg(long)]
    pub(crate) exit: bool,
    /// First of three ports (node, gateway, upstream); 0 takes free ones.
    #[arg(long, default_value_t = muster_api::limits::NODE_PORT)]
    pub(crate) port: u16,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum EvidenceArg {
    /// The enroller's own word is enough.
    Enroller,
    /// A document of the chip or device vendor.
    Document,
    /// The device's own signature.
    Possession,
}

#[derive(Args)]
pub(crate) struct Init {
    /// Name of the organisation; public.
    #[arg(long, default_value = "My organisation")]
    pub(crate) label: String,
    /// Devices that the first grant allows.
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) devices: u64,
    /// Models that the first grant allows; without it, every model.
    #[arg(long)]
    pub(crate) model: Vec<String>,
    /// Days until the first grant ends.
    #[arg(long, default_value_t = 3_650)]
    pub(crate) days: u64,
    /// Least evidence for an enrolment.
    #[arg(long, value_enum, default_value = "enroller")]
    pub(crate) evidence: EvidenceArg,
}

#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen.
    #[arg(long, default_value_t = SocketAddr::from(([127, 0, 0, 1], muster_api::limits::NODE_PORT)))]
    pub(crate) listen: SocketAddr,
    /// The newest head that a gateway or another follower has, after the node's folder was
    /// restored from a backup: number of log entries, a colon, log root in base64.
    #[arg(long, value_name = "SIZE:ROOT")]
    pub(crate) restored: Option<KnownHead>,
    /// Listen beyond this machine without TLS. Only behind something that adds it.
    #[arg(long)]
    pub(crate) without_tls: bool,
}

/// A head known from elsewhere: `SIZE:ROOT`, as `muster ledger status` prints them.
#[derive(Clone, Copy)]
pub(crate) struct KnownHead {
    pub(crate) size: u64,
    pub(crate) log_root: [u8; 32],
}

impl FromStr for KnownHead {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (size, root) = text.split_once(':').ok_or("expected SIZE:ROOT")?;
        let root = BASE64.decode(root.as_bytes()).map_err(|_| "the log root is base64")?;
        Ok(Self {
            size: size.parse().map_err(|_| "the size is a number")?,
            log_root: root.try_into().map_err(|_| "the log root has 32 bytes")?,
        })
    }
}

#[derive(Args)]
pub(crate) struct Gateway {
    /// Genesis of the network; by default the home folder's.
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
    /// Nodes to follow, in order of preference.
    #[arg(long, default_value = "http://127.0.0.1:7700")]
    pub(crate) node: Vec<String>,
    /// Name of the service; devices must name it in their presentations.
    #[arg(long)]
    pub(crate) audience: String,
    /// Where to listen.
    #[arg(long, default_value_t = SocketAddr::from(([127, 0, 0, 1], muster_api::limits::GATEWAY_PORT)))]
    pub(crate) listen: SocketAddr,
    /// Folder for what it has verified; by default gateway/ of the home folder.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Seconds of roll age after which it refuses.
    #[arg(long, default_value_t = 3_600)]
    pub(crate) max_age: u64,
    /// A head known from elsewhere, such as from another gateway, after an absence longer than
    /// the trust period: number of log entries, a colon, log root in base64.
    #[arg(long, value_name = "SIZE:ROOT")]
    pub(crate) trust: Option<KnownHead>,
    /// Follow every operation from the genesis on. Otherwise an empty folder may begin with a
    /// snapshot that the network's validators signed.
    #[arg(long)]
    pub(crate) from_genesis: bool,
    /// Believe the `X-Request-Id` of a proxy on this machine that sets it itself (nginx:
    /// `proxy_set_header X-Request-Id $request_id`): its second question about one request gets
    /// the same answer.
    #[arg(long)]
    pub(crate) trust_request_id: bool,
    /// Listen, and follow nodes, beyond this machine without TLS. Only behind or inside something
    /// that adds it.
    #[arg(long)]
    pub(crate) without_tls: bool,
}

#[derive(Args)]
pub(crate) struct Resolve {
    /// The DID, of any method the node knows.
    pub(crate) did: String,
    #[command(flatten)]
    pub(crate) node: NodeArg,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// A receipt (CBOR).
    pub(crate) file: PathBuf,
    /// Genesis of the network; by default the home folder's.
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Subject {
    /// A device (DID) or batch (id).
    pub(crate) target: String,
    /// Write the device's receipt to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) node: NodeArg,
}

#[derive(Args)]
pub(crate) struct Revoke {
    /// A device (DID) or batch (id).
    pub(crate) target: String,
    /// Only this key of the device (Multikey).
    #[arg(long, value_name = "MULTIKEY")]
    pub(crate) key: Option<String>,
    /// Public reason.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum PowerArg {
    /// As owner.
    Owner,
    /// As a gateway, after an incident; needs --hours.
    Incident,
    /// For the network.
    Governance,
}

#[derive(Args)]
pub(crate) struct Hold {
    /// A device (DID) or batch (id).
    pub(crate) target: String,
    /// By which power.
    #[arg(long, value_enum, default_value = "owner")]
    pub(crate) power: PowerArg,
    /// Hours until it ends by itself; without it, until released.
    #[arg(long)]
    pub(crate) hours: Option<u64>,
    /// Public reason.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct Release {
    /// A device (DID) or batch (id).
    pub(crate) target: String,
    /// Which hold; needed when there are several.
    #[arg(long)]
    pub(crate) hold: Option<String>,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct Deactivate {
    /// A device (DID) or batch (id).
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct Rotate {
    /// The device's present private key (PKCS#8 PEM).
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The device's new private key.
    #[arg(long, value_name = "FILE")]
    pub(crate) new: PathBuf,
    /// Its DID, if it is not that of the present key (after an earlier rotation).
    #[arg(long)]
    pub(crate) did: Option<String>,
    #[command(flatten)]
    pub(crate) node: NodeArg,
}

#[derive(Subcommand)]
pub(crate) enum Ledger {
    /// Replay from genesis and recompute everything in the node's folder.
    Audit,
    /// Write all log entries, as JSON lines.
    Export(LedgerExport),
    /// Show the head as the node states it, checked.
    Status(NodeArg),
}

#[derive(Args)]
pub(crate) struct LedgerExport {
    /// Where to; standard output by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) node: NodeArg,
}
