//! The command line. Scripts rely on it: names and exit statuses are stable.

mod approve;
#[cfg(feature = "node")]
mod backup;
#[cfg(feature = "node")]
mod bench;
mod cohort;
mod config;
mod consortium;
mod device;
#[cfg(feature = "node")]
mod enrol;
mod gateway;
mod gateways;
mod key;
#[cfg(feature = "node")]
mod lot;
#[cfg_attr(not(feature = "node"), path = "cli/absent.rs")]
mod node;
mod org;
mod ownership;
mod reach;
mod rules;

pub(crate) use approve::{Approve, ProposeArg};
#[cfg(feature = "node")]
pub(crate) use backup::{Backup, Restore};
#[cfg(feature = "node")]
pub(crate) use bench::{
    Bench, BenchAuthenticate, BenchBare, BenchConsole, BenchConsortium, BenchEnrol, BenchFormat,
    BenchGateway, BenchResolve, BenchRevoke,
};
pub(crate) use cohort::Cohort;
pub(crate) use config::{ConfigCheck, ConfigCommand, LogFormat, LogLevel};
pub(crate) use consortium::ConsortiumArg;
pub(crate) use device::{AlgorithmArg, Device, DeviceDid, DevicePresent, DeviceRun};
#[cfg(feature = "node")]
pub(crate) use device::{DeviceNew, DeviceReel};
#[cfg(feature = "node")]
pub(crate) use enrol::{Enrol, FormatArg};
pub(crate) use gateway::{Gateway, GatewayCommand, GatewayFolder, GatewayPreload, GatewayRun};
pub(crate) use gateways::{
    Coverage, Gateways, GatewaysAdd, GatewaysCommand, GatewaysRemove, WatchArg,
};
pub(crate) use key::{Key, KeyFile, KeyNew, KeyShow};
#[cfg(feature = "node")]
pub(crate) use lot::{Lot, LotReport, LotScrap};
pub(crate) use node::{NodeCommand, SampleCommand};
pub(crate) use org::{
    Org, OrgAdmit, OrgExpel, OrgGrant, OrgInvite, OrgKey, OrgKeyAdd, OrgKeyRemove, OrgKeyRotate,
    OrgRecover, OrgValidator, OrgValidators, OrgWithdraw,
};
pub(crate) use ownership::{RecoverArg, Transfer, TransferOffer, TransferOpen};
pub(crate) use reach::{CaArg, MetricsArg, MetricsPlace, NodeArg, ProxiesArg, TlsArg, reach};
pub(crate) use rules::{OrgProtocol, OrgRules, OrgRulesCommand, OrgRulesSet};

use crate::http::Origin;
use crate::keys::{Given, KeyPlace, Passphrases};
use crate::listen::Place;
use clap::{Args, Parser, Subcommand, ValueEnum};
use data_encoding::BASE64;
use std::path::PathBuf;
use std::str::FromStr;

/// Decentralized, self-sovereign identity for IoT devices.
#[derive(Parser)]
#[command(name = "muster", version, long_version = crate::version::long(), about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Folder of this organisation: genesis, keys, node, gateway.
    #[arg(long, global = true, env = "MUSTER_HOME", default_value = "muster-data")]
    pub(crate) home: PathBuf,
    /// One JSON object on standard output instead of words.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// File of settings (docs/config.md); by default muster.toml of the home folder, else
    /// /etc/muster/muster.toml.
    #[arg(long, global = true, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How log lines are written, on standard error.
    #[arg(
        long,
        global = true,
        env = "MUSTER_LOG_FORMAT",
        value_enum,
        default_value = "human",
        value_name = "FORMAT"
    )]
    pub(crate) log: LogFormat,
    /// Which log lines: error, warn, info, debug, trace, or such as info,muster_gateway=debug. By
    /// default info for servers, else warn.
    #[arg(long, global = true, env = "MUSTER_LOG", value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// Passphrase of sealed key files: the first line of this file. Without it, that of
    /// MUSTER_PASSPHRASE, of the file MUSTER_PASSPHRASE_FILE names, or what is typed on a terminal.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "passphrase_fd")]
    passphrase_file: Option<PathBuf>,
    /// The same from an open file descriptor.
    #[arg(long, global = true, value_name = "N")]
    passphrase_fd: Option<u32>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Where passphrases come from.
    pub(crate) fn passphrases(&self) -> Passphrases {
        Passphrases::new(self.given())
    }

    /// What was said of passphrases.
    pub(crate) fn given(&self) -> Given {
        match (&self.passphrase_file, self.passphrase_fd) {
            (Some(file), _) => Given::File(file.clone()),
            (None, Some(n)) => Given::Descriptor(n),
            (None, None) => Given::Environment,
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Begin a network: genesis, keys, folders.
    Init(Init),
    /// What needs a ledger of its own, or reads manifests.
    #[command(flatten)]
    Node(NodeCommand),
    /// The file of settings: check it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// A software device: its key, its DID, its presentations.
    #[command(subcommand)]
    Device(Device),
    /// Run a gateway: authenticate devices for the service behind it.
    Gateway(Box<Gateway>),
    /// The registered gateways: how they do; add and remove them.
    Gateways(Gateways),
    /// Which gateways already refuse what was held or ended, and since when.
    Coverage(Coverage),
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
    /// Approve or reject what somebody proposed, or list it. Signs with keys/admin2.pem by default.
    Approve(Approve),
    /// Replace a device's key, signed by the old and the new one.
    Rotate(Rotate),
    /// Hand a device or batch over to another organisation: offer, accept, cancel.
    #[command(subcommand)]
    Transfer(Transfer),
    /// Give a device that lost its key another, as it declared at its beginning.
    Recover(RecoverArg),
    /// Hold or revoke at once all that one key enrolled, such as a stolen one.
    Cohort(Cohort),
    /// Private keys: make, show, seal by a passphrase.
    #[command(subcommand)]
    Key(Key),
    /// The organisation: its keys and its grants.
    #[command(subcommand)]
    Org(Org),
    /// The ledger: audit, export, status.
    #[command(subcommand)]
    Ledger(Ledger),
}

impl Command {
    /// Whether it stays up and logs what it does.
    pub(crate) fn is_server(&self) -> bool {
        match self {
            Self::Node(command) => command.is_server(),
            Self::Gateway(gateway) => gateway.command.is_none(),
            _ => false,
        }
    }
}

/// How to sign.
#[derive(Args, Clone)]
pub(crate) struct SignArg {
    #[command(flatten)]
    pub(crate) node: NodeArg,
    /// Private key that signs: a file (PKCS#8 PEM), or a key in a token (pkcs11:...); by default
    /// keys/admin.pem of the home folder.
    #[arg(long, value_name = "FILE|pkcs11:...")]
    pub(crate) sign_with: Option<KeyPlace>,
}

/// How to ask for what belongs to the organisation.
#[derive(Args, Clone)]
pub(crate) struct ReadArg {
    #[command(flatten)]
    pub(crate) node: NodeArg,
    /// Private key that signs the question if the node asks for it, as a node on another machine
    /// does; by default keys/admin.pem of the home folder.
    #[arg(long, value_name = "FILE|pkcs11:...")]
    pub(crate) sign_with: Option<KeyPlace>,
}

#[cfg(feature = "node")]
#[derive(Args)]
pub(crate) struct Demo {
    /// Devices to enrol.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(20..=100_000))]
    pub(crate) devices: u64,
    /// Organisations with a node and a gateway each: 1, or 4 to 7 that decide together (feature
    /// consortium).
    #[arg(long, default_value_t = 1)]
    pub(crate) nodes: u64,
    /// Leave after the story; exit status 1 if anything was not as it should be.
    #[arg(long)]
    pub(crate) exit: bool,
    /// First of three ports (node, gateway, upstream); 0 takes free ones. With --nodes ten for each.
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
    /// Join the network of this genesis, which others began: a node without an organisation's
    /// keys, unless --org is said.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["label", "devices", "model", "days", "evidence"])]
    pub(crate) genesis: Option<PathBuf>,
    /// Make the keys of another organisation of this name (public), and a request to be admitted.
    #[arg(long, value_name = "NAME", requires = "genesis")]
    pub(crate) org: Option<String>,
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
    /// Refuse to begin without a passphrase that seals the organisation's keys.
    #[arg(long, conflicts_with = "unsealed")]
    pub(crate) seal: bool,
    /// Leave the organisation's keys unsealed without asking: for trials.
    #[arg(long)]
    pub(crate) unsealed: bool,
    /// Seal the node's key too, by the first line of this file; `muster serve` is to be given it.
    #[arg(long, value_name = "FILE")]
    pub(crate) node_passphrase_file: Option<PathBuf>,
}

#[cfg_attr(
    not(feature = "node"),
    allow(dead_code, reason = "a file of settings is checked for both")
)]
#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen: an address and port, or `unix:` and the path of a socket.
    #[arg(long, default_value_t = Place::loopback(muster_api::limits::NODE_PORT))]
    pub(crate) listen: Place,
    #[command(flatten)]
    pub(crate) tls: TlsArg,
    /// What it calls itself: the address by which others reach it, such as
    /// `https://node.example`. Signed reads and browsers must name it.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<Origin>,
    #[command(flatten)]
    pub(crate) proxies: ProxiesArg,
    #[command(flatten)]
    pub(crate) metrics: MetricsArg,
    /// The newest head that a gateway or another follower has, after the node's folder was
    /// restored from a backup: number of log entries, a colon, log root in base64.
    #[arg(long, value_name = "SIZE:ROOT")]
    pub(crate) restored: Option<KnownHead>,
    /// Go on under the key in node/node.pem, which takes the validator's place: the file that
    /// `muster org validator` wrote. Not looked at once it is the validator.
    #[arg(long, value_name = "FILE")]
    pub(crate) succeed: Option<PathBuf>,
    /// Begin the ledger in an empty folder that `muster init` did not make.
    #[arg(long)]
    pub(crate) begin: bool,
    /// Enrol new batches though leaves of others were lost with a disk: a device or key may then
    /// enter the ledger twice.
    #[arg(long)]
    pub(crate) accept_lost_leaves: bool,
    /// Listen beyond this machine without TLS. Only behind something that adds it.
    #[arg(long)]
    pub(crate) without_tls: bool,
    #[command(flatten)]
    pub(crate) consortium: ConsortiumArg,
    #[command(flatten)]
    pub(crate) store: StoreArg,
}

/// Where a node keeps its ledger.
#[derive(Args)]
pub(crate) struct StoreArg {
    /// Where ledger and directory are: `sqlite` (in the node's folder) or
    /// `postgres://USER@HOST:PORT/DATABASE`; the password by PGPASSWORD or a .pgpass file.
    #[arg(long = "store", value_name = "URL", default_value = "sqlite")]
    pub(crate) url: String,
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
    /// The present validator (Multikey), if it is not that of the genesis any more and no home
    /// folder knows; may be repeated.
    #[arg(long, value_name = "MULTIKEY")]
    pub(crate) validator: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Subject {
    /// A device (DID) or batch (id).
    pub(crate) target: String,
    /// Write the device's receipt to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArg,
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
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) watch: WatchArg,
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
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) watch: WatchArg,
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
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

#[derive(Args)]
pub(crate) struct Deactivate {
    /// A device (DID) or batch (id).
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) watch: WatchArg,
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
    /// Replay from genesis and recompute everything in the node's folder or database.
    Audit(StoreArg),
    /// Write all log entries, as JSON lines. With --whole: the ledger and the private directory of
    /// this machine's node, for `muster ledger import`.
    Export(LedgerExport),
    /// Read in what `muster ledger export --whole` wrote, into a folder or database without a
    /// ledger.
    Import(LedgerImport),
    /// Show the head as the node states it, checked.
    Status(NodeArg),
}

#[derive(Args)]
pub(crate) struct LedgerExport {
    /// Where to; standard output by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The ledger with its leaves and the private directory, into this file; the node must be
    /// stopped. The file is as secret as the serial numbers in it.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub(crate) whole: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArg,
    #[command(flatten)]
    pub(crate) node: NodeArg,
}

#[derive(Args)]
pub(crate) struct LedgerImport {
    /// What `muster ledger export --whole` wrote.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArg,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// Options that clash, or that need one that is not there, show here and not at a user's.
    #[test]
    fn every_command_is_sound() {
        super::Cli::command().debug_assert();
        crate::config::command().debug_assert();
    }
}
