//! What a server of ours tells Prometheus, on a listener of its own: what the crates below count,
//! how it answers (`http`), and how its process does (`process`). `docs/metrics.md` is made from the
//! tables.

mod certificate;
#[cfg(feature = "node")]
mod consensus;
mod http;
mod process;

#[cfg(feature = "node")]
pub(crate) use consensus::text as of_consensus;
pub(crate) use http::{Meter, Running};

use crate::cli::MetricsPlace;
use crate::http::{Face, guarded};
use crate::listen::{self, Listener, Place, Tls};
use anyhow::Result;
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use muster_api::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whatever has metrics of its own.
pub(crate) type OwnMetrics = Arc<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// What is told besides a server's own metrics.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) meter: Meter,
    /// The folder whose disk matters.
    pub(crate) dir: PathBuf,
    pub(crate) tls: Option<Tls>,
}

/// A listener for metrics, bound, and not serving yet.
pub(crate) struct Bound(Option<Listener>);

/// Binds the listener. The place that nobody named may be taken by another server on this machine:
/// then there are no metrics, and a warning.
pub(crate) async fn bind(place: &MetricsPlace, port: u16, tls: Option<&Tls>) -> Result<Bound> {
    let place = match place {
        MetricsPlace::Off => return Ok(Bound(None)),
        MetricsPlace::At(place) => place,
        MetricsPlace::Usual => {
            let usual = Place::loopback(port);
            return match usual.bind("--metrics").await {
                Ok(listener) => Ok(Bound(Some(listener))),
                Err(error) => {
                    tracing::warn!("no metrics are served: {error:#}");
                    Ok(Bound(None))
                }
            };
        }
    };
    let tls = tls.filter(|_| !place.is_near()).cloned();
    Ok(Bound(Some(place.bind("--metrics").await?.with_tls(tls))))
}

impl Bound {
    /// Its address for Prometheus.
    pub(crate) fn url(&self) -> Result<Option<String>> {
        self.0.as_ref().map(|listener| Ok(format!("{}/metrics", listener.url()?))).transpose()
    }

    /// Serves until the sender goes.
    pub(crate) fn serve(self, own: OwnMetrics, told: Told, face: Face) -> Serving {
        let (stop, mut stopped) = watch::channel(());
        let task = self.0.map(|listener| {
            let routes = guarded(routes(own, told), face);
            tokio::spawn(async move {
                let stop = async move {
                    let _ = stopped.changed().await;
                };
                if let Err(error) = listen::serve(listener, routes, stop).await {
                    tracing::error!("metrics: {error:#}");
                }
            })
        });
        Serving { stop, task }
    }
}

/// Metrics that are served.
pub(crate) struct Serving {
    stop: watch::Sender<()>,
    task: Option<JoinHandle<()>>,
}

impl Serving {
    /// Serves no further.
    pub(crate) async fn end(self) {
        drop(self.stop);
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }
}

fn routes(own: OwnMetrics, told: Told) -> Router {
    let metrics = get(async move |request: Request| {
        if Face::is_foreign(&request) {
            return StatusCode::FORBIDDEN.into_response();
        }
        let mut text = own().await;
        text.push_str(&told.meter.text());
        text.push_str(&process::text(&told.dir, told.tls.as_ref()));
        with_type(text)
    });
    Router::new().route("/metrics", metrics)
}

fn with_type(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[cfg(all(test, feature = "node"))]
mod tests;
