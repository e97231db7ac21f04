//! Gateways: registrations, acknowledgements, and who goes by what.

use super::answers::{Answer, json, private};
use super::node::{Node, batch_id, did, small_body};
use super::reader::Who;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use muster_api::{Problem, limits};
use muster_registry::Covered;
use std::convert::Infallible;
use tower::limit::GlobalConcurrencyLimitLayer;

pub(super) fn routes() -> Router<Node> {
    let few = GlobalConcurrencyLimitLayer::new(limits::GATEWAY_REQUESTS);
    Router::new()
        .route(
            "/v1/gateways",
            get(gateways)
                .layer::<_, Infallible>(few.clone())
                .merge(post(register).layer(from_fn(small_body))),
        )
        .route("/v1/acknowledgements", post(acknowledge).layer(from_fn(small_body)))
        .route("/v1/coverage/{target}", get(coverage).layer::<_, Infallible>(few))
}

fn token(body: &[u8]) -> Result<&str, Problem> {
    str::from_utf8(body).map_err(|_| Problem::new(400, "malformed", "the body is one token"))
}

async fn register(State(node): State<Node>, body: Bytes) -> Answer {
    Ok(json(&node.registry.register_gateway(token(&body)?).await?))
}

async fn acknowledge(State(node): State<Node>, body: Bytes) -> Answer {
    node.registry.acknowledge(token(&body)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn gateways(State(node): State<Node>, Who(reader): Who) -> Answer {
    Ok(private(&node.registry.read_as(reader).gateways()?))
}

async fn coverage(
    State(node): State<Node>,
    Who(reader): Who,
    Path(target): Path<String>,
) -> Answer {
    // A batch id has 64 digits, a place has at most 20.
    let of = if target.starts_with("did:") {
        Covered::Device(did(&target)?)
    } else if let Some(place) = target.parse().ok().filter(|_| target.len() <= 20) {
        Covered::Entry(place)
    } else {
        Covered::Batch(batch_id(&target)?)
    };
    Ok(private(&node.registry.read_as(reader).coverage(of).await?))
}
