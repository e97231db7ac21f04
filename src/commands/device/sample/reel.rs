//! A made-up reel of secure elements: what a chip vendor sends, and what is in the chips.

use crate::cli::DeviceReel;
use crate::commands::Session;
use crate::host::random;
use crate::keys::{self, Sealing};
use anyhow::{Context as _, Result};
use muster_identity::Signer as _;
use muster_provisioning::sample::microchip::{Damage, Shape, Vendor};
use serde_json::json;
use std::fs::{DirBuilder, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::ExitCode;

/// Chips whose keys are written: enough to knock at a gateway with.
const CHIPS: u64 = 10;

pub(super) fn make(session: &Session, arg: &DeviceReel) -> Result<ExitCode> {
    let vendor = Vendor::new(u64::from_le_bytes(random()))?;
    let fault = |path: &Path| format!("cannot write {}", path.display());
    let folder = |path: &Path| DirBuilder::new().mode(0o700).create(path);
    let (signer, chips) = (arg.dir.join("signer"), arg.dir.join("chips"));
    for path in [&arg.dir, &signer, &chips] {
        folder(path).with_context(|| fault(path))?;
    }
    let certificate = signer.join("signer.cer");
    std::fs::write(&certificate, vendor.signer_certificate()?)
        .with_context(|| fault(&certificate))?;

    let shape = Shape { version: 2, slots: 1, x5c: false };
    let damage = |_| arg.keyless.then_some(Damage::NoKeys);
    let manifest = arg.dir.join("manifest.json");
    let mut out = BufWriter::new(File::create_new(&manifest).with_context(|| fault(&manifest))?);
    vendor
        .write_manifest(&mut out, arg.devices, &shape, damage)
        .and_then(|()| out.flush())
        .with_context(|| fault(&manifest))?;

    let keys = arg.dir.join("keys.csv");
    if arg.keyless {
        let mut out = BufWriter::new(File::create_new(&keys).with_context(|| fault(&keys))?);
        writeln!(out, "uniqueId,publicKey")?;
        for row in 0..arg.devices {
            let key = vendor.device_key(row, 0).public_key().to_multikey();
            writeln!(out, "{},{key}", vendor.unique_id(row))?;
        }
        out.flush().with_context(|| fault(&keys))?;
    }
    for row in 0..arg.devices.min(CHIPS) {
        let chip = chips.join(format!("{}.pem", vendor.unique_id(row)));
        keys::write(&chip, &vendor.device_key(row, 0), Sealing::None)?;
    }

    let object = json!({
        "manifest": manifest.display().to_string(),
        "signer": signer.display().to_string(),
        "keys": arg.keyless.then(|| keys.display().to_string()),
        "chips": chips.display().to_string(),
        "devices": arg.devices,
    });
    let mut words = format!(
        "{}  what the vendor sends: {} signed entries\n{}  whose certificate signed them\n",
        manifest.display(),
        arg.devices,
        signer.display()
    );
    if arg.keyless {
        words += &format!("{}  public keys that the line read\n", keys.display());
    }
    words += &format!(
        "{}  what no vendor sends: keys of the first {} chips, to play the devices\n\
         All of it is made up. Never enrol it where it matters.",
        chips.display(),
        arg.devices.min(CHIPS)
    );
    Ok(session.output.result(&object, words))
}
