//! Bounds of the plugin, each with its reason.

use std::time::Duration;

/// How long a CONNECT may wait for its verdict. Nothing is asked over the network; only the disk
/// can be slow, when the mark of used presentations is written. All clients wait meanwhile.
pub(crate) const VERDICT_WAIT: Duration = Duration::from_secs(2);

/// Least pause between two looks at all sessions: a ledger that changes all the time must not
/// take a processor for itself, and a cut must not be late.
pub(crate) const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// How often the age of the roll is looked at.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// Lines that wait for the broker to write them.
pub(crate) const LOG_LINES: usize = 256;

/// Lines in one second. Strangers cause lines; they must not fill the disk.
pub(crate) const LOG_LINES_PER_SECOND: u32 = 20;

/// Longest line. The broker cuts its own at 1,000 bytes.
pub(crate) const LOG_LINE_CHARACTERS: usize = 500;

/// Characters shown of what a client calls itself.
pub(crate) const SHOWN_CHARACTERS: usize = 100;

/// How long the end of the broker waits for the gateway's threads.
pub(crate) const CLOSE_WAIT: Duration = Duration::from_secs(5);
