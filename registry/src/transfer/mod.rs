//! A ledger with its private directory moves from one store to another: written out as lines, and
//! read back by the code that commits a ledger. The signing state stays where it is.

mod export;
mod format;
mod import;
mod limits;

pub use export::export;
pub use import::import;

/// A ledger that was written out or read in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Log entries.
    pub size: u64,
    /// Devices whose leaves were moved.
    pub devices: u64,
    /// Root of the log.
    pub log_root: [u8; 32],
    /// Root of the state.
    pub state_root: [u8; 32],
    /// Uploads under way, which are not moved.
    pub uploads: u64,
    /// Batches whose leaves are not there.
    pub lost: u64,
}
