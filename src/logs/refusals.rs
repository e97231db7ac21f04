//! Refusals in the log: some of each reason, then how many more there were. A peer that is refused
//! ten thousand times a second fills no disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Lines of one reason in a minute: enough to see who and what it is about.
const LINES: u32 = 10;
/// The minute.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Reasons that are told apart; there are some ninety, and no peer can invent one.
const REASONS: usize = 256;

/// How many refusals of each reason were told, and how many were not.
#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeMap<String, Window>>);

struct Window {
    begin: Instant,
    told: u32,
    more: u64,
}

/// That so many refusals of a reason were not told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct More {
    pub(super) reason: String,
    pub(super) count: u64,
}

impl Refusals {
    /// Whether a refusal is to be told.
    pub(super) fn tell(&self, reason: &str, now: Instant) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !windows.contains_key(reason) {
            if windows.len() >= REASONS {
                return false;
            }
            windows.insert(reason.to_owned(), Window { begin: now, told: 0, more: 0 });
        }
        let Some(window) = windows.get_mut(reason) else { return false };
        // One that is over waits for `over`, so that what was not told is not forgotten.
        if now.duration_since(window.begin) >= WINDOW && window.more == 0 {
            (window.begin, window.told) = (now, 0);
        }
        if window.told < LINES {
            window.told += 1;
            return true;
        }
        window.more += 1;
        false
    }

    /// What was not told in the minutes that are over.
    pub(super) fn over(&self, now: Instant) -> Vec<More> {
        self.take(|window| now.duration_since(window.begin) >= WINDOW)
    }

    /// What was not told, of all minutes.
    pub(super) fn rest(&self) -> Vec<More> {
        self.take(|_| true)
    }

    fn take(&self, is_over: impl Fn(&Window) -> bool) -> Vec<More> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        windows.retain(|reason, window| {
            let over = is_over(window);
            if over && window.more > 0 {
                out.push(More { reason: reason.clone(), count: window.more });
            }
            !over
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_lines_and_the_rest_is_counted() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let told = |reason, n: u32, at| (0..n).filter(|_| refusals.tell(reason, at)).count();
        assert_eq!(told("replayed", 1_000, start), LINES as usize);
        assert_eq!(told("held", 3, start), 3, "another reason has lines of its own");
        assert_eq!(refusals.over(start + WINDOW / 2), []);
        let later = start + WINDOW;
        let more = |count| More { reason: "replayed".into(), count };
        // Between the end of the minute and its account nothing is lost.
        assert_eq!(told("replayed", 1, later), 0);
        assert_eq!(refusals.over(later), [more(991)]);
        assert_eq!(told("replayed", 11, later), LINES as usize);
        assert_eq!(refusals.rest(), [more(1)]);
        assert_eq!(refusals.rest(), []);
    }

    #[test]
    fn reasons_have_a_bound() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let told = (0..10_000).filter(|n| refusals.tell(&n.to_string(), start)).count();
        assert_eq!(told, REASONS);
    }
}
