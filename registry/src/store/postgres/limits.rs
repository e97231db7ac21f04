//! Bounds of the connections to a database server.

use std::time::Duration;

/// Connections that read: as many as SQLite has.
pub(super) const READERS: u32 = 4;

/// Statements that a connection keeps prepared: more than this folder has.
pub(super) const STATEMENTS: usize = 200;

/// How long a connection may take: a server in another building answers in a fraction of it.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// How long a reader waits for a connection: longer than four readings before it take.
pub(super) const READER: Duration = Duration::from_secs(10);

/// How long a write waits for its turn: longer than any transaction takes, shorter than
/// a client waits for its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a commit may take before it counts as lost and is looked up: a write to disk that takes
/// longer is a server that hangs.
pub(super) const COMMIT: Duration = Duration::from_secs(60);

/// A database is held by the node before this one until the server notices its end: three seconds
/// of attempts, since a node that is stopped says so.
pub(super) const LOCK_ATTEMPTS: u32 = 30;

/// Between two of them.
pub(super) const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Between attempts to reach a server that went away, times their number...
pub(super) const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// ... up to this: a server that is started again takes about a second.
pub(super) const RECONNECT_LONGEST: Duration = Duration::from_secs(2);

/// Seconds of silence after which the server asks whether a node is still there, seconds between
/// two such questions, and how many go unanswered: a node whose machine is gone holds the database
/// for 25 seconds.
pub(super) const KEEPALIVE_IDLE: &str = "10";
pub(super) const KEEPALIVE_INTERVAL: &str = "5";
pub(super) const KEEPALIVE_COUNT: &str = "3";

/// PostgreSQL 13: older ones get no corrections of security any more.
pub(super) const OLDEST_SERVER: i64 = 130_000;

/// Leaves that one transaction removes: a commit waits for no more than these.
pub(super) const CHUNK: i64 = 4_096;
