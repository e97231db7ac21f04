//! `muster device`.

use super::SampleCommand;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum AlgorithmArg {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256.
    P256,
}

#[derive(Subcommand)]
pub(crate) enum Device {
    #[command(flatten)]
    Sample(SampleCommand),
    /// Print the DID of a key.
    Did(DeviceDid),
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
pub(crate) struct DeviceDid {
    #[command(flatten)]
    pub(crate) device: DeviceKey,
    /// The recovery that it declared: a recovery key is part of what the DID is the hash of.
    #[arg(long, value_name = "owner|MULTIKEY")]
    pub(crate) recovery: Option<String>,
}

#[cfg(feature = "node")]
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
    /// Who may give the device another key if it loses its own: its owner, or the holder of this
    /// recovery key (`muster key show` prints its Multikey). Nobody, unless it is declared here.
    #[arg(long, value_name = "owner|MULTIKEY")]
    pub(crate) recovery: Option<String>,
    /// Challenge of the order.
    #[arg(long, default_value = "")]
    pub(crate) challenge: String,
    /// Genesis of the network the possession is for; by default the home folder's.
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
}

#[cfg(feature = "node")]
#[derive(Args)]
pub(crate) struct DeviceReel {
    /// A folder that is not there yet.
    pub(crate) dir: PathBuf,
    /// Chips on the reel.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) devices: u64,
    /// The manifest names no keys: the line reads them from the chips.
    #[arg(long)]
    pub(crate) keyless: bool,
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
    /// Add the device part of this receipt (CBOR), as a gateway that never heard of the device
    /// needs it: `<presentation>~<device part>`, a password for MQTT.
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
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
    /// Send presentations in the clear beyond this machine. Whoever sees one can use it first.
    #[arg(long)]
    pub(crate) without_tls: bool,
    /// Certificates (PEM) of the authorities that vouch for an https:// URL; by default those that
    /// the Web believes.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// How often; 0 means until stopped.
    #[arg(long, default_value_t = 0)]
    pub(crate) count: u64,
    /// Key of the gateway (Multikey) that the device was configured with: it must prove itself in
    /// every answer that lets the device through.
    #[arg(long, value_name = "MULTIKEY")]
    pub(crate) gateway_key: Option<String>,
    /// Milliseconds between two requests.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) every: u64,
    /// Its DID, if it is not that of this key (after a rotation).
    #[arg(long)]
    pub(crate) did: Option<String>,
}
