//! Bounds of the gateway, each with its reason.

use std::time::Duration;

/// Devices whose evidence is kept: about 60 MB, and a larger fleet than one gateway serves. The
/// one not asked for longest makes room.
pub const EVIDENCE: usize = 100_000;

/// DIDs remembered as not found. Beyond it the oldest is forgotten, and a node asked again.
pub const NOT_FOUND: usize = 10_000;

/// How long a DID counts as not found: an enrolment reaches every gateway within seconds.
pub const NOT_FOUND_FOR: Duration = Duration::from_secs(3);

/// Questions to nodes at once: strangers must not take the line that the follower needs.
pub const FETCHES: usize = 8;

/// How long a request waits for its turn and its answer from one node.
pub const FETCH_WAIT: Duration = Duration::from_secs(3);

/// Longest `Muster-Receipt` in characters: a device part of a batch of 2^20 devices has at most
/// 900 bytes, 1,200 characters of base64url.
pub const RECEIPT_CHARACTERS: usize = 1_400;

/// Evidence files kept. One is enough to convict; a node that lies all day must not fill a disk.
pub const EVIDENCE_FILES: usize = 64;

/// Shortest and longest pause before the next node is asked after a fault.
pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How much longer than the agreed wait a node may take to answer the feed.
pub const FEED_GRACE: Duration = Duration::from_secs(10);

/// How long a device that a node knows waits for the roll to hold its batch: some round trips
/// of the feed.
pub const CATCH_UP: Duration = Duration::from_secs(1);

/// How far ahead the watermark is written, in seconds: one write to disk in so many seconds; a
/// gateway that was killed refuses presentations made in as many.
pub const WATERMARK_LEAD: u64 = 5;

/// Between two acknowledgements to one node: with it at most two a second, and a burst of
/// operations is acknowledged as one.
pub const ACKNOWLEDGE_GAP: Duration = Duration::from_millis(500);

/// Between two reports: a silent gateway shows within a minute or two, and 3,000 gateways bring a
/// node 100 reports a second.
pub const REPORT_EVERY: Duration = Duration::from_secs(30);

/// How long a node may take to answer an acknowledgement.
pub const ACKNOWLEDGE_WAIT: Duration = Duration::from_secs(10);

/// Shortest and longest pause before a node that took no acknowledgement is told again.
pub const ACKNOWLEDGE_AGAIN: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(10));

/// Devices of which the next reports tell that they were seen: an hour of full reports and some
/// hundred kB. The one seen longest ago makes room.
pub const SEEN: usize = 8_192;
