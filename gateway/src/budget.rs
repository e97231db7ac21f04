//! Rates, in constant memory: buckets that fill with time and that requests draw from.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// What a bucket holds and gains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Drawn at once at most.
    pub(crate) burst: u32,
    /// Gained in a second.
    pub(crate) a_second: u32,
}

/// One bucket for each place of a table; a caller's place is the hash of its name under a key of
/// this process. Two callers may share a bucket, and nobody can choose with whom.
pub(crate) struct Budget {
    rate: Rate,
    begin: Instant,
    hasher: RandomState,
    /// Milliseconds since `begin`, modulo 2^32 (upper half), at which so many thousandths were
    /// missing (lower half).
    buckets: Box<[AtomicU64]>,
}

impl Budget {
    /// `places` buckets, all full.
    pub(crate) fn new(rate: Rate, places: usize) -> Self {
        let buckets = (0..places.max(1)).map(|_| AtomicU64::new(0)).collect();
        Self { rate, begin: Instant::now(), hasher: RandomState::new(), buckets }
    }

    /// Draws `cost`, or says that there is not so much.
    pub(crate) fn draw(&self, who: impl Hash, cost: u32) -> bool {
        self.change(who, cost, |missing| missing <= u64::from(self.rate.burst) * 1_000)
    }

    /// Draws `cost` even if there is not so much: down to empty.
    pub(crate) fn charge(&self, who: impl Hash, cost: u32) {
        self.change(who, cost, |_| true);
    }

    fn change(&self, who: impl Hash, cost: u32, may: impl Fn(u64) -> bool) -> bool {
        // The lower half of a clock that goes on: it wraps after 49 days, and only differences count.
        let now = self.begin.elapsed().as_millis() as u32;
        let place = self.hasher.hash_one(who) % self.buckets.len() as u64;
        let bucket = &self.buckets[place as usize];
        let most = u64::from(self.rate.burst) * 1_000;
        let mut drawn = false;
        // The closure never refuses to change, so this cannot fail.
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            let (at, missing) = ((old >> 32) as u32, old & u64::from(u32::MAX));
            // Another thread may have written a moment that is later than this one's.
            let since = now.wrapping_sub(at);
            let since = if since > u32::MAX / 2 { 0 } else { since };
            let gained = u64::from(since).saturating_mul(u64::from(self.rate.a_second));
            let missing = missing.saturating_sub(gained);
            let after = missing + u64::from(cost) * 1_000;
            drawn = may(after);
            let missing = if drawn { after.min(most) } else { missing };
            let at = at.wrapping_add(since);
            Some(u64::from(at) << 32 | missing.min(u64::from(u32::MAX)))
        });
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_its_burst_then_its_rate() {
        let budget = Budget::new(Rate { burst: 3, a_second: 2 }, 1_024);
        let drawn = |n: usize| (0..n).filter(|_| budget.draw("a", 1)).count();
        assert_eq!(drawn(10), 3);
        tokio::time::advance(Duration::from_millis(499)).await;
        assert_eq!(drawn(10), 0);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(drawn(10), 1);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(drawn(10), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_charged_is_paid_back_before_anything_is_drawn() {
        let budget = Budget::new(Rate { burst: 10, a_second: 1 }, 1_024);
        budget.charge("a", 9);
        assert!(budget.draw("a", 1));
        assert!(!budget.draw("a", 1));
        // Down to empty, never below: an hour of refusals costs no hour of waiting.
        (0..1_000).for_each(|_| budget.charge("a", 9));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(budget.draw("a", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn it_fills_however_long_the_process_runs() {
        let budget = Budget::new(Rate { burst: 5, a_second: 1 }, 16);
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(20 * 86_400)).await;
            assert_eq!((0..10).filter(|_| budget.draw("a", 1)).count(), 5);
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!((0..10).filter(|_| budget.draw("a", 1)).count(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sources_do_not_draw_from_each_other() {
        let budget = Budget::new(Rate { burst: 1, a_second: 0 }, 1 << 16);
        let drawn = (0..100_u32).filter(|source| budget.draw(source, 1)).count();
        // Two of a hundred may share one of 65,536 places, rarely.
        assert!(drawn >= 97, "{drawn}");
    }
}
