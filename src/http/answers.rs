//! Answers in the few forms that routes give.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::Problem;
use muster_identity::cbor::Encode;
use serde::Serialize;

/// A refusal on its way out.
pub(super) struct Failure(pub(super) Problem);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = typed(status, "application/problem+json", json_bytes(&self.0));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2: the answer says by which scheme one may ask.
            let scheme = HeaderValue::from_static("Muster");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        answer.extensions_mut().insert(Refused(self.0.code().into()));
        answer
    }
}

/// The code of the problem that an answer is.
#[derive(Debug, Clone)]
pub(crate) struct Refused(pub(crate) String);

pub(super) type Answer = Result<Response, Failure>;

pub(super) fn typed(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

pub(super) fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types have string keys and serialise")
}

pub(super) fn json(value: &impl Serialize) -> Response {
    typed(StatusCode::OK, "application/json", json_bytes(value))
}

/// What only its reader may see: no cache keeps it.
pub(super) fn private(value: &impl Serialize) -> Response {
    let mut answer = json(value);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn cbor(value: &impl Encode) -> Response {
    typed(StatusCode::OK, "application/cbor", value.to_cbor())
}

pub(super) fn not_found(what: &str) -> Failure {
    Failure(Problem::new(404, "not-found", format!("{what} is not on this ledger")))
}
