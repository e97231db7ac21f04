//! Requests, counted by what was asked and what was answered.

use crate::http::Refused;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use muster_api::{Exposition, Histogram};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

muster_api::metrics! {
    pub(super) table;

    /// Requests by route, method and status.
    REQUESTS: Counter "muster_http_requests_total" ["route", "method", "status"] in "requests";
    /// How long requests took by route, until the answer's head; that of the feed waits for news.
    TOOK: Histogram "muster_http_request_seconds" ["route"] in "seconds";
    /// Refusals by the code of the problem.
    REFUSALS: Counter "muster_http_refusals_total" ["code"] in "requests";
    /// Requests that are being answered.
    RUNNING: Gauge "muster_http_requests_running" [] in "requests";
}

/// Counts requests. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Counts>);

#[derive(Default)]
struct Counts {
    running: AtomicI64,
    kept: Mutex<Kept>,
}

/// Routes, methods, statuses and codes are words of the code, so the maps are small.
#[derive(Default)]
struct Kept {
    requests: BTreeMap<(Arc<str>, &'static str, u16), u64>,
    took: BTreeMap<Arc<str>, Histogram>,
    refusals: BTreeMap<String, u64>,
}

/// A request that is being answered, however it ends.
struct Running(Arc<Counts>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Meter {
    /// A counter is whole after every statement, so a panic elsewhere does not spoil it.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Running {
        self.0.running.fetch_add(1, Relaxed);
        Running(self.0.clone())
    }

    /// All of it as text.
    pub(super) fn text(&self) -> String {
        let (kept, mut text) = (self.kept(), Exposition::default());
        let requests = kept.requests.iter().map(|((route, method, status), n)| {
            ([route.to_string(), (*method).into(), status.to_string()], *n)
        });
        text.many(&REQUESTS, requests);
        text.histograms(&TOOK, kept.took.iter().map(|(route, took)| ([route.to_string()], took)));
        text.many(&REFUSALS, kept.refusals.iter().map(|(code, n)| ([code.clone()], *n)));
        text.one(&RUNNING, self.0.running.load(Relaxed));
        text.finish()
    }
}

/// Counts what these routes answer.
pub(crate) fn metered(routes: Router, meter: Meter) -> Router {
    routes.layer(from_fn_with_state(meter, count))
}

async fn count(State(meter): State<Meter>, request: Request, next: Next) -> Response {
    let route: Arc<str> = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().into(),
        None => "other".into(),
    };
    let method = known(request.method().as_str());
    let (running, started) = (meter.running(), Instant::now());
    let answer = next.run(request).await;
    let took = started.elapsed();
    drop(running);
    let mut kept = meter.kept();
    *kept.requests.entry((route.clone(), method, answer.status().as_u16())).or_default() += 1;
    kept.took.entry(route).or_default().record(took);
    if let Some(Refused(code)) = answer.extensions().get() {
        *kept.refusals.entry(code.clone()).or_default() += 1;
    }
    drop(kept);
    answer
}

/// A method by its name: a client may make up others.
fn known(method: &str) -> &'static str {
    let all = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"];
    all.into_iter().find(|known| *known == method).unwrap_or("other")
}
