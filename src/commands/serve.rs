use super::{Session, outlive_limits, stop_signal};
use crate::begun;
use crate::cli::Serve;
use crate::host::Machine;
use crate::http;
use crate::listen::{self, Tls};
use anyhow::{Context as _, Result};
use muster_ledger::SignedOperation;
use muster_registry::{Config, Registry};
use muster_web::Console;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) async fn run(session: &Session, arg: &Serve) -> Result<ExitCode> {
    outlive_limits();
    let tls = Tls::read(&arg.tls)?;
    arg.listen.check(tls.is_some(), arg.without_tls)?;
    let genesis = session.home.genesis()?;
    let network = genesis.network();
    for key in ["keys/root.pem", "keys/recovery.pem", "keys/node-copy.pem"] {
        if session.home.path(key).exists() {
            tracing::warn!("{key} lies beside the node: move it to a place that is not online");
        }
    }
    let signer = Arc::new(session.home.key("node/node.pem")?);
    let listener = arg.listen.bind("--listen").await?.with_tls(tls);
    let address = listener.url()?;
    let dir = session.home.path("node");
    let restored = arg.restored.map(|head| (head.size, head.log_root));
    let read = |file: &PathBuf| {
        fs::read(file)
            .map(SignedOperation)
            .with_context(|| format!("cannot read {}", file.display()))
    };
    let succession = arg.succeed.as_ref().map(read).transpose()?;
    let accept_lost_leaves = arg.accept_lost_leaves;
    let host = Arc::new(Machine);
    let config = Config { dir, genesis, signer, host, restored, succession, accept_lost_leaves };
    if !arg.begin {
        begun::check(&session.home)?;
    }
    let registry = Registry::open(config).await?;
    begun::note(&session.home)?;
    let head = registry.head();
    let stop = stop_signal();
    session.output.result(
        &json!({
            "listening": address,
            "network": network.to_string(),
            "size": head.head().size,
        }),
        format!(
            "node of network {network}\nlistening on {address}, {} log entries, height {}\n\
             Stop with Ctrl-C.",
            head.head().size,
            head.head().height
        ),
    );
    let console =
        Console::open(registry.clone(), Arc::new(Machine), http::origins(&address)).await?;
    let console = console
        .imports_in(session.home.path("node/imports"), session.home.node_directory_secret()?)
        .context("imports at the console")?;
    listen::serve(listener, http::routes(registry.clone(), Some(&console)), stop).await?;
    registry.close().await;
    Ok(ExitCode::SUCCESS)
}
