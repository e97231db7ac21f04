//! Ids of requests, and of which request a line is that this thread writes.

use axum::http::HeaderValue;
use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The id of a request.
#[derive(Debug, Clone)]
pub(crate) enum RequestId {
    /// Made here.
    Made(u128),
    /// A believed proxy's, of plain characters.
    Given(HeaderValue),
}

impl RequestId {
    /// As a header of the answer.
    pub(crate) fn header(&self) -> HeaderValue {
        match self {
            Self::Made(id) => {
                let mut text = [0; 32];
                for (place, digit) in text.iter_mut().rev().enumerate() {
                    *digit = b"0123456789abcdef"[(id >> (4 * place)) as usize & 0xf];
                }
                HeaderValue::from_bytes(&text).expect("digits are plain characters")
            }
            Self::Given(id) => id.clone(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(id) => write!(f, "{id:032x}"),
            Self::Given(id) => f.write_str(id.to_str().unwrap_or_default()),
        }
    }
}

/// Makes ids that differ, without asking the system for each: one half tells processes apart, the
/// other half requests.
pub(crate) struct Ids {
    process: u64,
    disguise: [u64; 2],
    made: AtomicU64,
}

impl Ids {
    /// From bytes that no other process has.
    pub(crate) fn new(random: [u8; 24]) -> Self {
        let (words, _) = random.as_chunks::<8>();
        let [process, first, second] = [0, 1, 2].map(|n| u64::from_be_bytes(words[n]));
        Self { process, disguise: [first, second], made: AtomicU64::new(0) }
    }

    /// The next one.
    pub(crate) fn next(&self) -> RequestId {
        let number = disguised(self.made.fetch_add(1, Relaxed), self.disguise);
        RequestId::Made(u128::from(self.process) << 64 | u128::from(number))
    }
}

/// A number as another one, each as one of its own (every step can be undone): an id shall not tell
/// at a glance how many requests there were. It keeps no secret from whoever studies many.
fn disguised(number: u64, [first, second]: [u64; 2]) -> u64 {
    // The steps and factors of SplitMix64 (Steele, Lea, Flood 2014).
    let mut n = number.wrapping_add(first);
    n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ second).rotate_left(17);
    n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

thread_local! {
    static PRESENT: RefCell<Option<RequestId>> = const { RefCell::new(None) };
}

/// While it lives, lines of this thread are of a request. A span would say the same, but cost a
/// place in the registry of spans for every request, and most write no line.
pub(crate) struct Within(Option<RequestId>);

impl Within {
    pub(crate) fn new(id: &RequestId) -> Self {
        Self(PRESENT.replace(Some(id.clone())))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        PRESENT.set(self.0.take());
    }
}

/// The request that this thread works at.
pub(super) fn present() -> Option<RequestId> {
    // A line may be written while the thread ends, when there is nothing any more.
    PRESENT.try_with(|present| present.borrow().clone()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_differ_and_do_not_count() {
        let (one, other) = (Ids::new([1; 24]), Ids::new([2; 24]));
        let many: Vec<String> = (0..100_000).map(|_| one.next().to_string()).collect();
        let all: HashSet<&String> = many.iter().collect();
        assert_eq!(all.len(), many.len());
        assert!(!all.contains(&other.next().to_string()));
        let digits = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        assert!(many.iter().all(|id| id.len() == 32 && id.bytes().all(digits)));
        // Two in a row differ in about half of their bits.
        let number = |id: &str| u64::from_str_radix(&id[16..], 16).expect("digits");
        let bits = |pair: &[String]| (number(&pair[0]) ^ number(&pair[1])).count_ones();
        let bits: u32 = many.windows(2).map(bits).sum();
        assert!((30..35).contains(&(bits / 100_000)), "{bits}");
    }

    #[test]
    fn header_and_words_are_the_same() {
        let ids = Ids::new([0; 24]);
        for id in [ids.next(), ids.next(), RequestId::Given(HeaderValue::from_static("a-1"))] {
            assert_eq!(id.header().to_str().expect("plain"), id.to_string());
        }
    }

    #[test]
    fn the_outer_request_comes_back() {
        let ids = Ids::new([0; 24]);
        let (outer, inner) = (ids.next(), ids.next());
        let now = || present().map(|id| id.to_string());
        assert_eq!(now(), None);
        let within = Within::new(&outer);
        {
            let _within = Within::new(&inner);
            assert_eq!(now(), Some(inner.to_string()));
        }
        assert_eq!(now(), Some(outer.to_string()));
        drop(within);
        assert_eq!(now(), None);
    }
}
