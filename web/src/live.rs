//! News for open pages, as server-sent events: a page that listens shows what is, not what was.

use crate::Console;
use crate::session::Visitor;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Pages that listen at once.
const LISTENERS: usize = 256;

/// The longest silence: a proxy keeps a connection that says something.
const SILENCE: Duration = Duration::from_secs(15);

static ROOM: std::sync::LazyLock<Arc<Semaphore>> =
    std::sync::LazyLock::new(|| Arc::new(Semaphore::new(LISTENERS)));

/// `head` whenever a head was signed.
pub(crate) async fn events(State(console): State<Console>, _who: Visitor) -> Response {
    let Ok(turn) = ROOM.clone().try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let begin = (console, turn, None::<(u64, u64)>);
    let events = stream::unfold(begin, |(console, turn, last)| async move {
        let registry = console.registry();
        if let Some((size, time)) = last {
            // The feed waits for news as followers do; its entries are for them.
            let _ = registry.feed(size, time, SILENCE).await;
        }
        let head = registry.head();
        let head = head.head();
        let now = (head.size, head.time.0);
        let event = Event::default().event("head").data(
            json!({ "size": head.size, "height": head.height, "time": head.time.0 }).to_string(),
        );
        Some((Ok::<_, Infallible>(event), (console, turn, Some(now))))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE)).into_response()
}
