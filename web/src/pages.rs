//! The pages. Each is a module and a template of the same name.

mod approvals;
mod audit;
mod batch;
mod batches;
mod device;
mod devices;
mod gateways;
mod import;
mod ledger;
mod organisation;
mod overview;
mod revoke;

use crate::frame::Frame;
use crate::session::Visitor;
use crate::{Console, Failure, failure};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use muster_api::Problem;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/", get(overview::page))
        .route("/batches", get(batches::page))
        .route("/batches/{id}", get(batch::page))
        .route("/batches/{id}/lots", get(batch::lots))
        .route("/import", get(import::page))
        .route("/import/{id}", get(import::job))
        .route("/devices", get(devices::page))
        .route("/devices/export.csv", get(devices::export::csv))
        .route("/devices/export.json", get(devices::export::json))
        .route("/devices/{did}", get(device::page))
        .route("/approvals", get(approvals::page))
        .route("/audit", get(audit::page))
        .route("/audit/export.csv", get(audit::csv))
        .route("/gateways", get(gateways::page))
        .route("/ledger", get(ledger::page))
        .route("/organisation", get(organisation::page))
        .route("/revoke", get(revoke::page))
        .route("/revoke/{entry}", get(revoke::progress))
        .route("/console/targets", get(revoke::targets))
        .route("/console/effect", post(revoke::listed))
}

/// What is at no path of ours.
pub(crate) async fn nowhere(
    State(console): State<Console>,
    headers: HeaderMap,
    who: Option<Visitor>,
    uri: axum::http::Uri,
) -> Response {
    let page = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    if uri.path().starts_with("/v1/") || !page.is_some_and(|accept| accept.contains("text/html")) {
        return Failure::from(Problem::new(404, "no-such-path", "no such path")).into_response();
    }
    let frame = Frame::new(&console, &headers, "", "Not found", who.as_ref());
    let problem = Problem::new(404, "no-such-path", "There is no such page")
        .cure("The navigation leads to all there are.");
    failure::page(frame, &problem)
}

/// A page, or a page that says what went wrong.
pub(crate) fn shown(
    page: Result<impl askama::Template, Problem>,
    frame: impl FnOnce() -> Frame,
) -> Response {
    match page {
        Ok(page) => failure::rendered(&page),
        Err(problem) => failure::page(frame(), &problem),
    }
}

/// The colour of an action.
pub(crate) fn tag(action: &str) -> &'static str {
    match action {
        "enrol" | "release" => "good",
        "hold" | "propose" => "held",
        "revoke" | "deactivate" | "revoke-key" => "bad",
        _ => "",
    }
}
