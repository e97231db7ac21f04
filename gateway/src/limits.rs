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

/// Entries of a node's log from which on a follower that has nothing asks for a snapshot: fewer are
/// followed within a second or so, and then nothing needs to be taken on anybody's word.
pub const SNAPSHOT_FROM: u64 = 4_096;

/// How often the snapshot of one node is fetched: once more after a line that broke or a snapshot
/// that was false; then its operations are followed.
pub const SNAPSHOT_TRIES: u32 = 2;

/// How long a snapshot may take to arrive: 4.5 MB over a line of 128 kbit/s.
pub const SNAPSHOT_WAIT: Duration = Duration::from_secs(300);

/// A follower writes its own snapshot anew after so many entries: a start applies them in some
/// tenths of a second.
pub const SNAPSHOT_EVERY: u64 = 4_096;

/// But not before one entry for so many records of the state has come: a row has about 40 bytes, so
/// each entry costs the disk at most 5 kB more, on a roll of any size; a start then applies 8,000
/// entries for a million records.
pub const SNAPSHOT_SHARE: u64 = 128;

/// How much longer than the agreed wait a node may take to answer the feed.
pub const FEED_GRACE: Duration = Duration::from_secs(10);

/// How long a device that a node knows waits for the roll to hold its batch: some round trips
/// of the feed.
pub const CATCH_UP: Duration = Duration::from_secs(1);

/// How far ahead the watermark is written, in seconds: one write to disk in so many seconds; a
/// gateway that was killed refuses presentations made in as many.
pub const WATERMARK_LEAD: u64 = 5;
