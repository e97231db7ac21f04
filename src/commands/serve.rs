use super::{Session, stop_signal};
use crate::cli::Serve;
use crate::host::Machine;
use crate::http;
use anyhow::Result;
use muster_registry::{Config, Registry};
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) async fn run(session: &Session, arg: &Serve) -> Result<ExitCode> {
    http::check_listener(arg.listen, arg.without_tls)?;
    let genesis = session.home.genesis()?;
    let network = genesis.network();
    let signer = Arc::new(session.home.key("node/node.pem")?);
    let listener = http::bind(arg.listen, "--listen").await?;
    let address = listener.local_addr()?;
    let dir = session.home.path("node");
    let registry = Registry::open(Config { dir, genesis, signer, host: Arc::new(Machine) }).await?;
    let head = registry.head();
    session.output.result(
        &json!({
            "listening": format!("http://{address}"),
            "network": network.to_string(),
            "size": head.head().size,
        }),
        format!(
            "node of network {network}\nlistening on http://{address}, {} log entries, height {}\n\
             Stop with Ctrl-C.",
            head.head().size,
            head.head().height
        ),
    );
    http::serve(listener, http::routes(registry.clone()), stop_signal()).await?;
    registry.close().await;
    Ok(ExitCode::SUCCESS)
}
