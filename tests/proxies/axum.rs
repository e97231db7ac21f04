//! An axum service with the layer and the extractor: the sample, called by curl.

use crate::client::curl;
use crate::proxy::free_address;
use crate::site::Site;
use ::axum::Router;
use ::axum::routing::get;
use muster_gateway::AuthenticatedDevice;
use std::net::SocketAddr;

#[path = "../../docs/samples/axum/main.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod sample;

/// Serves routes on a free port for as long as the runtime lives.
fn serve(runtime: &tokio::runtime::Runtime, routes: Router) -> String {
    let address = free_address();
    let listener = runtime.block_on(tokio::net::TcpListener::bind(&address)).expect("bound");
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    runtime.spawn(async move { ::axum::serve(listener, service).await });
    format!("http://{address}")
}

#[test]
fn the_sample_knows_who_calls() {
    let site = Site::new();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let dir = site.muster.path("axum");
    let genesis = site.muster.home().join("genesis.cbor");
    let gateway = runtime.block_on(sample::start(&genesis, site.node.url.clone(), &dir));
    let gateway = gateway.expect("it starts");
    let service = serve(&runtime, sample::routes(gateway.clone()));
    let url = format!("{service}/telemetry");

    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let send =
        || curl(&["-H", &site.present("good"), "-H", "Muster-Did: forged", "-d", "7 bar", &url]);
    let mut answer = send();
    while answer.status != 200 && std::time::Instant::now() < until {
        answer = send();
    }
    assert_eq!(answer.body, format!("pump of {}: 7 bar\n", site.did("good")), "{answer:?}");

    let nothing = curl(&["-d", "7 bar", &url]);
    assert_eq!((nothing.status, &*nothing.headers("muster-reason")), (401, &["missing"][..]));
    site.revoke("good");
    while answer.status != 403 && std::time::Instant::now() < until {
        answer = send();
    }
    assert_eq!((answer.status, &*answer.headers("muster-reason")), (403, &["revoked"][..]));
    assert_eq!(curl(&[&format!("{service}/healthz")]).body, "ok\n");
    runtime.block_on(gateway.close());
}

#[test]
fn a_route_without_the_layer_fails_and_lets_nobody_in() {
    async fn handler(device: AuthenticatedDevice) -> String {
        device.did().to_string()
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let service = serve(&runtime, Router::new().route("/", get(handler)));
    let answer = curl(&["-H", "Muster-Did: forged", &service]);
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("MusterLayer"), "{answer:?}");
}
