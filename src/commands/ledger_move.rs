//! `muster ledger export --whole` and `muster ledger import`: a ledger moves between a folder and a
//! database.

use super::Session;
use crate::cli::{LedgerImport, StoreArg};
use crate::host::Machine;
use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64;
use muster_api::Host as _;
use muster_registry::{Moved, StoreUrl};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

/// Where the ledger is. A password in the URL would be read by every user of the machine.
pub(crate) fn store_of(url: &str) -> Result<StoreUrl> {
    let url: StoreUrl = url.parse()?;
    ensure!(
        !url.has_password(),
        "--store has a password in it, which every user of this machine sees: give it by \
         PGPASSWORD, or by a .pgpass file of mode 0600 (PGPASSFILE names it)"
    );
    Ok(url)
}

fn told(moved: &Moved, verb: &str, rest: &str) -> (serde_json::Value, String) {
    let (log_root, state_root) = (BASE64.encode(&moved.log_root), BASE64.encode(&moved.state_root));
    let lost = match moved.lost {
        0 => String::new(),
        lost => format!("the leaves of {lost} batches are not there: they were lost before\n"),
    };
    let words = format!(
        "{verb} {} entries, {} devices\nlog root   {log_root}\nstate root {state_root}\n{lost}{rest}",
        moved.size, moved.devices
    );
    let value = json!({
        "entries": moved.size,
        "devices": moved.devices,
        "log_root": log_root,
        "state_root": state_root,
        "uploads": moved.uploads,
        "lost": moved.lost,
    });
    (value, words)
}

pub(super) async fn export(session: &Session, store: &StoreArg, file: &Path) -> Result<ExitCode> {
    let (genesis, dir) = (session.home.genesis()?, session.home.path("node"));
    let url = store_of(&store.url)?;
    let fault = || format!("cannot write {}", file.display());
    let mut options = File::options();
    let made = options.write(true).create_new(true).mode(0o600).open(file).with_context(fault)?;
    let mut out = BufWriter::new(made);
    let done = muster_registry::export(&dir, &url, &genesis, Machine.now(), &mut out).await;
    let moved = match done {
        Ok(moved) => moved,
        Err(error) => {
            // Half of a ledger is of no use, and as secret as the whole.
            let _ = std::fs::remove_file(file);
            return Err(error.into());
        }
    };
    out.flush().with_context(fault)?;
    out.get_ref().sync_all().with_context(fault)?;
    let uploads = match moved.uploads {
        0 => String::new(),
        n => format!("{n} uploads under way are not in it: their files are enrolled again\n"),
    };
    let rest = format!(
        "{uploads}{} holds serial numbers: keep it as secret as they are.\n\
         From now on run this ledger in one place alone: two nodes that sign it fork it.",
        file.display()
    );
    let (value, words) = told(&moved, "written out:", &rest);
    Ok(session.output.result(&value, words))
}

pub(super) async fn import(session: &Session, arg: &LedgerImport) -> Result<ExitCode> {
    let (genesis, dir) = (session.home.genesis()?, session.home.path("node"));
    let url = store_of(&arg.store.url)?;
    let moved = muster_registry::import(&dir, &url, &genesis, &arg.file).await?;
    let option = match &url {
        StoreUrl::Folder => String::new(),
        url => format!(" --store {url}"),
    };
    let known = dir.join("signed-head").exists();
    let rest = if known {
        format!(
            "Both are those of the file. The folder says what this node signed last; start it: \
             muster serve{option}"
        )
    } else {
        format!(
            "Both are those of the file. It does not say what the node signed last. Stop that node \
             for good, see that no gateway or follower has a newer head, and start this one once \
             with: muster serve{option} --restored {}:{}",
            moved.size,
            BASE64.encode(&moved.log_root)
        )
    };
    let (value, words) = told(&moved, "read in:", &rest);
    Ok(session.output.result(&value, words))
}
