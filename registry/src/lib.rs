//! The running ledger: store, consensus, commit, projections, queries.

mod application;
mod audit;
mod backup;
mod changes;
mod claims;
mod consensus;
mod console;
mod counters;
mod coverage;
mod deciding;
mod doubt;
mod error;
mod folder;
mod foreign;
mod governance;
mod limits;
mod lost;
mod lots;
mod mempool;
pub mod metrics;
mod node;
mod overview;
mod pace;
mod proposing;
mod queries;
mod readers;
mod recovery;
mod registry;
mod reserved;
mod resolve;
mod restore;
mod signed_head;
mod snapshots;
mod solo;
mod store;
mod subjects;
mod submitting;
mod succession;
#[cfg(test)]
mod tests;
mod tiles;
mod transfer;
mod upload;

/// Format of the store that this code writes and reads (`docs/formats/store.md`).
pub const STORE_FORMAT: &str = "5";

pub use audit::{AuditReport, Finding, audit, audit_store};
pub use backup::{COPIED, Copied, copy, look};
pub use consensus::{Application, Consensus, Deciding, MayEnrol, Refused, Wanted};
pub use console::{
    BatchPage, BatchRow, BatchSearch, DeviceSearch, Export, LogFilter, Selection, Subject,
    UploadView, Watch,
};
pub use coverage::Covered;
pub use error::Error;
pub use limits::{BUNDLES_TOGETHER, PROMISE_MS as LONGEST_PROMISE_MS};
pub use readers::{Reader, Reading};
pub use registry::{Config, Registry};
pub use restore::{LostBatch, Restored, Restoring};
pub use store::{Act, ServerUrl, StoreUrl};
pub use transfer::{Moved, export, import};
