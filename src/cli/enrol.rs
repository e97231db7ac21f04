//! `muster enrol`.

use super::SignArg;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FormatArg {
    /// By content.
    Auto,
    /// JSON lines.
    Jsonl,
    /// JSON: an array of objects, or objects over several lines.
    Json,
    /// CSV with a header.
    Csv,
    /// Microchip trust platform manifest: a JSON array of signed entries.
    Microchip,
    /// Device certificates: DER, PEM, or a list in base64.
    X509,
    /// Signing requests: DER, PEM, or a list in base64.
    Pkcs10,
}

#[derive(Args)]
pub(crate) struct Enrol {
    /// Files of devices: JSON lines, JSON, CSV, vendor manifests, certificates or signing requests,
    /// also in folders, tar and zip archives (docs/formats/manifests.md).
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
    /// Folder with the issuers of device certificates (.crt, .cer, .pem, .der) and their revocation
    /// lists (.crl, .pem); may be repeated.
    #[arg(long, value_name = "DIR")]
    pub(crate) trust: Vec<PathBuf>,
    /// Which column a field is in a foreign table: serial=DeviceId, or serial=#1 where there is no
    /// header; may be repeated.
    #[arg(long, value_name = "FIELD=COLUMN")]
    pub(crate) map: Vec<String>,
    /// Grant to enrol under; by default the one that fits.
    #[arg(long)]
    pub(crate) grant: Option<String>,
    /// Say what would happen, enrol nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on with a run of the same files that was cut off, from the journal beside the first file.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) resume: bool,
    /// Where the outcome of every row goes; by default the first file's name with `.results.jsonl`.
    #[arg(long, value_name = "FILE")]
    pub(crate) results: Option<PathBuf>,
    /// Where refused rows go as they stand, to be mended and enrolled; by default the file's name
    /// with `.rejects` and its own ending.
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Where the list of rows goes that wait for something (CSV, for --keys); by default the first
    /// file's name with `.missing.csv`.
    #[arg(long, value_name = "FILE")]
    pub(crate) missing: Option<PathBuf>,
    /// Where the devices' parts of their receipts go, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}
