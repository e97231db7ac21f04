//! The HTTP face of node and gateway: names, pages of other sites, who reads; and a node's routes.

mod answers;
#[cfg(feature = "node")]
mod bounds;
#[cfg(feature = "node")]
mod consensus;
mod face;
#[cfg(feature = "node")]
mod gateways;
#[cfg(feature = "node")]
mod node;
mod origin;
#[cfg(feature = "node")]
mod reader;

pub(crate) use answers::Refused;
pub(crate) use face::Face;
#[cfg(feature = "node")]
pub(crate) use node::{origins, routes};
pub(crate) use origin::Origin;

use axum::Router;
use axum::middleware::from_fn_with_state;

/// Puts routes behind the rules of a face: whatever is served beside the node's routes is merged
/// with them first.
pub(crate) fn guarded(routes: Router, face: Face) -> Router {
    routes.layer(from_fn_with_state(face, face::guard))
}
