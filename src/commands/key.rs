//! `muster key`: private keys, before they are anybody's.

use super::Session;
use crate::cli::{Key, KeyFile, KeyNew, KeyShow};
use crate::keys::{self, KeyPlace, Sealing};
use anyhow::{Context as _, Result, bail};
use muster_identity::Signer as _;
use serde_json::json;
use std::process::ExitCode;

pub(super) fn run(session: &Session, command: Key) -> Result<ExitCode> {
    match command {
        Key::New(arg) => new(session, &arg),
        Key::Show(arg) => show(session, &arg),
        Key::Seal(arg) => seal(session, &arg),
        Key::Unseal(arg) => unseal(session, &arg),
    }
}

fn new(session: &Session, arg: &KeyNew) -> Result<ExitCode> {
    let keys = session.home.keys();
    let passphrase = match &arg.key {
        KeyPlace::File(file) if !arg.unsealed => {
            keys.passphrases().to_seal(&file.display().to_string())?
        }
        _ => None,
    };
    let sealing = passphrase.as_ref().map_or(Sealing::None, Sealing::By);
    keys.make(&arg.key, arg.algorithm.into(), sealing)?;
    say(session, &arg.key)
}

fn show(session: &Session, arg: &KeyShow) -> Result<ExitCode> {
    say(session, &arg.key)
}

fn say(session: &Session, place: &KeyPlace) -> Result<ExitCode> {
    let key = session.home.keys().open(place)?.public_key();
    let (kept, sealed) = match place {
        KeyPlace::Token(_) => ("in a token", None),
        KeyPlace::File(file) if keys::is_sealed(file)? => ("sealed by a passphrase", Some(true)),
        KeyPlace::File(_) => ("UNSEALED: whoever reads the file has the key", Some(false)),
    };
    let algorithm = format!("{:?}", key.algorithm()).to_lowercase();
    let object = json!({ "key": key.to_multikey(), "algorithm": algorithm, "sealed": sealed });
    let words = format!("{}\n{algorithm}, {kept}: {}", key.to_multikey(), place.text());
    Ok(session.output.result(&object, words))
}

fn seal(session: &Session, arg: &KeyFile) -> Result<ExitCode> {
    let name = arg.file.display();
    if keys::is_sealed(&arg.file)? {
        bail!("{name} is sealed already; to change its passphrase, `muster key unseal` it first");
    }
    let keys = session.home.keys();
    let key = keys.read(&arg.file)?;
    let passphrase = keys.passphrases().to_seal(&name.to_string())?.context(
        "a passphrase is needed: give it by --passphrase-file FILE, --passphrase-fd N or \
         MUSTER_PASSPHRASE, or run this on a terminal",
    )?;
    keys::rewrite(&arg.file, &key, Sealing::By(&passphrase))?;
    let object = json!({ "key": key.public_key().to_multikey(), "sealed": true });
    Ok(session.output.result(
        &object,
        format!(
            "{name} is sealed. A disk may keep what stood there before: a key that lay unsealed \
             on a disk you do not trust is better replaced (`muster org key rotate`)."
        ),
    ))
}

fn unseal(session: &Session, arg: &KeyFile) -> Result<ExitCode> {
    let name = arg.file.display();
    if !keys::is_sealed(&arg.file)? {
        bail!("{name} is not sealed");
    }
    let key = session.home.keys().read(&arg.file)?;
    keys::rewrite(&arg.file, &key, Sealing::None)?;
    let object = json!({ "key": key.public_key().to_multikey(), "sealed": false });
    let words = format!("{name} is UNSEALED: whoever reads the file has the key");
    Ok(session.output.result(&object, words))
}
