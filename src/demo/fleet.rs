use crate::commands;
use crate::home::Home;
use crate::host::random;
use anyhow::Result;
use data_encoding::HEXLOWER;
use muster_identity::{Algorithm, Did, Inception, SecretKey, Signer, sha256};
use muster_ledger::Genesis;
use muster_provisioning::sample::{self, Order};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Software devices of a demonstration. Their keys come from one secret in the folder, so that
/// a second run meets the same devices.
pub(crate) struct Fleet {
    secret: Zeroizing<[u8; 32]>,
}

/// The order's challenge in the demonstration's manifests.
const CHALLENGE: &str = "demo-order-1";
/// Devices whose keys are written to files, to be played with.
const KEPT: u64 = 5;

/// A lot of devices with a manifest.
pub(crate) struct Lot {
    /// `SN` or, for the one to be recalled, `RC-<run>`.
    pub(crate) prefix: String,
    pub(crate) model: &'static str,
    pub(crate) devices: u64,
    pub(crate) manifest: PathBuf,
}

impl Fleet {
    pub(crate) fn open(home: &Home) -> Result<Self> {
        let dir = home.path("devices");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let file = dir.join("fleet.key");
        if !file.exists() {
            let secret: Zeroizing<[u8; 32]> = Zeroizing::new(random());
            let text = Zeroizing::new(HEXLOWER.encode(&secret[..]));
            let mut out =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
            out.write_all(text.as_bytes())?;
            out.sync_all()?;
        }
        let text = Zeroizing::new(fs::read_to_string(&file)?);
        let bytes = Zeroizing::new(HEXLOWER.decode(text.trim().as_bytes())?);
        let mut secret = Zeroizing::new([0; 32]);
        anyhow::ensure!(bytes.len() == 32, "{} is damaged", file.display());
        secret.copy_from_slice(&bytes);
        Ok(Self { secret })
    }

    /// The key of a device.
    pub(crate) fn key(&self, serial: &str) -> Result<SecretKey> {
        let seed = Zeroizing::new(sha256(&[&self.secret[..], serial.as_bytes()]));
        Ok(SecretKey::from_bytes(Algorithm::Ed25519, &seed)?)
    }

    /// Writes a lot's manifest, unless it is there from an earlier run.
    pub(crate) fn write(&self, home: &Home, genesis: &Genesis, lot: &Lot) -> Result<bool> {
        if lot.manifest.exists() {
            return Ok(false);
        }
        let mut keys = Vec::new();
        for number in 1..=lot.devices {
            let serial = lot.serial(number);
            let key = self.key(&serial)?;
            if number <= KEPT && lot.prefix == "SN" {
                commands::keep_key(home, &serial, &key)?;
            }
            keys.push((serial, key));
        }
        let (network, manufacturer) = (genesis.network(), genesis.organisation_did());
        let order = Order {
            network: &network,
            manufacturer: &manufacturer,
            challenge: CHALLENGE,
            model: Some(lot.model),
            lot: Some(&lot.prefix),
        };
        commands::write(&lot.manifest, |out| {
            let devices = keys.iter().map(|(serial, key)| (key as &dyn Signer, serial.as_str()));
            sample::write_manifest(out, devices, &order)
        })?;
        Ok(true)
    }
}

impl Lot {
    /// The serial of its n-th device, from 1.
    pub(crate) fn serial(&self, number: u64) -> String {
        format!("{}-{number:06}", self.prefix)
    }
}

/// The DID of a key.
pub(crate) fn did_of(key: &SecretKey) -> Did {
    Did::of(&Inception::from_key(key.public_key()))
}
