//! `muster device new|reel`: devices to try things out, and what a manifest says of them.

mod reel;

use crate::cli::{DeviceNew, SampleCommand};
use crate::commands::Session;
use crate::home::{Home, read_genesis};
use crate::host::new_key;
use crate::keys::{self, Sealing};
use anyhow::{Context as _, Result, ensure};
use muster_identity::{PossessionTerms, SecretKey};
use muster_provisioning::sample::{self, Order};
use std::process::ExitCode;

pub(in crate::commands) fn run(session: &Session, command: &SampleCommand) -> Result<ExitCode> {
    match command {
        SampleCommand::New(arg) => new(session, arg),
        SampleCommand::Reel(arg) => reel::make(session, arg),
    }
}

/// Makes a key and prints the device's row for a manifest: always JSON, one line, so that
/// `muster device new ... >> manifest.jsonl` builds a manifest.
fn new(session: &Session, arg: &DeviceNew) -> Result<ExitCode> {
    let (network, manufacturer) = match &arg.genesis {
        Some(file) => {
            let genesis = read_genesis(file)?;
            (genesis.network(), genesis.organisation_did())
        }
        None => (session.home.genesis()?.network(), session.home.organisation()?),
    };
    let max = PossessionTerms::MAX_CHALLENGE;
    ensure!(arg.challenge.len() <= max, "--challenge has more than {max} bytes");
    let serial = match &arg.serial {
        Some(serial) => serial.clone(),
        None => arg
            .key
            .file_stem()
            .and_then(|stem| stem.to_str())
            .context("--serial is needed: the key's file name is not text")?
            .to_owned(),
    };
    let recovery = super::declared(arg.recovery.as_deref())?;
    let key = new_key(arg.algorithm.into());
    // A device opens its key alone, without anybody who could type.
    keys::write(&arg.key, &key, Sealing::None)?;
    let order = Order {
        network: &network,
        manufacturer: &manufacturer,
        challenge: &arg.challenge,
        model: arg.model.as_deref(),
        lot: None,
    };
    println!("{}", sample::row_declaring(&key, &serial, &order, recovery)?);
    Ok(ExitCode::SUCCESS)
}

/// The first devices of a demonstration keep their keys in files, to be played with.
pub(crate) fn keep(home: &Home, serial: &str, key: &SecretKey) -> Result<()> {
    let file = home.path(&format!("devices/{serial}.pem"));
    if file.exists() { Ok(()) } else { keys::write(&file, key, Sealing::None) }
}
