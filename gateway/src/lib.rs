//! Muster in front of a service: a follower that recomputes the ledger, a cache of evidence,
//! and the decision, offered as a call ([`Gateway::authenticate`]), as a tower layer
//! ([`MusterLayer`]) and as an HTTP sidecar ([`sidecar`]).
//!
//! What is absent: a call out per request (only the first sight of a device may ask a node), a
//! database, and a leaf tree. Whatever the nodes say is checked; see `docs/formats/gateway.md`.

mod book;
mod budget;
mod candidate;
mod clock;
mod config;
mod decide;
mod devices;
mod error;
mod evidence;
mod extract;
mod fault;
mod folder;
mod follower;
mod format;
mod gateway;
mod headers;
mod kept;
mod layer;
pub mod limits;
pub mod metrics;
mod mqtt;
mod mqtt_hook;
mod opening;
mod original;
mod policy_file;
mod preload;
mod relay;
mod report;
mod request;
mod roll;
mod sessions;
mod sidecar;
mod status;
mod threads;
mod topics;
mod watermark;

pub use config::{GatewayConfig, PinnedHead};
pub use error::Error;
pub use extract::{AuthenticatedDevice, NoLayer};
pub use gateway::Gateway;
pub use headers::Refused;
pub use layer::{MusterLayer, MusterService};
pub use mqtt::{BrokerDoor, ClientIds, Cut, Refusal};
pub use mqtt_hook::mqtt_hook;
pub use muster_verifier::{Reason, Rejected, Verified};
pub use original::source as forwarded_source;
pub use policy_file::{PolicyFault, Span, read_policy};
pub use preload::Preloaded;
pub use report::{AcknowledgedStatus, Reporting};
pub use request::AuthRequest;
pub use roll::Roll;
pub use sessions::Session;
pub use sidecar::sidecar;
pub use status::{GatewayStatus, NodeStatus, UpgradeStatus};
pub use topics::{Access, Names, TopicRules};
