//! What holds for every answer of the console: who may ask (Host, Origin, CSRF), and what a page
//! may do in a browser.

use crate::{Console, Failure};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use muster_api::Problem;

/// Scripts, styles and pictures are our own files; nothing is inline, nothing is fetched from
/// elsewhere, no page is framed, and no text becomes markup (Trusted Types).
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; manifest-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// The origins under which the console is reached. A browser keeps keys by origin, and a page of
/// another site must not reach a console under a name of its own (DNS rebinding).
#[derive(Debug, Clone)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Such as `https://muster.example` or `http://127.0.0.1:7700`, without a path.
    pub fn new(origins: impl IntoIterator<Item = String>) -> Self {
        Self(origins.into_iter().map(|o| o.trim_end_matches('/').to_ascii_lowercase()).collect())
    }

    /// The origin that a request came to, by its Host header (RFC 9110 §7.2).
    fn of(&self, headers: &HeaderMap) -> Option<&str> {
        let host = headers.get(header::HOST)?.to_str().ok()?.to_ascii_lowercase();
        let authority = |origin: &str| origin.split_once("://").map(|(_, rest)| rest.to_owned());
        self.0.iter().map(String::as_str).find(|o| authority(o).as_deref() == Some(host.as_str()))
    }

    /// Whether an origin is one of them.
    pub(crate) fn has(&self, origin: &str) -> bool {
        self.0.iter().any(|o| o == origin)
    }

    /// The first, for links.
    pub(crate) fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether they are reached by TLS.
    pub(crate) fn secure(&self) -> bool {
        self.first().starts_with("https://")
    }
}

/// Lets a request through that came to one of our names and, if it changes anything, from one of
/// our own pages; gives every answer its headers.
pub(crate) async fn guard(
    State(console): State<Console>,
    request: Request,
    next: Next,
) -> Response {
    let mut answer = match check(&console, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => Failure::from(problem).into_response(),
    };
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

fn check(console: &Console, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let Some(own) = console.origins().of(headers) else {
        let title = "this console is not reached under that name";
        return Err(Problem::new(421, "host", title).cure(format!(
            "open {}, or start the node with --public-url",
            console.origins().first()
        )));
    };
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    // Fetch and forms of every browser say where a POST comes from (Fetch §3.1).
    let origin = headers.get(header::ORIGIN).and_then(|v| v.to_str().ok());
    if origin != Some(own) {
        let title = "the request does not come from a page of this console";
        return Err(Problem::new(403, "origin", title).cure("reload the page, and try again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_came_to_one_of_our_names_or_to_none() {
        let origins = Origins::new(["https://Muster.example/".into(), "http://[::1]:7700".into()]);
        let of = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("a host"));
            origins.of(&headers).map(str::to_owned)
        };
        assert_eq!(of("muster.example").as_deref(), Some("https://muster.example"));
        assert_eq!(of("MUSTER.example").as_deref(), Some("https://muster.example"));
        assert_eq!(of("[::1]:7700").as_deref(), Some("http://[::1]:7700"));
        for host in ["evil.example", "muster.example:444", "muster.example.evil.example", ""] {
            assert_eq!(of(host), None, "{host}");
        }
        assert_eq!(origins.of(&HeaderMap::new()), None);
    }
}
