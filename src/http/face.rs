//! By which names a node is reached, and by whom: the rules that stand before every route
//! (`docs/formats/http.md`).

use super::answers::Failure;
use super::origin::Origin;
use crate::listen::{Connection, Place};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use muster_api::{Problem, TrustedProxies};
use muster_gateway::forwarded_source;
use std::net::IpAddr;
use std::sync::Arc;

/// What a proxy adds to a request that it passes on. A request with any of them comes from
/// somewhere else, whatever the peer's address.
const FORWARDED: [HeaderName; 8] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-real-ip"),
];

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How a server is reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Face(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    public: Option<Origin>,
    proxies: TrustedProxies,
    /// A proxy on this machine stands before it, so peers on this machine are anybody.
    fronted: bool,
}

impl Face {
    /// Of a server that listens there.
    pub(crate) fn new(public: Option<Origin>, proxies: TrustedProxies, place: &Place) -> Self {
        let fronted = place.is_near() && public.as_ref().is_some_and(|url| !url.is_loopback());
        Self(Arc::new(Inner { public, proxies, fronted }))
    }

    /// What it calls itself.
    pub(crate) fn public(&self) -> Option<&Origin> {
        self.0.public.as_ref()
    }

    /// Whether a guarded request comes from another site's page.
    pub(crate) fn is_foreign(request: &Request) -> bool {
        request.extensions().get::<Caller>().is_none_or(|caller| caller.foreign)
    }

    /// Judges a request by where it went and where it came from.
    fn caller(&self, request: &Request, connection: &Connection) -> Result<Caller, Problem> {
        let headers = request.headers();
        let scheme = if connection.secret { "https" } else { "http" };
        let host = match (one(headers, &header::HOST)?, request.uri().authority()) {
            (_, Some(authority)) => {
                Origin::of_host(scheme, authority.as_str()).ok_or_else(no_host)?.into()
            }
            (Some(host), None) => Some(Origin::of_host(scheme, host).ok_or_else(no_host)?),
            // No browser leaves it out.
            (None, None) => None,
        };
        let public = self.public();
        if let Some(host) = &host {
            let ours = public.is_some_and(|own| own.authority() == host.authority());
            // Over TLS the certificate has said the name, if no option does.
            let vouched = connection.secret && public.is_none();
            if !ours && !vouched && !host.is_address() {
                return Err(Problem::new(421, "host", "this node has another name")
                    .cure("reach it by its address, or start it with --public-url"));
            }
        }
        let own = |origin: &str| {
            let same = |own: &Origin| own.as_str() == origin;
            public.is_some_and(same) || host.as_ref().is_some_and(same)
        };
        let foreign = match one(headers, &header::ORIGIN)? {
            Some(origin) => !own(origin),
            None => false,
        } || match one(headers, &FETCH_SITE)? {
            Some(site) => !matches!(site, "same-origin" | "none"),
            None => false,
        };
        let forwarded = FORWARDED.iter().any(|name| headers.contains_key(name));
        let peer = connection.peer;
        let near = peer.ip().to_canonical().is_loopback() && !forwarded && !self.0.fronted;
        let source = match self.0.proxies.trust(peer) {
            true => forwarded_source(headers, Some(peer.ip())),
            false => Some(peer.ip()),
        };
        Ok(Caller { near, foreign, source, names: self.names(connection, scheme) })
    }

    /// What a signed read may call this node: the public name, or the very address to which the
    /// connection was made. The `Host` alone would be the word of whoever passes a question on.
    fn names(&self, connection: &Connection, scheme: &str) -> Vec<String> {
        let mut names: Vec<String> = self.public().map(ToString::to_string).into_iter().collect();
        if let Some(local) = connection.local {
            let mut hosts = vec![local.to_string()];
            if local.ip().is_loopback() {
                hosts.push(format!("localhost:{}", local.port()));
            }
            let origins = hosts.iter().filter_map(|host| Origin::of_host(scheme, host));
            names.extend(origins.map(|origin| origin.to_string()));
        }
        names
    }
}

/// Who asks, as far as the connection and the headers tell.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// A peer on this machine that passes nothing on.
    pub(super) near: bool,
    /// A browser that shows another site's page.
    pub(super) foreign: bool,
    /// The address it comes from, behind proxies that are believed.
    pub(super) source: Option<IpAddr>,
    /// What a signed read may call this node.
    pub(super) names: Vec<String>,
}

/// A header that stands at most once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let twice = || Problem::new(400, "header", format!("{name}: expected once, and as text"));
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| twice()),
        (Some(_), Some(_)) => Err(twice()),
    }
}

fn no_host() -> Problem {
    Problem::new(400, "header", "host: expected a name or address, and a port")
}

/// A browser that acts for another site's page.
pub(super) fn of_another_site() -> Problem {
    Problem::new(403, "origin", "asked by a page of another site").cure(
        "open the node's own address; if that is what you did, start the node with --public-url",
    )
}

/// Stands before every route of a node, and of whatever else it serves: refuses other hosts' names,
/// and changes that pages of other sites ask for. Leaves a [`Caller`] for the routes behind it.
pub(crate) async fn guard(State(face): State<Face>, mut request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Connection>().copied().unwrap_or_default();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let judged =
        face.caller(&request, &connection).and_then(|caller| match changes && caller.foreign {
            true => Err(of_another_site()),
            false => Ok(caller),
        });
    match judged {
        Ok(caller) => {
            let source = caller.source;
            request.extensions_mut().insert(caller);
            let answer = next.run(request).await;
            if matches!(answer.status().as_u16(), 401 | 403) {
                tracing::debug!(?source, status = answer.status().as_u16(), "refused");
            }
            answer
        }
        Err(problem) => {
            tracing::debug!(peer = %connection.peer, %problem, "refused");
            Failure(problem).into_response()
        }
    }
}

#[cfg(test)]
#[path = "face/tests.rs"]
mod tests;
