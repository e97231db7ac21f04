//! The manifests that are enrolled, made on all cores before any clock starts.

use super::cores;
use crate::cli::BenchFormat;
use crate::host::random;
use anyhow::{Context as _, Result};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Algorithm, SecretKey, Signer as _, sha256};
use muster_ledger::Genesis;
use muster_provisioning::sample::microchip::{Shape, Vendor};
use muster_provisioning::sample::{self, Order};
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The order's challenge and the model, as a factory would write them.
const CHALLENGE: &str = "order-4711";
const MODEL: &str = "bench-9";

/// Devices of a lot: a reel.
const LOT: u64 = 10_000;

/// Rows made at once: some MiB in memory.
const WAVE: u64 = 16_384;

/// Where the benchmark's devices have their keys from.
pub(super) struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(random()))
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of a device.
    pub(super) fn key(&self, serial: &str) -> Result<SecretKey> {
        self.key_of(Algorithm::Ed25519, serial)
    }

    /// The same, of any algorithm. For P-256 it fails for one serial in 2^32.
    pub(super) fn key_of(&self, algorithm: Algorithm, serial: &str) -> Result<SecretKey> {
        let seed = Zeroizing::new(sha256(&[&self.0[..], serial.as_bytes()]));
        Ok(SecretKey::from_bytes(algorithm, &seed)?)
    }
}

/// A file for `muster enrol`, and what it is read with.
#[derive(Clone)]
pub(super) struct Manifest {
    pub(super) file: PathBuf,
    pub(super) format: BenchFormat,
    pub(super) devices: u64,
    /// Who signed the entries of a Microchip manifest.
    pub(super) vendor: Option<SignedBy>,
}

/// A vendor's signing key.
#[derive(Clone)]
pub(super) struct SignedBy {
    /// The folder with its certificate.
    pub(super) dir: PathBuf,
    /// The key (SEC 1).
    pub(super) key: Vec<u8>,
}

/// The serial number of the n-th device, 10 characters up to ten million.
pub(super) fn serial(prefix: &str, number: u64) -> String {
    format!("{prefix}-{number:07}")
}

impl Manifest {
    /// Writes one of devices that sign their possession (JSON lines, CSV), or of chips that the
    /// vendor vouches for (Microchip).
    pub(super) fn write(
        dir: &Path,
        prefix: &str,
        format: BenchFormat,
        devices: u64,
        genesis: &Genesis,
        seed: &Seed,
    ) -> Result<Self> {
        let (network, manufacturer) = (genesis.network(), genesis.organisation_did());
        let order = Order {
            network: &network,
            manufacturer: &manufacturer,
            challenge: CHALLENGE,
            model: Some(MODEL),
            lot: None,
        };
        let file = |ending| dir.join(format!("{prefix}.{ending}"));
        let mut vendor = None;
        let file = match format {
            BenchFormat::Jsonl => {
                let file = file("jsonl");
                write(&file, devices, "", "\n", "\n", |number| {
                    let (serial, lot) = (serial(prefix, number), lot(number));
                    Ok(sample::row(
                        &seed.key(&serial)?,
                        &serial,
                        &Order { lot: Some(&lot), ..order },
                    )?)
                })?;
                file
            }
            BenchFormat::Csv => {
                let file = file("csv");
                let header = "serial,publicKey,possession,challenge,lot,model\n";
                write(&file, devices, header, "\n", "\n", |number| {
                    let (serial, lot) = (serial(prefix, number), lot(number));
                    csv_row(&seed.key(&serial)?, &serial, &Order { lot: Some(&lot), ..order })
                })?;
                file
            }
            BenchFormat::Microchip => {
                let (file, signer) = (file("json"), dir.join("signer"));
                let made = Vendor::new(u64::from_be_bytes(random()))?;
                let certificate = made.signer_certificate()?;
                fs::create_dir(&signer)?;
                fs::write(signer.join("signer.crt"), &certificate)?;
                // Without x5c the vendor's signature is the only one of an entry.
                let shape = Shape { version: 2, slots: 1, x5c: false };
                write(&file, devices, "[\n", ",\n", "\n]\n", |number| {
                    Ok(made.entry(number, &shape, None)?)
                })?;
                vendor = Some(SignedBy { dir: signer, key: point(&certificate)? });
                file
            }
        };
        Ok(Self { file, format, devices, vendor })
    }
}

/// Writes a file of rows from 1 on: what stands before, between and behind them.
pub(super) fn write(
    file: &Path,
    rows: u64,
    before: &str,
    between: &str,
    behind: &str,
    row: impl Fn(u64) -> Result<String> + Sync,
) -> Result<()> {
    let fault = || format!("cannot write {}", file.display());
    let mut out = BufWriter::new(File::create(file).with_context(fault)?);
    out.write_all(before.as_bytes()).with_context(fault)?;
    for first in (1..=rows).step_by(WAVE as usize) {
        let wave: Vec<u64> = (first..=rows.min(first + WAVE - 1)).collect();
        for (number, row) in wave.iter().zip(cores::map(&wave, |number| row(*number))?) {
            out.write_all(row.as_bytes()).with_context(fault)?;
            let next = if *number == rows { behind } else { between };
            out.write_all(next.as_bytes()).with_context(fault)?;
        }
    }
    // On disk, so that the enrolment does not wait for writes of ours.
    out.into_inner().map_err(|e| e.into_error()).and_then(|f| f.sync_all()).with_context(fault)
}

/// The key of a certificate: the only BIT STRING of 66 bytes in it that begins with 4 (RFC 5480
/// §2.2, an uncompressed point).
fn point(certificate: &[u8]) -> Result<Vec<u8>> {
    const BEGINS: [u8; 4] = [0x03, 66, 0, 4];
    let place = certificate.windows(4).position(|bytes| bytes == BEGINS);
    let key = place.and_then(|place| certificate.get(place + 3..place + 68));
    Ok(key.context("the signer's certificate has no key of P-256")?.to_vec())
}

fn lot(number: u64) -> String {
    format!("L{:04}", number / LOT)
}

fn csv_row(device: &SecretKey, serial: &str, order: &Order<'_>) -> Result<String> {
    Ok(format!(
        "{serial},{},{},{},{},{}",
        device.public_key().to_multikey(),
        BASE64URL_NOPAD.encode(&sample::possession(device, order)?.0),
        order.challenge,
        order.lot.unwrap_or_default(),
        order.model.unwrap_or_default(),
    ))
}
