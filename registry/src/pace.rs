use crate::Error;
use crate::error::CLOCK_CURE;
use muster_api::Host;
use muster_ledger::Time;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How far the wall clock may move beyond the time that passed, in milliseconds: more than any
/// leap second or correction of a clock that is looked after, and little enough to wait for,
/// since no later head may carry an earlier time than one that was signed.
const JUMP_MS: u64 = 60_000;

/// Between two complaints about the clock.
const COMPLAINT: Duration = Duration::from_secs(60);

/// The wall clock beside the time that passes: once a head carries a time far ahead, every
/// operation signed by a right clock is expired.
pub(crate) struct Pace {
    host: Arc<dyn Host>,
    marks: Mutex<Marks>,
}

struct Marks {
    /// A time that was right, and when it was read.
    time: Time,
    at: Instant,
    /// Since the start of the machine, at the same moment, if it tells.
    up: Option<Duration>,
    complained: Option<Instant>,
}

impl Pace {
    /// From now on; whether the clock is right at this moment nobody can tell.
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        let (time, up) = (host.now(), host.since_start());
        let marks = Marks { time, at: Instant::now(), up, complained: None };
        Self { host, marks: Mutex::new(marks) }
    }

    /// The time, if the clock went no further than time did.
    pub(crate) fn check(&self) -> Result<Time, Error> {
        self.look(&mut self.marks())
    }

    /// The same, for whoever signs: a time that passes is what later ones are measured by.
    pub(crate) fn tick(&self) -> Result<Time, Error> {
        let mut marks = self.marks();
        let now = self.look(&mut marks)?;
        // A clock that was set back may return to where it was.
        let up = self.host.since_start();
        if now >= marks.expected(up) {
            (marks.time, marks.at, marks.up) = (now, Instant::now(), up);
        }
        Ok(now)
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, marks: &mut Marks) -> Result<Time, Error> {
        let now = self.host.now();
        let ahead_ms = now.since(marks.expected(self.host.since_start()));
        if ahead_ms <= JUMP_MS {
            marks.complained = None;
            return Ok(now);
        }
        let error = Error::Clock { ahead_ms };
        if marks.complained.is_none_or(|at| at.elapsed() >= COMPLAINT) {
            marks.complained = Some(Instant::now());
            tracing::error!("{error}; nothing is decided or signed until it is back; {CLOCK_CURE}");
        }
        Err(error)
    }
}

impl Marks {
    /// What the clock should say by now. While a machine sleeps, what the runtime measures stands
    /// still; the time since its start goes on, and no network sets it.
    fn expected(&self, up: Option<Duration>) -> Time {
        let measured = self.at.elapsed();
        let passed = match (self.up, up) {
            (Some(then), Some(now)) => measured.max(now.saturating_sub(then)),
            _ => measured,
        };
        self.time.plus_ms(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }
}
