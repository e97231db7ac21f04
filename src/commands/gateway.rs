use super::{Session, stop_signal};
use crate::cli;
use crate::home::read_genesis;
use crate::host::Machine;
use crate::listen;
use anyhow::{Context as _, Result};
use muster_gateway::{Gateway, GatewayConfig, PinnedHead};
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) async fn run(session: &Session, arg: cli::Gateway) -> Result<ExitCode> {
    listen::check_listener(arg.listen, arg.without_tls)?;
    let genesis = match &arg.genesis {
        Some(file) => read_genesis(file)?,
        None => session.home.genesis()?,
    };
    let network = genesis.network();
    let listener = listen::bind(arg.listen, "--listen").await?;
    let address = listener.local_addr()?;
    let mut config = GatewayConfig::new(
        arg.dir.unwrap_or_else(|| session.home.path("gateway")),
        genesis,
        arg.node.clone(),
        arg.audience.parse().context("--audience")?,
        Arc::new(Machine),
    );
    config.max_roll_age_ms = arg.max_age.saturating_mul(1_000);
    config.trust_request_id = arg.trust_request_id;
    config.without_tls = arg.without_tls;
    config.pinned = arg.trust.as_deref().map(pinned).transpose().context("--trust")?;
    let gateway = Gateway::start(config).await?;
    session.output.result(
        &json!({
            "listening": format!("http://{address}"),
            "network": network.to_string(),
            "audience": arg.audience,
            "nodes": arg.node,
        }),
        format!(
            "gateway for audience {:?} on network {network}\n\
             following {}\nlistening on http://{address}/v1/authenticate\nStop with Ctrl-C.",
            arg.audience,
            arg.node.join(", ")
        ),
    );
    listen::serve(listener, muster_gateway::sidecar(gateway.clone()), stop_signal()).await?;
    gateway.close().await;
    Ok(ExitCode::SUCCESS)
}

/// `SIZE:ROOT`, as `muster ledger status` prints size and log root.
fn pinned(text: &str) -> Result<PinnedHead> {
    let (size, root) = text.split_once(':').context("expected SIZE:ROOT")?;
    let root = data_encoding::BASE64.decode(root.as_bytes()).context("the log root is base64")?;
    let log_root = root.try_into().map_err(|_| anyhow::anyhow!("the log root has 32 bytes"))?;
    Ok(PinnedHead { size: size.parse().context("the size is a number")?, log_root })
}
