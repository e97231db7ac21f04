//! How the node decides, and with whom.

use super::answers::{Answer, json};
use super::node::Node;
use axum::Router;
use axum::extract::State;
use axum::routing::get;

pub(super) fn routes() -> Router<Node> {
    Router::new().route("/v1/consensus", get(consensus))
}

async fn consensus(State(node): State<Node>) -> Answer {
    Ok(json(&node.seen.view(&node.registry).await?))
}
