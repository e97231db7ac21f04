//! Makes manifests, for tests, demonstrations and lines that have no tool of their own.

pub mod der;
pub mod microchip;

use data_encoding::BASE64URL_NOPAD;
use muster_identity::{Did, Inception, PossessionTerms, Recovery, Signature, Signer, SignerError};
use muster_ledger::Network;
use serde::Serialize;
use std::io::{self, Write};

/// The order that a run of devices is made for.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The network.
    pub network: &'a Network,
    /// The manufacturer's DID.
    pub manufacturer: &'a Did,
    /// The order's challenge, at most 32 bytes.
    pub challenge: &'a str,
    /// Written into every row, if given.
    pub model: Option<&'a str>,
    /// Written into every row, if given.
    pub lot: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SampleRow<'a> {
    serial: &'a str,
    public_key: String,
    possession: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    challenge: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lot: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
}

/// The possession signature that a device makes for the order.
pub fn possession(device: &dyn Signer, order: &Order<'_>) -> Result<Signature, SignerError> {
    declaring(device, order, None)
}

/// The same of a device that declares who may recover it.
fn declaring(
    device: &dyn Signer,
    order: &Order<'_>,
    recovery: Option<Recovery>,
) -> Result<Signature, SignerError> {
    let terms = PossessionTerms {
        network: &order.network.0,
        manufacturer: order.manufacturer,
        challenge: order.challenge.as_bytes(),
        owner_recovery: recovery == Some(Recovery::Owner),
    };
    // The owner's stands in the leaf, and leaves the DID that of the bare key.
    let recovery = recovery.filter(|recovery| matches!(recovery, Recovery::Key(_)));
    let inception = Inception { recovery, ..Inception::from_key(device.public_key()) };
    terms.sign(&Did::of(&inception), device)
}

/// The row of one device as JSON, without a line end. The device signs its possession.
pub fn row(device: &dyn Signer, serial: &str, order: &Order<'_>) -> Result<String, SignerError> {
    row_declaring(device, serial, order, None)
}

/// The same of a device that declares who may recover it.
pub fn row_declaring(
    device: &dyn Signer,
    serial: &str,
    order: &Order<'_>,
    recovery: Option<Recovery>,
) -> Result<String, SignerError> {
    let row = SampleRow {
        serial,
        public_key: device.public_key().to_multikey(),
        possession: BASE64URL_NOPAD.encode(&declaring(device, order, recovery)?.0),
        challenge: order.challenge,
        recovery: recovery.map(|recovery| recovery.to_string()),
        lot: order.lot,
        model: order.model,
    };
    serde_json::to_string(&row).map_err(|e| SignerError(e.to_string()))
}

/// Writes the manifest (JSON lines) of a run of devices.
pub fn write_manifest<'a>(
    to: &mut dyn Write,
    devices: impl IntoIterator<Item = (&'a dyn Signer, &'a str)>,
    order: &Order<'_>,
) -> io::Result<()> {
    for (device, serial) in devices {
        let row = row(device, serial, order).map_err(io::Error::other)?;
        writeln!(to, "{row}")?;
    }
    Ok(())
}
