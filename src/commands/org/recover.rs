//! `muster org recover`: the way back when the root key is lost, or daily keys are stolen and
//! the root key is not at hand. One operation does it: there is no moment without a root key.

use super::{capabilities, change_keys, organisation};
use crate::cli::OrgRecover;
use crate::commands::Session;
use crate::commands::approve::do_or_propose;
use crate::commands::confirm::confirm;
use crate::signing::Desk;
use anyhow::{Context as _, Result, bail, ensure};
use muster_identity::{PublicKey, Signer};
use muster_ledger::{Capabilities, Capability as C};
use std::process::ExitCode;
use std::sync::Arc;

const ROOT: Capabilities = Capabilities::of(&[C::Root, C::Approve]);
const RECOVERY: Capabilities = Capabilities::of(&[C::Root]);
const ADMIN: Capabilities = Capabilities::of(&[C::Enrol, C::Operate, C::Gateway]);

pub(super) async fn run(session: &Session, arg: OrgRecover) -> Result<ExitCode> {
    let keys = session.home.keys();
    let desk = Desk::with(&session.home, arg.node.client()?, keys.open(&arg.with)?)?;
    let us = organisation(&desk.client, &desk.organisation()).await?;
    let signer = desk.key.public_key();
    let mut keep = vec![signer];
    for text in &arg.keep {
        let key = PublicKey::from_multikey(text).context("--keep")?;
        ensure!(us.keys.iter().any(|k| k.key == *text), "--keep: {text} is not a present key");
        keep.push(key);
    }
    let mut remove = Vec::new();
    let mut found = false;
    for present in &us.keys {
        let key = PublicKey::from_multikey(&present.key).context("the node names a bad key")?;
        let can = capabilities(present.capabilities.iter().map(String::as_str))?;
        found |= key == signer && can.has(C::Root);
        // The node's own key changes with the validators, not here.
        if !keep.contains(&key) && can != Capabilities::of(&[C::Validator]) {
            remove.push(key);
        }
    }
    ensure!(
        found,
        "{} holds {signer}, which is not a present key of {} with the capability root",
        arg.with.text(),
        us.did
    );
    let wanted = [
        (Some(&arg.new_root), ROOT, "root"),
        (arg.new_admin.as_ref(), ADMIN, "admin"),
        (arg.new_recovery.as_ref(), RECOVERY, "recovery"),
    ];
    session.output.say(format!("{}  {}\n", us.did, us.label));
    for key in &us.keys {
        let goes = remove.iter().any(|r| r.to_multikey() == key.key)
            || (arg.new_recovery.is_some() && key.key == signer.to_multikey());
        let fate = if goes { "GOES" } else { "stays" };
        session.output.say(format!("  {fate:5}  {}  {}", key.key, key.capabilities.join(",")));
    }
    for (place, can, _) in &wanted {
        if let Some(place) = place {
            let can = can.words().collect::<Vec<_>>().join(",");
            session.output.say(format!("  comes  {}  {can}", place.text()));
        }
    }
    if !arg.yes {
        let count = remove.len() + usize::from(arg.new_recovery.is_some());
        let would = format!("{count} keys would go for good");
        confirm(session, &would, &format!("Remove {count} keys for good?"), count as u64)?;
    }
    if arg.new_recovery.is_some() {
        remove.push(signer);
    }
    let mut new: Vec<(Arc<dyn Signer>, Capabilities, &str)> = Vec::new();
    for (place, can, name) in wanted {
        let Some(place) = place else { continue };
        let key = keys.open_or_make(place)?;
        if us.keys.iter().any(|k| k.key == key.public_key().to_multikey()) {
            bail!(
                "{} holds a key that the organisation has already: name a new file",
                place.text()
            );
        }
        new.push((key, can, name));
    }
    let add: Vec<(&dyn Signer, Capabilities)> =
        new.iter().map(|(k, can, _)| (&**k, *can)).collect();
    let action = change_keys(&desk, us.seq, &add, remove)?;
    let told: Vec<(&str, String)> =
        new.iter().map(|(key, _, name)| (*name, key.public_key().to_string())).collect();
    let what = "recovered: the old keys sign nothing more";
    do_or_propose(session, &desk, action, what, &told, arg.propose).await
}
