use crate::Gateway;
use crate::headers::{self, Sender};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{Response, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::get;
use muster_api::Problem;
use std::net::SocketAddr;

/// The routes of a gateway that stands beside a service, for the sub-request of a proxy (nginx
/// `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth`).
pub fn sidecar(gateway: Gateway) -> Router {
    let of_the_operator = Router::new().route("/v1/status", get(status)).layer(from_fn(near));
    Router::new()
        .route("/v1/nonce", get(nonce))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(of_the_operator)
        .merge(crate::relay::routes())
        .fallback(|| async { problem(&Problem::new(404, "no-such-path", "no such path")) })
        // Nothing here reads a body.
        .layer(DefaultBodyLimit::max(0))
        // Nor is one taken here; and every layer costs each question.
        .route("/v1/authenticate", get(authenticate).post(authenticate))
        .with_state(gateway)
}

/// Lets only peers on this machine through: where devices come directly, what is the operator's is
/// not theirs to read.
async fn near(request: Request, next: Next) -> Response<Body> {
    if is_near(&request) == Some(false) {
        let words = "only peers on this machine are told";
        return problem(
            &Problem::new(403, "not-this-machine", words).cure("ask from there, or by a proxy"),
        );
    }
    next.run(request).await
}

/// Whether a request comes from this machine, if the listener tells.
pub(crate) fn is_near(request: &Request) -> Option<bool> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.0.ip().to_canonical().is_loopback())
}

async fn authenticate(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    let (head, _) = request.into_parts();
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let request = head.headers;
    let trusted = peer.is_some_and(|peer| gateway.trusts(peer));
    let peer = peer.map(|peer| peer.ip());
    let from = if trusted { Sender::Proxy(peer) } else { Sender::Peer(peer) };
    let answer = match headers::read(&request, from) {
        Ok(request) => gateway.authenticate(request).await,
        Err(rejected) => gateway.refuse(rejected),
    };
    match answer {
        Ok(verified) => {
            let mut answer = headers::accepted(&verified);
            headers::extras(&request, &gateway, &verified).put(answer.headers_mut());
            answer
        }
        Err(rejected) => headers::rejected(&rejected, &gateway),
    }
    .map(Body::from)
}

/// A nonce, for a device that knows that it needs one.
async fn nonce(State(gateway): State<Gateway>) -> impl IntoResponse {
    let seconds = muster_verifier::limits::NONCE_LIFETIME_MS / 1_000;
    let body = serde_json::json!({ "nonce": gateway.nonce(), "seconds": seconds });
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(body))
}

async fn status(State(gateway): State<Gateway>) -> impl IntoResponse {
    axum::Json(gateway.status())
}

async fn ready(State(gateway): State<Gateway>) -> Response<Body> {
    if gateway.ready() {
        return "ready\n".into_response();
    }
    let words = "the roll is missing or too old to decide by";
    problem(&Problem::new(503, "not-ready", words).cure("connect the gateway to a node"))
}

pub(crate) fn problem(problem: &Problem) -> Response<Body> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).expect("a problem has string keys and serialises");
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}
