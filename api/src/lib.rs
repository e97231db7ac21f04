//! The HTTP interface in types: what nodes, gateways, importers and consoles say to each other,
//! its limits, and (feature `client`) the client.

mod bounds;
#[cfg(feature = "client")]
mod client;
mod consensus;
mod console;
mod coverage;
mod exposition;
mod governance;
mod invites;
pub mod limits;
mod lots;
mod problem;
mod proxies;
mod resolution;
mod source;
#[cfg(feature = "client")]
mod tls;
mod views;
mod wire;

pub use bounds::{LimitValue, LimitView, LimitsView};
#[cfg(feature = "client")]
pub use client::{Client, ClientError, SignsReads, is_loopback};
pub use consensus::{
    ConsensusRole, ConsensusView, EvidenceView, PeerView, QuorumView, UnderWayView, ValidatorView,
};
pub use console::{
    ActivityPoint, DevicePage, DeviceRow, EffectPlace, EffectView, Event, GatewayCounts, LogPage,
    LogRow, OverviewCounts, StateCounts,
};
pub use coverage::{CoverageView, CoveredView, GatewayView, GatewaysView, ReportView};
pub use exposition::{Exposition, Histogram, Kind, Metric, seconds};
pub use governance::{
    ApprovalView, ApprovedView, EndedView, MatterView, NextProtocolView, ProposalView,
    ProposalsView, ProtocolView, RulesView,
};
pub use invites::{InviteClaim, InviteView};
pub use lots::{
    CounterView, LineNoted, LineRecord, LineRecords, LineResult, LotDeviceView, LotDevicesView,
    LotQuery, LotView, LotsView,
};
pub use problem::Problem;
pub use proxies::TrustedProxies;
pub use resolution::{DocumentMetadata, Resolution, ResolutionError, ResolutionMetadata};
pub use source::source_of;
#[cfg(feature = "client")]
pub use tls::{KeyPin, Reach, http_client};
pub use views::{
    BatchView, ChangeView, DeviceView, GrantView, HoldView, KeyView, NetworkView, OfferView,
    OrganisationView,
};
pub use wire::{Feed, Leaves, Row, RowVerdict, Rows, Sealed, UploadOpened, Verdict, Verdicts};

use muster_identity::Did;
use muster_ledger::{EntryProof, SignedOperation, Time};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A future that can be kept behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whatever takes operations: a node in this process, or one reached by HTTP.
pub trait Submit: Send + Sync {
    /// Submits an operation and waits until a quorum's checkpoint covers it.
    fn submit(&self, operation: SignedOperation) -> BoxFuture<'_, Result<EntryProof, Problem>>;
}

/// Whatever resolves `did:muster`: a node in this process, or one reached by HTTP.
pub trait Resolve: Send + Sync {
    /// Resolves a DID as DID Resolution 1.0 says; failures are part of the answer.
    fn resolve<'a>(&'a self, did: &'a Did) -> BoxFuture<'a, Resolution>;
}

/// What the machine provides and pure code must not reach for: the wall clock and randomness.
/// The binary implements it; tests bring their own.
pub trait Host: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Time;

    /// Time since the machine started, with the time that it was suspended, if it tells: nobody
    /// can set it.
    fn since_start(&self) -> Option<Duration> {
        None
    }

    /// Sixteen bytes from a cryptographic source.
    fn random(&self) -> [u8; 16];
}
