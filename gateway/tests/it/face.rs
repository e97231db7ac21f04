//! The HTTP face: the sidecar's answers and the layer.

use crate::decisions::Site;
use crate::node::eventually;
use axum::body::{Body, to_bytes};
use http::{Request, Response, StatusCode};
use muster_gateway::{MusterLayer, Verified, sidecar};
use muster_ledger::Target;
use std::convert::Infallible;
use tower::{Layer as _, ServiceExt as _};

pub(crate) async fn get(
    site: &Site,
    path: &str,
    headers: &[(&str, &str)],
) -> (Response<()>, String) {
    get_from(site, "127.0.0.1:999", path, headers).await
}

pub(crate) async fn get_from(
    site: &Site,
    peer: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (Response<()>, String) {
    let peer: std::net::SocketAddr = peer.parse().unwrap();
    let mut request = Request::builder().uri(path).extension(axum::extract::ConnectInfo(peer));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let (parts, body) = sidecar(site.gateway.clone()).oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 100_000).await.unwrap();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

pub(crate) fn header<'a>(response: &'a Response<()>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_sidecar_answers_200_401_403() {
    let mut site = Site::new().await;
    let (receipt, token) = (site.receipt(0), site.authorization(0, 1));
    let asked = [("authorization", token.as_str()), ("muster-receipt", receipt.as_str())];
    let (answer, body) = get(&site, "/v1/authenticate", &asked).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "muster-did"), site.devices[0].did.to_string());
    let owner = site.world.genesis.organisation_did().to_string();
    assert_eq!(header(&answer, "muster-owner"), owner);
    assert_eq!(header(&answer, "muster-model"), "Probe 3");
    assert_eq!(header(&answer, "muster-batch").len(), 64);
    assert_eq!(header(&answer, "muster-roll-age"), "9");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["owner"], owner);

    let (answer, body) = get(&site, "/v1/authenticate", &asked).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(header(&answer, "muster-reason"), "replayed");
    let challenge = header(&answer, "www-authenticate");
    assert!(
        challenge.starts_with(r#"Muster error="replayed", error_description=""#),
        "{challenge}"
    );
    assert_eq!(header(&answer, "content-type"), "application/problem+json");
    let problem: muster_api::Problem = serde_json::from_str(&body).unwrap();
    assert_eq!((problem.code(), problem.status), ("replayed", 401));
    assert!(problem.detail.is_some());

    site.world.revoke(Target::Device(site.devices[0].as_ref(Some(&site.parts[0]))));
    site.node.serve(&site.world, site.world.time);
    eventually(&site.gateway, |g| g.status().size == 2).await;
    let token = site.authorization(0, 2);
    let (answer, body) = get(&site, "/v1/authenticate", &[("authorization", &token)]).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(header(&answer, "muster-reason"), "revoked");
    assert_eq!(header(&answer, "www-authenticate"), "");
    assert!(body.contains("urn:muster:problem:revoked"), "{body}");
}

#[tokio::test]
async fn requests_that_carry_nonsense() {
    let site = Site::new().await;
    let token = site.authorization(0, 1);
    let long = format!("Muster {}", "a".repeat(2_000));
    let table: [(&[(&str, &str)], &str); 6] = [
        (&[], "missing"),
        (&[("authorization", "Bearer abc")], "missing"),
        (&[("authorization", "Muster")], "missing"),
        (&[("authorization", "Muster a.b.c")], "malformed"),
        (&[("authorization", &long)], "malformed"),
        (&[("authorization", &token), ("authorization", &token)], "malformed"),
    ];
    for (headers, reason) in table {
        let (answer, _) = get(&site, "/v1/authenticate", headers).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(header(&answer, "muster-reason"), reason);
    }
    let refused = site.gateway.status().refused;
    assert_eq!((refused["missing"], refused["malformed"]), (3, 3));
}

#[tokio::test]
async fn the_proxys_second_question_is_the_same_request() {
    let site = Site::new().await;
    let (receipt, token) = (site.receipt(0), site.authorization(0, 1));
    let asked = |id| {
        [("authorization", token.as_str()), ("muster-receipt", &receipt), ("x-request-id", id)]
    };
    for (id, status) in [("r1", 200), ("r1", 200), ("r2", 401), ("", 401)] {
        let (answer, _) = get(&site, "/v1/authenticate", &asked(id)).await;
        assert_eq!(answer.status(), status, "{id}");
    }
}

#[tokio::test]
async fn the_request_id_of_strangers_is_ignored() {
    let site = Site::new().await;
    let far: std::net::SocketAddr = "192.0.2.7:999".parse().unwrap();
    let (receipt, token) = (site.receipt(0), site.authorization(0, 1));
    for status in [200, 401] {
        let request = Request::builder()
            .uri("/v1/authenticate")
            .extension(axum::extract::ConnectInfo(far))
            .header("authorization", &token)
            .header("muster-receipt", &receipt)
            .header("x-request-id", "r1")
            .body(Body::empty())
            .unwrap();
        let answer = sidecar(site.gateway.clone()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn it_tells_how_it_is() {
    let site = Site::new().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&site, path, &[]).await.0.status(), 200);
    }
    let (_, status) = get(&site, "/v1/status", &[]).await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["size"], 1);
    assert_eq!(status["refused"]["held"], 0);
    assert_eq!(status["nodes"][0]["followed"], true);
    assert_eq!(get(&site, "/metrics", &[]).await.0.status(), 404, "a listener of its own");
    let metrics = site.gateway.metrics();
    for metric in muster_gateway::metrics::METRICS {
        let line = format!("# TYPE {} {}\n", metric.name, metric.kind.word());
        assert!(metrics.contains(&line), "{} is declared and never said", metric.name);
    }
    assert!(metrics.contains("\nmuster_gateway_ready 1\n"), "{metrics}");
    assert!(metrics.contains("muster_gateway_decisions_total{reason=\"revoked\"} 0\n"));
    site.clock.set(site.world.time + 3_600_001);
    assert_eq!(get(&site, "/readyz", &[]).await.0.status(), 503);
    assert_eq!(get(&site, "/nowhere", &[]).await.0.status(), 404);
}

#[tokio::test]
async fn the_layer_hands_over_verified_and_nothing_forged() {
    let site = Site::new().await;
    let inner = tower::service_fn(|request: Request<Body>| async move {
        let did = request.extensions().get::<Verified>().unwrap().did().to_string();
        let ours = request.headers().keys().filter(|name| name.as_str().starts_with("muster-"));
        assert_eq!(ours.count(), 0);
        assert_eq!(request.headers()["accept"], "text/plain");
        Ok::<_, Infallible>(Response::new(Body::from(did)))
    });
    let service = MusterLayer::new(site.gateway.clone()).layer(inner);
    let request = |authorization: &str| {
        Request::builder()
            .header("authorization", authorization)
            .header("muster-receipt", site.receipt(0))
            .header("muster-did", "did:muster:forged")
            .header("x-request-id", "r1")
            .header("accept", "text/plain")
            .body(Body::empty())
            .unwrap()
    };
    let token = site.authorization(0, 1);
    let answer = service.clone().oneshot(request(&token)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = to_bytes(answer.into_body(), 1_000).await.unwrap();
    assert_eq!(body, site.devices[0].did.to_string());
    // By default a client's request id says nothing here.
    let answer = service.oneshot(request(&token)).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["muster-reason"], "replayed");
}

/// A nested router cuts its prefix from the target; classes go by the whole path all the same.
#[tokio::test]
async fn behind_a_nested_router_the_whole_path_counts() {
    let class = muster_verifier::Class {
        paths: vec!["/api/open".into()],
        rules: muster_verifier::Rules { nonce_required: true, ..Default::default() },
        ..Default::default()
    };
    let site = Site::with(|config| config.policy.classes = vec![class]).await;
    let hello = || async { "hello" };
    let inner = axum::Router::new()
        .route("/open", axum::routing::get(hello))
        .route("/other", axum::routing::get(hello))
        .layer(MusterLayer::new(site.gateway.clone()));
    let routes = axum::Router::new().nest("/api", inner);
    for (jti, path, status) in [(1, "/api/other", 200), (2, "/api/open", 401)] {
        let request = Request::builder()
            .uri(path)
            .header("authorization", site.authorization(0, jti))
            .header("muster-receipt", site.receipt(0))
            .body(Body::empty())
            .unwrap();
        let answer = routes.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
    site.gateway.close().await;
}
