//! The command line. Scripts rely on it: names and exit statuses are stable.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// Listen beyond this machine without TLS. Only behind something that adds it.
    #[arg(long)]
    pub(crate) without_tls: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FormatArg {
    /// By content.
    Auto,
    /// JSON lines.
    Jsonl,
    /// CSV with a header.
    Csv,
    /// Microchip trust platform manifest: a JSON array of signed entries.
    Microchip,
}

#[derive(Args)]
pub(crate) struct Enrol {
    /// Files of devices: JSON lines, CSV or vendor manifests (docs/formats/manifests.md).
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Format of the files.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) format: FormatArg,
    /// Model of rows that name none.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Challenge of the order, where rows with possession name none.
    #[arg(long, default_value = "")]
    pub(crate) challenge: String,
    /// Folder with the certificates of manifest signers (.crt, .cer, .pem, .der); may be repeated.
    #[arg(long, value_name = "DIR")]
    pub(crate) signer: Vec<PathBuf>,
    /// Public keys that the line read (CSV or JSON lines: uniqueId or serial, publicKey), for rows
    /// without a key.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Slot whose key is enrolled, where a manifest has several; by default 0.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..16))]
    pub(crate) slot: Option<u8>,
    /// Grant to enrol under; by default the one that fits.
    #[arg(long)]
    pub(crate) grant: Option<String>,
    /// Say what would happen, enrol nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where the outcome of every row goes; by default the first file's name with `.results.jsonl`.
    #[arg(long, value_name = "FILE")]
    pub(crate) results: Option<PathBuf>,
    /// Where the devices' parts of their receipts go, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum AlgorithmArg {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256.
    P256,
}

#[derive(Subcommand)]
pub(crate) enum Device {
    /// Make a key and print the device's row for a manifest.
    New(DeviceNew),
    /// Print the DID of a key.
    Did(DeviceKey),
    /// Print a presentation.
    Present(DevicePresent),
    /// Authenticate at a URL again and again.
    Run(DeviceRun),
}

#[derive(Args)]
pub(crate) struct DeviceKey {
    /// The device's private key (PKCS#8 PEM).
    pub(crate) key: PathBuf,
}

#[derive(Args)]
pub(crate) struct DeviceNew {
    /// Where the private key goes.
    pub(crate) key: PathBuf,
    /// Kind of key.
    #[arg(long, value_enum, default_value = "ed25519")]
    pub(crate) algorithm: AlgorithmArg,
    /// Serial number; by default the file's name.
    #[arg(long)]
    pub(crate) serial: Option<String>,
    /// Model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Challenge of the order.
    #[arg(long, default_value = "")]
    pub(crate) challenge: String,
    /// Genesis of the network the possession is for; by default the home folder's.
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct DevicePresent {
    #[command(flatten)]
    pub(crate) device: DeviceKey,
    /// Name of the service the device was told to dial.
    #[arg(long)]
    pub(crate) audience: String,
    /// Seconds that it is valid.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,
    /// A nonce from the gateway instead of a time.
    #[arg(long)]
    pub(crate) nonce: Option<String>,
    /// Its DID, if it is not that of this key (after a rotation).
    #[arg(long)]
    pub(crate) did: Option<String>,
}

#[derive(Args)]
pub(crate) struct DeviceRun {
    #[command(flatten)]
    pub(crate) device: DeviceKey,
    /// Where to go.
    #[arg(long)]
    pub(crate) url: String,
    /// Name of the service the device was told to dial.
    #[arg(long)]
    pub(crate) audience: String,
    /// How often; 0 means until stopped.
    #[arg(long, default_value_t = 0)]
    pub(crate) count: u64,
    /// Milliseconds between two requests.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) every: u64,
    /// Its DID, if it is not that of this key (after a rotation).
    #[arg(long)]
    pub(crate) did: Option<String>,
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
    /// Listen beyond this machine without TLS. Only behind something that adds it.
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
pub(crate) enum Org {
    /// Show organisations, keys and grants.
    Show(NodeArg),
    /// Add a key: its private part proves that somebody holds it.
    KeyAdd(OrgKeyAdd),
    /// Remove a key.
    KeyRemove(OrgKeyRemove),
    /// Replace a key by another with the same capabilities.
    KeyRotate(OrgKeyRotate),
    /// Let an organisation enrol devices.
    Grant(OrgGrant),
    /// End a grant.
    Withdraw(OrgWithdraw),
}

#[derive(Args)]
pub(crate) struct OrgKeyAdd {
    /// Private key (PKCS#8 PEM) to add; made if the file does not exist.
    pub(crate) file: PathBuf,
    /// What it may do: root, enrol, operate, approve, gateway, validator.
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) can: Vec<String>,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgKeyRemove {
    /// The key (Multikey).
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgKeyRotate {
    /// The key that ends (Multikey).
    pub(crate) old: String,
    /// Private key (PKCS#8 PEM) that takes its place; made if the file does not exist.
    pub(crate) new: PathBuf,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgGrant {
    /// Who may enrol (DID); by default this organisation.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Devices in all.
    #[arg(long)]
    pub(crate) devices: u64,
    /// Models; without it, every model.
    #[arg(long)]
    pub(crate) model: Vec<String>,
    /// Days until it ends.
    #[arg(long, default_value_t = 365)]
    pub(crate) days: u64,
    /// Least evidence.
    #[arg(long, value_enum, default_value = "enroller")]
    pub(crate) evidence: EvidenceArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct OrgWithdraw {
    /// The grant's id.
    pub(crate) grant: String,
    #[command(flatten)]
    pub(crate) sign: SignArg,
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

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// From the acknowledgement of a revocation to the first refusal at a gateway.
    Revoke(BenchArg),
}

#[derive(Args)]
pub(crate) struct BenchArg {
    /// Devices to revoke, one by one.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    pub(crate) devices: u64,
}
