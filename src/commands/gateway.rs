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
    config.pinned = arg.trust.map(|head| PinnedHead { size: head.size, log_root: head.log_root });
    config.from_genesis = arg.from_genesis;
    let gateway = Gateway::start(config).await?;
    let stop = stop_signal();
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
    listen::serve(listener, muster_gateway::sidecar(gateway.clone()), stop).await?;
    gateway.close().await;
    Ok(ExitCode::SUCCESS)
}
