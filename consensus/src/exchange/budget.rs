//! What one peer may cost.

use crate::limits;
use std::time::Duration;
use tokio::time::Instant;

/// A bucket that fills by `rate` a second and holds two seconds of it.
struct Bucket {
    rate: u32,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: u32, now: Instant) -> Self {
        Self { rate, level: 2.0 * f64::from(rate), at: now }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).min(Duration::from_secs(2));
        let rate = f64::from(self.rate);
        self.level = (self.level + passed.as_secs_f64() * rate).min(2.0 * rate);
        self.at = now;
    }

    /// Takes `cost` if the bucket is not empty: the last one may overdraw it.
    fn take(&mut self, cost: usize, now: Instant) -> bool {
        self.fill(now);
        let enough = self.level > 0.0;
        if enough {
            self.level -= f64::from(u32::try_from(cost).unwrap_or(u32::MAX));
        }
        enough
    }
}

/// What a request meets.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Verdict {
    /// Worked at.
    Fine,
    /// Answered by `Busy`.
    Busy,
    /// The peer does not heed `Busy`.
    Flood,
}

/// The budget of one peer.
pub(super) struct Budget {
    requests: Bucket,
    bytes: Bucket,
    answers: Bucket,
    patience: Bucket,
    worked_at: usize,
    asked: usize,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            requests: Bucket::full(limits::REQUESTS_A_SECOND, now),
            bytes: Bucket::full(limits::REQUEST_BYTES_A_SECOND, now),
            answers: Bucket::full(limits::ANSWER_BYTES_A_SECOND, now),
            patience: Bucket::full(limits::BUSY_ANSWERS_A_SECOND, now),
            worked_at: 0,
            asked: 0,
        }
    }

    /// A request came; `room` is whether the node has room for it at all.
    pub(super) fn request(
        &mut self,
        bytes: usize,
        asks: bool,
        room: bool,
        now: Instant,
    ) -> Verdict {
        self.answers.fill(now);
        let fits = self.worked_at < limits::REQUESTS_AT_ONCE
            && (!asks || self.asked < limits::ASKED_AT_ONCE && self.answers.level > 0.0);
        // Both are taken: who is over one budget still pays the other.
        let (requests, bytes) = (self.requests.take(1, now), self.bytes.take(bytes, now));
        if requests && bytes && fits && room {
            self.worked_at += 1;
            self.asked += usize::from(asks);
            Verdict::Fine
        } else {
            self.annoyed(now)
        }
    }

    /// The peer did what an honest one rarely does.
    pub(super) fn annoyed(&mut self, now: Instant) -> Verdict {
        if self.patience.take(1, now) { Verdict::Busy } else { Verdict::Flood }
    }

    /// An answer of so many bytes goes out.
    pub(super) fn answer(&mut self, bytes: usize, now: Instant) {
        self.answers.take(bytes, now);
    }

    /// A request that was fine is answered, or its connection is gone.
    pub(super) fn done(&mut self, asked: bool) {
        self.worked_at = self.worked_at.saturating_sub(1);
        self.asked = self.asked.saturating_sub(usize::from(asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_busy_first_and_then_cut_and_time_heals() {
        let mut now = Instant::now();
        let mut budget = Budget::new(now);
        let mut seen = [0; 3];
        for _ in 0..3_000 {
            let verdict = budget.request(100, false, true, now);
            if verdict == Verdict::Fine {
                budget.done(false);
            }
            seen[verdict as usize] += 1;
        }
        assert_eq!(seen, [2_000, 200, 800]);
        now += Duration::from_secs(1);
        assert_eq!(budget.request(100, false, true, now), Verdict::Fine);
    }

    #[test]
    fn requests_at_once_questions_and_bytes_have_bounds_of_their_own() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        for _ in 0..limits::ASKED_AT_ONCE {
            assert_eq!(budget.request(10, true, true, now), Verdict::Fine);
        }
        assert_eq!(budget.request(10, true, true, now), Verdict::Busy, "a fifth question");
        for _ in limits::ASKED_AT_ONCE..limits::REQUESTS_AT_ONCE {
            assert_eq!(budget.request(10, false, true, now), Verdict::Fine);
        }
        assert_eq!(budget.request(10, false, true, now), Verdict::Busy, "a seventeenth request");
        budget.done(true);
        assert_eq!(budget.request(10, true, true, now), Verdict::Fine);

        let mut budget = Budget::new(now);
        assert_eq!(budget.request(10, false, false, now), Verdict::Busy, "the node is full");
        budget.answer(3 * limits::ANSWER_BYTES_A_SECOND as usize, now);
        assert_eq!(budget.request(10, true, true, now), Verdict::Busy, "too many bytes answered");
        assert_eq!(budget.request(10, false, true, now), Verdict::Fine, "telling costs no answer");
        for _ in 0..1_024 {
            if budget.request(limits::REQUEST_BYTES, false, true, now) == Verdict::Fine {
                budget.done(false);
            }
        }
        assert_eq!(budget.request(10, false, true, now), Verdict::Busy, "too many bytes told");
    }
}
