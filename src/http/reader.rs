//! Who asks for what belongs to an organisation.

use super::answers::Failure;
use super::face::{Caller, of_another_site};
use super::node::Node;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use muster_api::Problem;
use muster_registry::Reader;

/// Asks for private rows. A page of another site is refused.
pub(super) struct Who(pub(super) Reader);

/// Asks for something that anybody may see, and perhaps more of it. A page of another site is a
/// stranger.
pub(super) struct Anybody(pub(super) Reader);

impl FromRequestParts<Node> for Who {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, node: &Node) -> Result<Self, Failure> {
        match parts.extensions.get::<Caller>() {
            Some(caller) if caller.foreign => Err(of_another_site().into()),
            Some(caller) => Ok(Self(reader(parts, node, caller)?)),
            None => Ok(Self(Reader::Stranger)),
        }
    }
}

impl FromRequestParts<Node> for Anybody {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, node: &Node) -> Result<Self, Failure> {
        match parts.extensions.get::<Caller>() {
            Some(caller) if !caller.foreign => Ok(Self(reader(parts, node, caller)?)),
            _ => Ok(Self(Reader::Stranger)),
        }
    }
}

fn reader(parts: &Parts, node: &Node, caller: &Caller) -> Result<Reader, Problem> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
        return Ok(if caller.near { Reader::Operator } else { Reader::Stranger });
    };
    let malformed = || {
        Problem::new(401, "reader", "the authorization is no signed read")
            .cure("`Authorization: Muster <muster-read+jwt>`, or none")
    };
    let token = value.to_str().ok().and_then(|value| value.strip_prefix("Muster "));
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    node.registry.reader(token.ok_or_else(malformed)?, &caller.names, target)
}
