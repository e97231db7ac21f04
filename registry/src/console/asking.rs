//! What is asked.

use muster_identity::{Did, PublicKey};
use muster_ledger::{BatchId, Status, Time};

/// A search for devices. What is not set does not narrow it.
///
/// Order: without `text`, by batch, the newest first, and within a batch by DID. With `text`: first
/// those whose serial number begins with it, by serial number; then those of the lot of this name,
/// by batch as above; then those whose DID begins with it, by DID; then those that have, or had, a
/// key that begins with it, by key. Each device once, where it comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceSearch {
    /// Whose serial numbers and lots are shown and searched; nobody's without it.
    pub organisation: Option<Did>,
    /// The beginning of a serial number, of a DID (with or without `did:muster:`) or of a key
    /// (multibase), or a whole lot. Spaces around it do not count.
    pub text: Option<String>,
    /// Of this lot.
    pub lot: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// Of this owner.
    pub owner: Option<Did>,
    /// Of this batch.
    pub batch: Option<BatchId>,
    /// In this standing, the strictest of the device's and its batch's.
    pub state: Option<Status>,
    /// [`DevicePage::next`](muster_api::DevicePage) of the page before.
    pub after: Option<String>,
    /// Rows of a page; 0, and whatever is above
    /// [`SEARCH_PAGE`](muster_api::limits::SEARCH_PAGE), means that.
    pub limit: u64,
}

/// A device or a batch that a change would be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A device.
    Device(Did),
    /// A batch.
    Batch(BatchId),
}

/// All that a search finds, put as few operations as possible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Devices that were found.
    pub count: u64,
    /// Batches that an operation may name as a whole: all their devices were found, but for some
    /// that ended for good one by one.
    pub batches: Vec<BatchId>,
    /// Found devices of other batches.
    pub devices: Vec<Did>,
    /// There are more single devices than
    /// [`SELECTED_DEVICES`](muster_api::limits::SELECTED_DEVICES): the rest is left out.
    pub more: bool,
}

/// Which entries of the log. What is not set does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Signed by this key.
    pub key: Option<PublicKey>,
    /// With this action, by its word ([`muster_ledger::Action::word`]).
    pub action: Option<String>,
    /// About this device, batch, grant or organisation (digest of a DID, or an id).
    pub subject: Option<[u8; 32]>,
    /// Not before this time.
    pub from: Option<Time>,
    /// Before this time.
    pub to: Option<Time>,
}
