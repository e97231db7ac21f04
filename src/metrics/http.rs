//! Requests, counted by what was asked and what was answered, without a lock: in a table that is
//! filled as routes are asked for.

use crate::http::Refused;
use crate::logs::Asked;
use axum::extract::MatchedPath;
use axum::response::Response;
use muster_api::{Exposition, Histogram};
use std::array::from_fn;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

muster_api::metrics! {
    pub(super) table;

    /// Requests by route, method and status.
    REQUESTS: Counter "muster_http_requests_total" ["route", "method", "status"] in "requests";
    /// How long requests took by route, until the answer's head; that of the feed waits for news.
    TOOK: Histogram "muster_http_request_seconds" ["route"] in "seconds";
    /// Refusals by the code of the problem.
    REFUSALS: Counter "muster_http_refusals_total" ["code"] in "requests";
    /// Requests that are being answered.
    RUNNING: Gauge "muster_http_requests_running" [] in "requests";
}

/// Routes that are told apart: more than twice those of a node. What is beyond counts as `other`.
const ROUTES: usize = 256;
/// Pairs of method and status that are told apart of one route: more than its code can answer.
const ANSWERS: usize = 64;
/// The word for what has no name here.
const OTHER: &str = "other";
/// Methods by their names: a client may make up others.
const METHODS: [&str; 8] = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", OTHER];

/// Counts requests. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Counts>);

struct Counts {
    running: AtomicI64,
    /// A route is at the place of its hash or, if others are there, behind them.
    routes: [OnceLock<Box<OfRoute>>; ROUTES],
    other: OfRoute,
    /// Codes are words of the code, so the map is small; it is locked for refusals alone.
    refusals: Mutex<BTreeMap<String, u64>>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            running: AtomicI64::new(0),
            routes: [const { OnceLock::new() }; ROUTES],
            other: OfRoute::new(OTHER),
            refusals: Mutex::default(),
        }
    }
}

struct OfRoute {
    route: Box<str>,
    took: Histogram,
    /// Method and status in one number, which is 0 where nothing is yet; and how many.
    answers: [(AtomicU32, AtomicU64); ANSWERS],
    beyond: AtomicU64,
}

impl OfRoute {
    fn new(route: &str) -> Self {
        Self {
            route: route.into(),
            took: Histogram::default(),
            answers: from_fn(|_| Default::default()),
            beyond: AtomicU64::new(0),
        }
    }

    fn count(&self, method: &str, status: u16) {
        let named = METHODS.iter().position(|known| *known == method);
        let method = named.unwrap_or(METHODS.len() - 1) as u32;
        let wanted = method << 16 | u32::from(status);
        for (what, n) in &self.answers {
            let mut found = what.load(Relaxed);
            if found == 0 {
                // Another thread may take the place first, for the same answer or for another.
                found = match what.compare_exchange(0, wanted, Relaxed, Relaxed) {
                    Ok(_) => wanted,
                    Err(taken) => taken,
                };
            }
            if found == wanted {
                n.fetch_add(1, Relaxed);
                return;
            }
        }
        self.beyond.fetch_add(1, Relaxed);
    }

    /// Method, status and number of what was counted.
    fn answers(&self) -> impl Iterator<Item = (&'static str, String, u64)> {
        let all = self.answers.iter().map(|(what, n)| (what.load(Relaxed), n.load(Relaxed)));
        let told = all
            .take_while(|(what, _)| *what != 0)
            .map(|(what, n)| (METHODS[(what >> 16) as usize], (what & 0xffff).to_string(), n));
        let beyond = Some(self.beyond.load(Relaxed)).filter(|n| *n > 0);
        told.chain(beyond.map(|n| (OTHER, OTHER.to_owned(), n)))
    }
}

impl Counts {
    fn of(&self, route: &str) -> &OfRoute {
        // FNV-1a: routes are short, few, and chosen by the code.
        let hash = route
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let places = (0..ROUTES).map(|step| &self.routes[(hash as usize + step) % ROUTES]);
        let mut found = places.map(|place| place.get_or_init(|| Box::new(OfRoute::new(route))));
        found.find(|of| *of.route == *route).map_or(&self.other, |of| of)
    }

    /// In the order of their names.
    fn all(&self) -> Vec<&OfRoute> {
        let known = self.routes.iter().filter_map(|place| place.get().map(|of| &**of));
        let other = Some(&self.other).filter(|other| other.answers().next().is_some());
        let mut all: Vec<&OfRoute> = known.chain(other).collect();
        all.sort_by_key(|of| &of.route);
        all
    }
}

/// A request that is being answered, however it ends.
pub(crate) struct Running(Arc<Counts>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Running {
    /// It was answered.
    pub(crate) fn end(self, asked: &Asked, answer: &Response) {
        let counts = &*self.0;
        let route = asked.route.as_ref().map(MatchedPath::as_str);
        let of = route.map_or(&counts.other, |route| counts.of(route));
        of.count(asked.method.as_str(), answer.status().as_u16());
        of.took.record(asked.begin.elapsed());
        if let Some(Refused(code)) = answer.extensions().get() {
            // A counter is whole after every statement, so a panic elsewhere does not spoil it.
            let mut refusals = counts.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            *refusals.entry(code.clone()).or_default() += 1;
        }
    }
}

impl Meter {
    /// A request begins.
    pub(crate) fn running(&self) -> Running {
        self.0.running.fetch_add(1, Relaxed);
        Running(self.0.clone())
    }

    /// All of it as text.
    pub(super) fn text(&self) -> String {
        let (all, mut text) = (self.0.all(), Exposition::default());
        let requests = all.iter().flat_map(|of| {
            let mut answers: Vec<_> = of.answers().collect();
            answers.sort();
            answers
                .into_iter()
                .map(|(method, status, n)| ([of.route.to_string(), method.to_owned(), status], n))
        });
        text.many(&REQUESTS, requests);
        text.histograms(&TOOK, all.iter().map(|of| ([of.route.to_string()], &of.took)));
        let refusals = self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        text.many(&REFUSALS, refusals.into_iter().map(|(code, n)| ([code], n)));
        text.one(&RUNNING, self.0.running.load(Relaxed));
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(meter: &Meter) -> BTreeMap<(String, &'static str, String), u64> {
        let all = meter.0.all().into_iter().flat_map(|of| {
            of.answers().map(|(method, status, n)| ((of.route.to_string(), method, status), n))
        });
        all.collect()
    }

    #[test]
    fn many_threads_lose_nothing() {
        const ROUNDS: u64 = 2_000;
        const ASKED: [(&str, &str, u16); 6] = [
            ("/a", "GET", 200),
            ("/a", "GET", 404),
            ("/a", "BREW", 405),
            ("/a", "POST", 200),
            ("/b", "GET", 200),
            ("/{c}", "GET", 200),
        ];
        let meter = Meter::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let meter = &meter;
                scope.spawn(move || {
                    for n in 0..ROUNDS as usize * ASKED.len() {
                        let (route, method, status) = ASKED[(n + thread) % ASKED.len()];
                        meter.0.of(route).count(method, status);
                    }
                });
            }
        });
        let expected = ASKED.map(|(route, method, status)| {
            let method = if method == "BREW" { OTHER } else { method };
            ((route.to_owned(), method, status.to_string()), 4 * ROUNDS)
        });
        assert_eq!(counted(&meter), BTreeMap::from(expected));
    }

    #[test]
    fn what_has_no_place_is_counted_together() {
        let meter = Meter::default();
        for n in 0..2 * ROUTES {
            meter.0.of(&format!("/{n}")).count("GET", 200);
        }
        let all = counted(&meter);
        assert_eq!(all.len(), ROUTES + 1);
        assert_eq!(all[&(OTHER.to_owned(), "GET", "200".to_owned())], ROUTES as u64);
        for status in 0..100 {
            meter.0.of("/0").count("GET", 300 + status);
        }
        let of_one = counted(&meter);
        let beyond = of_one[&("/0".to_owned(), OTHER, OTHER.to_owned())];
        assert_eq!(beyond, 100 + 1 - ANSWERS as u64);
    }

    #[test]
    fn text_has_each_route_once() {
        let meter = Meter::default();
        let _one = meter.running();
        meter.0.of("/b").count("GET", 200);
        meter.0.of("/a").count("GET", 500);
        meter.0.of("/a").count("GET", 200);
        let text = meter.text();
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with("muster_http_requests_total")).collect();
        let line = |route, status| {
            format!(
                "muster_http_requests_total{{route=\"{route}\",method=\"GET\",status=\"{status}\"}} 1"
            )
        };
        assert_eq!(lines, [line("/a", 200), line("/a", 500), line("/b", 200)]);
        assert!(text.contains("muster_http_requests_running 1\n"), "{text}");
    }
}
