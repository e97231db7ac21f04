//! What a build without feature `node` needs of `http.rs`: the rules that stand before every route,
//! and no route of a node.

#[path = "answers.rs"]
#[allow(dead_code, reason = "more forms are a node's")]
mod answers;
#[path = "face.rs"]
#[allow(dead_code, reason = "who reads what is a node's")]
mod face;
#[path = "origin.rs"]
#[allow(dead_code, reason = "which names are its own is a node's question")]
mod origin;

pub(crate) use answers::Refused;
pub(crate) use face::Face;
pub(crate) use origin::Origin;

use axum::Router;
use axum::middleware::from_fn_with_state;

/// Puts routes behind the rules of a face.
pub(crate) fn guarded(routes: Router, face: Face) -> Router {
    routes.layer(from_fn_with_state(face, face::guard))
}
