//! Bodies of requests: whole and in time, or not at all.

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use muster_api::limits;
use std::time::Duration;
use tokio::time::timeout;

/// Reads a request's body within its bounds before the route sees it: a body that trickles in
/// keeps a connection, but nothing else.
pub(crate) async fn whole_body(bytes: usize, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > bytes as u64 {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let time = Duration::from_secs(limits::BODY_SECONDS);
    match timeout(time, axum::body::to_bytes(body, bytes)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(_)) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
