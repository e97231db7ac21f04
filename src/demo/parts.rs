use crate::commands::{Beginning, Seals};
use crate::consortium::Seen;
use crate::home::Home;
use crate::host::{Machine, new_key};
use crate::keys::Sealing;
use crate::listen::{self, Listener, Place};
use crate::{commands, http};
use anyhow::Result;
use axum::Router;
use axum::routing::get;
use muster_gateway::{AuthenticatedDevice, Gateway, GatewayConfig, MusterLayer, Reporting};
use muster_identity::{Algorithm, SecretKey, Signer as _};
use muster_ledger::{EvidencePolicy, Genesis};
use muster_registry::{Config, Deciding, Registry, StoreUrl};
use muster_web::Console;
use std::sync::Arc;
use tokio::sync::watch;

/// A node, a gateway and an upstream service: the real parts, on loopback ports.
pub(crate) struct Parts {
    pub(crate) genesis: Genesis,
    pub(crate) node: String,
    pub(crate) gateway: String,
    pub(crate) upstream: String,
    /// By which the gateway says what it goes by.
    pub(crate) gateway_key: Arc<SecretKey>,
    running: (Registry, Gateway),
    stop: watch::Sender<bool>,
}

/// The name devices dial in the demonstration.
pub(crate) const AUDIENCE: &str = "telemetry.example";

impl Parts {
    /// Starts them on three ports from `port` on, or on free ones if it is 0.
    pub(crate) async fn start(home: &Home, port: u16) -> Result<Self> {
        let genesis = if home.exists()? { home.genesis()? } else { begin(home)? };
        let listeners = Listeners::bind(port).await?;
        let signer = Arc::new(home.key("node/node.pem")?);
        let registry = Registry::open(Config {
            dir: home.path("node"),
            store: StoreUrl::Folder,
            genesis: genesis.clone(),
            deciding: Deciding::Solo { signer: signer.clone(), succession: None },
            host: Arc::new(Machine),
            restored: None,
            accept_lost_leaves: false,
        })
        .await?;
        let (stop, stopped) = watch::channel(false);
        let address = listeners.node.url()?;
        let origins = http::origins(None, &address);
        let console = Console::open(registry.clone(), Arc::new(Machine), origins).await?;
        let console =
            console.imports_in(home.path("node/imports"), home.node_directory_secret()?)?;
        let seen = Seen::alone(signer.public_key());
        let routes = http::routes(registry.clone(), seen, http::Face::default(), &console);
        let node = spawn(listeners.node, routes, &stopped)?;
        let gateway_key = Arc::new(gateway_key(home)?);
        let mut config = GatewayConfig::new(
            home.path("gateway"),
            genesis.clone(),
            vec![node.clone()],
            AUDIENCE.parse()?,
            Arc::new(Machine),
        );
        config.reporting = Some(Reporting {
            organisation: genesis.organisation_did(),
            signer: gateway_key.clone(),
            last_seen: true,
        });
        let gateway = Gateway::start(config).await?;
        let sidecar = spawn(listeners.gateway, muster_gateway::sidecar(gateway.clone()), &stopped)?;
        let service = Router::new()
            .route("/telemetry", get(telemetry).post(telemetry))
            .layer(MusterLayer::new(gateway.clone()));
        let upstream = spawn(listeners.upstream, service, &stopped)?;
        let (gateway, running) = (sidecar, (registry, gateway));
        Ok(Self { genesis, node, gateway, upstream, gateway_key, running, stop })
    }

    /// Stops them without losing anything.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        let (registry, gateway) = self.running;
        gateway.close().await;
        registry.close().await;
    }
}

/// A service that knows who calls: the layer in front hands it the verified device.
async fn telemetry(device: AuthenticatedDevice) -> String {
    format!("hello {} ({})\n", device.did(), device.model())
}

/// The gateway's key: made by the first run.
fn gateway_key(home: &Home) -> Result<SecretKey> {
    const FILE: &str = "keys/gateway.pem";
    if !home.path(FILE).exists() {
        home.write_key(FILE, &new_key(Algorithm::Ed25519), Sealing::None)?;
    }
    home.key(FILE)
}

fn begin(home: &Home) -> Result<Genesis> {
    commands::begin(
        home,
        Beginning {
            label: "Demo Devices".into(),
            devices: 10_000_000,
            models: Vec::new(),
            days: 3_650,
            evidence: EvidencePolicy::Enroller,
        },
        Seals::NONE,
    )
}

struct Listeners {
    node: Listener,
    gateway: Listener,
    upstream: Listener,
}

impl Listeners {
    async fn bind(port: u16) -> Result<Self> {
        let at = |offset: u16| {
            let port = if port == 0 { 0 } else { port.saturating_add(offset) };
            Place::loopback(port)
        };
        Ok(Self {
            node: at(0).bind("--port").await?,
            gateway: at(1).bind("--port").await?,
            upstream: at(2).bind("--port").await?,
        })
    }
}

fn spawn(listener: Listener, routes: Router, stopped: &watch::Receiver<bool>) -> Result<String> {
    let address = listener.url()?;
    let mut stopped = stopped.clone();
    tokio::spawn(async move {
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        if let Err(e) = listen::serve(listener, routes, stop).await {
            tracing::error!("{e:#}");
        }
    });
    Ok(address)
}
