//! What time it is, and how old the roll. A machine's clock may be wrong: back to 1970 after a
//! power cut, or set by hand. A checkpoint's time is the quorum's word that it is not earlier.

use crate::{Roll, limits};
use muster_api::Host;
use muster_ledger::Time;
use std::sync::Arc;

/// The clock of the machine, held against the roll.
pub(crate) struct Clock {
    host: Arc<dyn Host>,
    /// Time of the checkpoint that the folder held at the start. It was received before: how long
    /// ago, only a right clock can tell.
    begin: Option<Time>,
}

/// A moment, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The time.
    pub(crate) time: Time,
    /// Age of the roll; the greatest there is if it cannot be known.
    pub(crate) age_ms: u64,
    /// Whether the machine's clock is behind the roll, and so wrong.
    pub(crate) clock_behind: bool,
}

impl Clock {
    pub(crate) fn new(host: Arc<dyn Host>, begin: Option<&Roll>) -> Self {
        Self { host, begin: begin.map(|roll| roll.checkpoint().head().time) }
    }

    /// The machine's own word.
    pub(crate) fn machine(&self) -> Time {
        self.host.now()
    }

    /// Now, by this roll. With a right clock the age is the greater of now − checkpoint time and the
    /// monotonic time since receipt. If the clock is behind the checkpoint, the checkpoint's
    /// time and the monotonic time since its receipt stand in for it, provided that it was
    /// received since the start; else nobody knows how old it is.
    pub(crate) fn at(&self, roll: &Roll) -> Moment {
        let (now, signed) = (self.host.now(), roll.checkpoint().head().time);
        let least = signed.plus_ms(roll.since_receipt_ms());
        if now.plus_ms(limits::CLOCK_TOLERANCE_MS) >= least {
            return Moment { time: now, age_ms: roll.age_ms(now), clock_behind: false };
        }
        let live = self.begin.is_none_or(|begin| signed > begin);
        let age_ms = if live { roll.since_receipt_ms() } else { u64::MAX };
        Moment { time: least, age_ms, clock_behind: true }
    }
}
