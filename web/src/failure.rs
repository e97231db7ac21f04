use crate::frame::Frame;
use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use muster_api::Problem;

/// A refusal on its way out, as a script reads it (RFC 9457).
#[derive(Debug)]
pub struct Failure(Problem);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<muster_ledger::Refusal> for Failure {
    fn from(refusal: muster_ledger::Refusal) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).expect("our own types serialise");
        (status(&self.0), [(header::CONTENT_TYPE, "application/problem+json")], body)
            .into_response()
    }
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The same as a page that says what to do.
#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    frame: Frame,
    title: String,
    cure: Option<String>,
    code: String,
}

/// A page that says what went wrong.
pub(crate) fn page(frame: Frame, problem: &Problem) -> Response {
    let (title, cure) = (problem.title.clone(), problem.detail.clone());
    let page = FailurePage { frame, title, cure, code: problem.code().into() };
    (status(problem), rendered(&page)).into_response()
}

/// A page, or the fault of its template.
pub(crate) fn rendered(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!("a page was not written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
