//! Whether a ledger was ever begun in a home folder. A folder whose files were lost looks like a
//! new one; a ledger begun anew in it would be signed below what the network has.

use crate::home::Home;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::io::ErrorKind;

/// Lies in the node's folder from `muster init` to the first head.
const NEW: &str = "node/new";

/// What a node keeps once it has begun.
const KEPT: [&str; 2] = ["node/ledger.db", "node/signed-head"];

/// Notes that no ledger was begun yet.
pub(crate) fn mark_new(home: &Home) -> Result<()> {
    let path = home.path(NEW);
    let words =
        "No ledger was begun in this folder yet; the first `muster serve` removes this file.\n";
    fs::write(&path, words).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether a ledger lies there.
pub(crate) fn has_ledger(home: &Home) -> bool {
    KEPT.iter().any(|name| fs::metadata(home.path(name)).is_ok_and(|found| found.len() > 0))
}

/// Refuses a folder in which there was a ledger and is none.
pub(crate) fn check(home: &Home) -> Result<()> {
    if home.path(NEW).exists() || has_ledger(home) {
        return Ok(());
    }
    bail!(
        "{} holds no ledger, and it is not the folder of a new network: if its files were lost, put a \
         backup back (`muster restore`); if no node of this network ever ran, say --begin",
        home.path("node").display()
    )
}

/// From now on there is a ledger to lose.
pub(crate) fn note(home: &Home) -> Result<()> {
    let path = home.path(NEW);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
