use super::ledger_move::store_of;
use super::{Session, outlive_limits, stop_signal};
use crate::begun;
use crate::cli::Serve;
use crate::consortium;
use crate::host::Machine;
use crate::http::{self, Face, Origin};
use crate::listen::{self, Own, Tls};
use crate::metrics::{self, Meter, OwnMetrics, Told};
use crate::notify;
use crate::observed::observed;
use anyhow::{Context as _, Result, ensure};
use muster_api::limits;
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
    // From now on: a ledger takes its time to be opened, and who stops the node meanwhile is heard.
    let mut stop = Box::pin(stop_signal());
    let hosts = arg.public_url.iter().map(Origin::host).chain(arg.listen.host());
    let own = Own::new(session.home.path("node/tls"), hosts.chain(arg.tls.names()));
    if arg.tls.tls_self_signed && own.is_without_key() && begun::has_ledger(&session.home) {
        tracing::warn!(
            "node/tls/key.pem is not there, though the node is not new: another key is made, and \
             whoever pinned the old one (--node-pin) has to be given the new one. If it was lost, \
             put it back and start again"
        );
    }
    let tls = Tls::read(&arg.tls, own)?;
    arg.listen.check(tls.is_some(), arg.without_tls)?;
    arg.metrics.check(tls.is_some(), arg.without_tls)?;
    if arg.consortium.is_on() {
        consortium::built()?;
        consortium::check_peers(&arg.consortium)?;
        ensure!(
            arg.succeed.is_none(),
            "--succeed is for a node that decides alone; among several, `muster org validators` \
             changes them"
        );
    }
    let genesis = session.home.genesis()?;
    let network = genesis.network();
    for key in ["keys/root.pem", "keys/recovery.pem", "keys/node-copy.pem"] {
        if session.home.path(key).exists() {
            tracing::warn!("{key} lies beside the node: move it to a place that is not online");
        }
    }
    let signer = Arc::new(session.home.key("node/node.pem")?);
    let listener = arg.listen.bind("--listen").await?.with_tls(tls.clone());
    let address = listener.url()?;
    let metrics =
        metrics::bind(&arg.metrics.place(), limits::NODE_METRICS_PORT, tls.as_ref()).await?;
    let metrics_at = metrics.url()?;
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
    let store = store_of(&arg.store.url)?;
    let (deciding, seen) =
        consortium::deciding(&session.home, &arg.consortium, signer, succession)?;
    let config = Config { dir, store, genesis, deciding, host, restored, accept_lost_leaves };
    // Whoever names the newest head says that there is a ledger, wherever it is kept.
    if !arg.begin && restored.is_none() {
        begun::check(&session.home)?;
    }
    let registry = tokio::select! {
        opened = Registry::open(config) => opened?,
        // As after a crash, which a node is made for: nothing was begun that must be ended.
        () = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    begun::note(&session.home)?;
    // A node that joined has none until it heard of the others.
    let head = registry.head().ok();
    let head = head.as_ref().map(|head| head.head());
    let peer = consortium::told(&session.home, &arg.consortium)?;
    let pin = tls.as_ref().and_then(Tls::pin).map(|pin| pin.to_string());
    let pin_words = pin.as_ref().map(|pin| format!("key of the certificate: --node-pin {pin}\n"));
    let origins = http::origins(arg.public_url.as_ref(), &address);
    let console = Console::open(registry.clone(), Arc::new(Machine), origins)
        .await?
        .of(session.home.organisation()?)
        .imports_in(session.home.path("node/imports"), session.home.node_directory_secret()?)
        .context("imports at the console")?;
    let peer_words =
        peer.as_ref().map(|peer| format!("exchange {peer}, engine at the next port\n"));
    session.output.result(
        &json!({
            "listening": address,
            "network": network.to_string(),
            "size": head.map_or(0, |head| head.size),
            "metrics": metrics_at,
            "pin": pin,
            "peer": peer,
        }),
        format!(
            "node of network {network}\nlistening on {address}, {}\n{}\
             Stop with Ctrl-C.",
            match head {
                Some(head) => format!("{} log entries, height {}", head.size, head.height),
                None => "no signed head yet: it asks the other nodes".into(),
            },
            [metrics_at.map(|url| format!("metrics on {url}\n")), pin_words, peer_words]
                .into_iter()
                .flatten()
                .collect::<String>(),
        ),
    );
    let face = Face::new(arg.public_url.clone(), arg.proxies.trusted(), &arg.listen);
    let meter = Meter::default();
    let own: OwnMetrics = Arc::new({
        let (registry, seen) = (registry.clone(), seen.clone());
        move || {
            let (registry, seen) = (registry.clone(), seen.clone());
            Box::pin(async move {
                let mut text = registry.metrics().await;
                if let Ok(view) = seen.view(&registry).await {
                    text.push_str(&metrics::of_consensus(&view));
                }
                text
            })
        }
    });
    let told = Told { meter: meter.clone(), dir: session.home.path("node"), tls };
    let metrics = metrics.serve(own, told, face.clone());
    let routes = http::routes(registry.clone(), seen, face, &console);
    notify::ready();
    listen::serve(listener, observed(routes, meter, arg.proxies.trusted()), stop).await?;
    metrics.end().await;
    registry.close().await;
    Ok(ExitCode::SUCCESS)
}
