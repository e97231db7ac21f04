//! An axum service that knows which device calls: no proxy, no sidecar, the gateway inside.
//!
//! In a service of your own, `Cargo.toml` needs `axum`, `tokio`, `getrandom`, `muster-api`,
//! `muster-gateway` and `muster-ledger`. Here:
//!
//! ```text
//! cargo run --example axum -- muster-data/genesis.cbor http://127.0.0.1:7700
//! ```

use axum::Router;
use axum::routing::{get, post};
use muster_api::Host;
use muster_gateway::{AuthenticatedDevice, Gateway, GatewayConfig, MusterLayer};
use muster_identity::cbor::Decode as _;
use muster_ledger::{Genesis, Time};
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The name that the devices were told to dial.
const AUDIENCE: &str = "telemetry.example";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(genesis), Some(node)) = (arguments.next(), arguments.next()) else {
        return Err("usage: axum GENESIS NODE".into());
    };
    let gateway = start(Path::new(&genesis), node, Path::new("gateway")).await?;
    // Without TLS, so on this machine alone.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}/telemetry", listener.local_addr()?);
    // The layer takes the address of the peer from here.
    let service = routes(gateway).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).await?)
}

/// Follows the ledger, in a folder of its own.
pub(crate) async fn start(
    genesis: &Path,
    node: String,
    dir: &Path,
) -> Result<Gateway, Box<dyn Error>> {
    let genesis = Genesis::from_cbor(&std::fs::read(genesis)?)?;
    let config = GatewayConfig::new(dir, genesis, vec![node], AUDIENCE.parse()?, Arc::new(Machine));
    Ok(Gateway::start(config).await?)
}

/// What stands before the layer is for devices, what comes after it for everybody.
pub(crate) fn routes(gateway: Gateway) -> Router {
    Router::new()
        .route("/telemetry", post(telemetry))
        .layer(MusterLayer::new(gateway))
        .route("/healthz", get(|| async { "ok\n" }))
}

/// Runs for a verified device only; without the layer it would answer 500.
async fn telemetry(device: AuthenticatedDevice, reading: String) -> String {
    format!("{} of {}: {reading}\n", device.model(), device.did())
}

/// The clock and the random source that the gateway decides with.
struct Machine;

impl Host for Machine {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Time(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the machine has a source of randomness");
        bytes
    }
}
