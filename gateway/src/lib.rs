//! Muster in front of a service: a follower that recomputes the ledger, a cache of evidence,
//! and the decision, offered as a call ([`Gateway::authenticate`]), as a tower layer
//! ([`MusterLayer`]) and as an HTTP sidecar ([`sidecar`]).
//!
//! What is absent: a call out per request (only the first sight of a device may ask a node), a
//! database, and a leaf tree. Whatever the nodes say is checked; see `docs/formats/gateway.md`.

mod book;
mod candidate;
mod config;
mod error;
mod evidence;
mod fault;
mod folder;
mod follower;
mod gateway;
mod headers;
mod kept;
mod layer;
pub mod limits;
mod metrics;
mod opening;
mod request;
mod roll;
mod sidecar;
mod status;
mod threads;
mod watermark;

pub use config::{GatewayConfig, PinnedHead};
pub use error::Error;
pub use gateway::Gateway;
pub use layer::{MusterLayer, MusterService};
pub use muster_verifier::{Reason, Rejected, Verified};
pub use request::AuthRequest;
pub use roll::Roll;
pub use sidecar::sidecar;
pub use status::{GatewayStatus, NodeStatus};
