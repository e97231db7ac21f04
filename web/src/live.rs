//! News for open pages, as server-sent events: a page that listens shows what is, not what was.

use crate::Console;
use crate::session::Visitor;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use muster_api::Event;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Pages that listen at once.
const LISTENERS: usize = 256;

/// The longest silence: a proxy keeps a connection that says something.
const SILENCE: Duration = Duration::from_secs(15);

static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LISTENERS)));

/// What the registry tells, of this visitor's organisation or of all. Each listener holds its own
/// place; a slow one is told that it missed some.
pub(crate) async fn events(State(console): State<Console>, who: Visitor) -> Response {
    let Ok(turn) = ROOM.clone().try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let watch = console.registry().watch();
    let head = match console.registry().head() {
        Ok(head) => *head.head(),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    // A page hears at once that it is heard.
    let first = Event::Head { size: head.size, height: head.height, time: head.time.0 };
    let ours = who.session.organisation.to_string();
    let first = stream::iter(sent(&first, &ours));
    let told = stream::unfold((watch, turn), move |(mut watch, turn)| {
        let (console, who, ours) = (console.clone(), who.clone(), ours.clone());
        async move {
            loop {
                let event = timeout(SILENCE, watch.next()).await;
                // Who is signed out, or whose access ended, hears no more.
                if !console.still(&who).await {
                    return None;
                }
                let Ok(event) = event else { continue };
                if let Some(told) = sent(&event?, &ours) {
                    return Some((told, (watch, turn)));
                }
            }
        }
    });
    let told = first.chain(told).map(Ok::<_, Infallible>);
    Sse::new(told).keep_alive(KeepAlive::new().interval(SILENCE)).into_response()
}

/// An event for a page; none if it is private to another organisation.
fn sent(event: &Event, ours: &str) -> Option<Sent> {
    let (kind, of) = match event {
        Event::Head { .. } => ("head", None),
        Event::Enrolled { .. } => ("batch", None),
        Event::Upload { organisation, .. } => ("progress", Some(organisation)),
        Event::Coverage { organisation, .. } => ("coverage", Some(organisation)),
        Event::Gateway { organisation, .. } => ("gateway", Some(organisation)),
        Event::People { organisation } => ("people", Some(organisation)),
        Event::Missed { .. } => ("missed", None),
    };
    if of.is_some_and(|of| of != ours) {
        return None;
    }
    Some(Sent::default().event(kind).data(serde_json::to_string(event).ok()?))
}
