//! Every HTTP request has an id. It stands in the log lines of the request, in the header
//! `X-Request-Id` of its answer, and in the problem that refuses it.

use super::id::{Ids, RequestId};
use super::refusals::{Refusals, WINDOW};
use crate::host::random;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::Response;
use muster_api::{Problem, TrustedProxies};
use muster_gateway::Refused;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use tokio::time::{Instant, interval};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of an id that a proxy gives, as a gateway takes it (`docs/formats/gateway.md`).
const ID_CHARACTERS: usize = 128;
/// Bytes of a problem: a title and a cure.
const PROBLEM_BYTES: usize = 64 << 10;

/// Ids of requests, and the lines about how they were answered.
pub(crate) struct Log {
    ids: Ids,
    believed: TrustedProxies,
    refusals: Refusals,
}

impl Log {
    /// A log whose lines are written from now on. A proxy that is believed may name its requests.
    pub(crate) fn start(believed: TrustedProxies) -> Arc<Self> {
        let refusals = Refusals::default();
        let log = Arc::new(Self { ids: Ids::new(random()), believed, refusals });
        tokio::spawn(account(Arc::downgrade(&log)));
        log
    }
}

/// Tells once a minute what was not told one by one.
async fn account(log: Weak<Log>) {
    let mut minute = interval(WINDOW / 4);
    loop {
        minute.tick().await;
        let Some(log) = log.upgrade() else { return };
        for more in log.refusals.over(Instant::now()) {
            say_more(&more.reason, more.count);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        for more in self.refusals.rest() {
            say_more(&more.reason, more.count);
        }
    }
}

fn say_more(reason: &str, more: u64) {
    tracing::info!(target: "muster::refused", reason, more, "{more} more were like this");
}

/// What a line says of a request. Neither its path nor its query: they name uploads, which are as
/// good as keys, and lots, which are private.
pub(crate) struct Asked {
    pub(crate) id: RequestId,
    pub(crate) method: Method,
    pub(crate) route: Option<MatchedPath>,
    pub(crate) begin: Instant,
    peer: Option<IpAddr>,
}

/// The id that a proxy gave. What is not of plain characters is no id: it goes into headers, lines
/// and a URN.
fn given(request: &Request) -> Option<RequestId> {
    let mut values = request.headers().get_all(&REQUEST_ID).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.as_bytes();
    let plain = |c: &u8| c.is_ascii_alphanumeric() || b"-._~:/+=@,".contains(c);
    (!text.is_empty() && text.len() <= ID_CHARACTERS && text.iter().all(plain))
        .then(|| RequestId::Given(value.clone()))
}

/// Whether an answer is a problem, which says which request it answers.
pub(crate) fn is_problem(answer: &Response) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind == "application/problem+json")
}

/// Adds the id to a problem (RFC 9457 §3.1.5, `instance`), and tells the problem's code.
pub(crate) async fn with_instance(answer: Response, id: RequestId) -> (Response, Option<String>) {
    let (mut parts, body) = answer.into_parts();
    let bytes = to_bytes(body, PROBLEM_BYTES).await.unwrap_or_default();
    let problem = serde_json::from_slice::<Problem>(&bytes).ok();
    let code = problem.map(|problem| problem.code().to_owned());
    let Some(rest) = bytes.strip_prefix(b"{\"") else {
        return (Response::from_parts(parts, Body::from(bytes)), code);
    };
    let begin = format!("{{\"instance\":\"urn:muster:request:{id}\",\"");
    parts.headers.remove(header::CONTENT_LENGTH);
    let whole = [begin.as_bytes(), rest].concat();
    (Response::from_parts(parts, Body::from(whole)), code)
}

impl Log {
    /// A request begins.
    pub(crate) fn asked(&self, request: &Request) -> Asked {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        let trusted = peer.is_some_and(|peer| self.believed.trust(peer));
        Asked {
            id: trusted.then(|| given(request)).flatten().unwrap_or_else(|| self.ids.next()),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            begin: Instant::now(),
            peer: peer.map(|peer| peer.ip().to_canonical()),
        }
    }

    /// It was answered: the answer gets its id, and perhaps there is a line about it. `code` is
    /// that of the problem.
    pub(crate) fn answered(&self, asked: &Asked, answer: &mut Response, code: Option<String>) {
        answer.headers_mut().insert(REQUEST_ID, asked.id.header());
        let status = answer.status();
        let method = asked.method.as_str();
        let route = asked.route.as_ref().map_or("none", MatchedPath::as_str);
        let status_code = status.as_u16();
        if tracing::enabled!(target: "muster::request", tracing::Level::DEBUG) {
            let ms = u64::try_from(asked.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(target: "muster::request", method, route, status = status_code, ms, "answered");
        }
        let refused = answer.extensions().get::<Refused>();
        // That something is not there is an answer.
        let is_refusal = (status.is_client_error() || status.is_server_error())
            && status != StatusCode::NOT_FOUND;
        if refused.is_none() && !is_refusal {
            return;
        }
        let bare = || format!("http-{status_code}");
        let code = refused.map(|refused| refused.code.to_owned()).or(code).unwrap_or_else(bare);
        if !self.refusals.tell(&code, Instant::now()) {
            return;
        }
        let did = refused.and_then(|refused| refused.did).map(|did| did.to_string());
        let peer = asked.peer.map(|peer| peer.to_string());
        let (did, peer) = (did.as_deref(), peer.as_deref());
        if status.is_server_error() {
            tracing::warn!(target: "muster::refused", reason = code, status = status_code, method, route, peer, did, "refused");
        } else {
            tracing::info!(target: "muster::refused", reason = code, status = status_code, method, route, peer, did, "refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Meter;
    use crate::observed::observed;
    use axum::Router;
    use axum::response::IntoResponse as _;
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt as _;

    /// Whose word counts for the id of a request.
    const NOBODY: &str = "";
    const NEAR: &str = "local";

    async fn problem() -> Response {
        let body = serde_json::to_vec(&Problem::new(409, "stale", "too old").cure("again"));
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (StatusCode::CONFLICT, kind, body.expect("it serialises")).into_response()
    }

    async fn ask(believed: &str, peer: [u8; 4], ids: &[&str], path: &str) -> (String, Value) {
        let believed = match believed {
            "" => TrustedProxies::default(),
            proxies => proxies.parse().expect("proxies"),
        };
        let routes = Router::new().route("/ok", get(|| async { "ok" })).route("/no", get(problem));
        let mut request = Request::builder().uri(path);
        for id in ids {
            request = request.header("x-request-id", *id);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 1))));
        let answer =
            observed(routes, Meter::default(), believed).oneshot(request).await.expect("an answer");
        let id = answer.headers()[REQUEST_ID].to_str().expect("plain").to_owned();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (id, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test]
    async fn an_id_is_taken_from_a_trusted_proxy_alone() {
        let (near, far) = ([127, 0, 0, 1], [192, 0, 2, 1]);
        let made = |id: &str| id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit());
        assert_eq!(ask(NEAR, near, &["a-1"], "/ok").await.0, "a-1");
        let long = "a".repeat(ID_CHARACTERS + 1);
        for (believed, peer, ids) in [
            (NOBODY, near, &["a-1"][..]),
            (NEAR, far, &["a-1"]),
            (NEAR, near, &[]),
            (NEAR, near, &["a-1", "a-2"]),
            (NEAR, near, &["a\"b"]),
            (NEAR, near, &["a b"]),
            (NEAR, near, &[""]),
            (NEAR, near, &[&long]),
        ] {
            let (id, _) = ask(believed, peer, ids, "/ok").await;
            assert!(made(&id), "{believed:?} {peer:?} {ids:?}: {id}");
        }
        let (one, _) = ask(NOBODY, near, &[], "/ok").await;
        let (other, _) = ask(NOBODY, near, &[], "/ok").await;
        assert_ne!(one, other);
    }

    #[tokio::test]
    async fn a_problem_says_which_request_it_answers() {
        let (id, problem) = ask(NOBODY, [127, 0, 0, 1], &[], "/no").await;
        assert_eq!(problem["instance"], format!("urn:muster:request:{id}"));
        assert_eq!(problem["type"], "urn:muster:problem:stale");
        assert_eq!(problem["detail"], "again");
        // The client of ours goes on reading it.
        let read: Problem = serde_json::from_value(problem).expect("a problem");
        assert_eq!(read.code(), "stale");
    }
}
