mod preload;

use super::{Session, outlive_limits, stop_signal};
use crate::cli::{self, GatewayCommand, GatewayFolder, GatewayRun};
use crate::home::read_genesis;
use crate::host::Machine;
use crate::http::Face;
use crate::listen::{self, Own, Tls};
use crate::metrics::{self, Meter, OwnMetrics, Told};
use crate::notify;
use crate::observed::observed;
use anyhow::{Context as _, Result, ensure};
use muster_gateway::{
    BrokerDoor, ClientIds, Gateway, GatewayConfig, PinnedHead, Reporting, TopicRules, read_policy,
};
use muster_identity::Audience;
use muster_verifier::Policy;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) async fn run(session: &Session, arg: cli::Gateway) -> Result<ExitCode> {
    match arg.command {
        Some(GatewayCommand::Preload(arg)) => preload::run(session, arg).await,
        None => serve(session, arg.run).await,
    }
}

/// The configuration of a gateway on this folder.
fn config(session: &Session, folder: GatewayFolder, audience: Audience) -> Result<GatewayConfig> {
    let genesis = match &folder.genesis {
        Some(file) => read_genesis(file)?,
        None => session.home.genesis()?,
    };
    let dir = folder.dir.unwrap_or_else(|| session.home.path("gateway"));
    let mut config = GatewayConfig::new(dir, genesis, folder.node, audience, Arc::new(Machine));
    config.reach = folder.ca.reach(folder.without_tls)?;
    let head = folder.trust.map(|head| PinnedHead { size: head.size, log_root: head.log_root });
    config.pinned = head;
    config.from_genesis = folder.from_genesis;
    Ok(config)
}

async fn serve(session: &Session, arg: GatewayRun) -> Result<ExitCode> {
    outlive_limits();
    let mut stop = Box::pin(stop_signal());
    let dir = arg.folder.dir.clone().unwrap_or_else(|| session.home.path("gateway"));
    ensure!(
        !arg.tls.tls_self_signed || !arg.tls.tls_name.is_empty() || !arg.listen.is_everywhere(),
        "{} stands for every address of this machine, so the certificate would name none that \
         devices use: name them with --tls-name NAME, or listen on one address",
        arg.listen
    );
    let hosts = arg.listen.host().into_iter().chain(arg.tls.names());
    let tls = Tls::read(&arg.tls, Own::new(dir.join("tls"), hosts))?;
    let pin = tls.as_ref().and_then(Tls::pin).map(|pin| pin.to_string());
    let pin_words = pin.as_ref().map(|pin| format!("key of the certificate: {pin}\n"));
    arg.listen.check(tls.is_some(), arg.folder.without_tls)?;
    arg.metrics.check(tls.is_some(), arg.folder.without_tls)?;
    let rules = arg.topics.as_deref().map(read_rules).transpose()?;
    let audience = arg.audience.context("--audience is missing")?;
    let own = match arg.folder.genesis {
        Some(_) => None,
        None => Some(session.home.organisation()?),
    };
    let mut config = config(session, arg.folder, audience.parse().context("--audience")?)?;
    let network = config.genesis.network();
    config.policy.rules.max_roll_age_ms = arg.max_age.ms;
    if let Some(file) = &arg.policy {
        read_policy_file(file, &mut config.policy)?;
    }
    config.session_ms = arg.sessions.map_or(0, |span| span.ms);
    config.source_rate = arg.source_rate;
    config.learn = arg.learn;
    config.look_ups = !arg.no_look_ups;
    config.trust_proxy = arg.proxies.trusted();
    let mut key = None;
    if let Some(place) = arg.key.clone() {
        let organisation = match &arg.operator {
            Some(did) => did.parse().context("--operator")?,
            None => own.unwrap_or_else(|| config.genesis.organisation_did()),
        };
        let signer = session.home.keys().open_or_make(&place.into())?;
        key = Some(signer.public_key().to_multikey());
        let last_seen = arg.report_devices;
        config.reporting = Some(Reporting { organisation, signer, last_seen });
    }
    let nodes = config.nodes.clone();
    let listener = arg.listen.bind("--listen").await?.with_tls(tls.clone());
    let address = listener.url()?;
    let port = muster_api::limits::GATEWAY_METRICS_PORT;
    let metrics = metrics::bind(&arg.metrics.place(), port, tls.as_ref()).await?;
    let metrics_at = metrics.url()?;
    let dir = config.dir.clone();
    let gateway = tokio::select! {
        started = Gateway::start(config) => started?,
        () = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    session.output.result(
        &json!({
            "listening": address,
            "network": network.to_string(),
            "audience": audience,
            "nodes": nodes,
            "key": key,
            "metrics": metrics_at,
            "pin": pin,
        }),
        format!(
            "gateway for audience {audience:?} on network {network}\n\
             following {}{}\nlistening on {address}, path /v1/authenticate\n{}Stop with Ctrl-C.",
            nodes.join(", "),
            key.map_or(String::new(), |key| format!("\nacknowledging with key {key}")),
            [metrics_at.map(|url| format!("metrics on {url}\n")), pin_words]
                .into_iter()
                .flatten()
                .collect::<String>(),
        ),
    );
    let mut routes = muster_gateway::sidecar(gateway.clone());
    if let Some(rules) = rules {
        let ids = if arg.any_client_id { ClientIds::Any } else { ClientIds::Own };
        let door = BrokerDoor::new(gateway.clone(), rules, ids);
        routes = routes.merge(muster_gateway::mqtt_hook(door));
    }
    let meter = Meter::default();
    let own: OwnMetrics = Arc::new({
        let gateway = gateway.clone();
        move || {
            let text = gateway.metrics();
            Box::pin(async move { text })
        }
    });
    let told = Told { meter: meter.clone(), dir, tls };
    let metrics = metrics.serve(own, told, Face::default());
    notify::ready();
    listen::serve(listener, observed(routes, meter, arg.proxies.trusted()), stop).await?;
    metrics.end().await;
    gateway.close().await;
    Ok(ExitCode::SUCCESS)
}

/// A policy, in a file of its own or in `[gateway.policy]` of a file of settings.
pub(super) fn read_policy_file(file: &Path, policy: &mut Policy) -> Result<()> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    read_policy(&text, policy).with_context(|| file.display().to_string())
}

pub(super) fn read_rules(file: &Path) -> Result<TopicRules> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    TopicRules::parse(&text).with_context(|| name.to_string())
}
