//! Metrics as Prometheus reads them (text format 0.0.4). Each is declared once, by [`metrics!`], and
//! everything else is made from the declaration: what is served, and what the documents list.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets by which durations are counted, in microseconds: from what a look
/// into memory takes to what a long poll takes.
const LATENCY_BUCKETS: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows, and begins anew with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts durations by how long they were.
    Histogram,
}

impl Kind {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// What it counts.
    pub unit: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// Declares metrics, each with its help above it, and lists them in `METRICS`; all as visible as the
/// word `table` at the beginning says.
#[macro_export]
macro_rules! metrics {
    ($vis:vis table; $(
        $(#[doc = $help:literal])+
        $place:ident: $kind:ident $name:literal [$($label:literal),*] in $unit:literal;
    )+) => {
        $(
            $(#[doc = $help])+
            $vis const $place: $crate::Metric = $crate::Metric {
                name: $name,
                kind: $crate::Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                help: ::core::concat!($($help),+).trim_ascii(),
            };
        )+

        /// Every metric that is declared here.
        $vis const METRICS: &[$crate::Metric] = &[$($place),+];
    };
}

/// The text that is served, while it is written.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// The text.
    pub fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a String accepts every write");
    }

    fn head(&mut self, metric: &Metric) {
        self.line(format_args!("# HELP {} {}", metric.name, metric.help));
        self.line(format_args!("# TYPE {} {}", metric.name, metric.kind.word()));
    }

    /// A metric without labels.
    pub fn one(&mut self, metric: &Metric, value: impl Display) {
        self.many(metric, [([], value)]);
    }

    /// A metric, once for each set of its labels' values.
    pub fn many<const N: usize, V: Display>(
        &mut self,
        metric: &Metric,
        values: impl IntoIterator<Item = ([String; N], V)>,
    ) {
        self.head(metric);
        for (labels, value) in values {
            let labels = labelled(metric, &labels, None);
            self.line(format_args!("{}{labels} {value}", metric.name));
        }
    }

    /// A histogram, once for each set of its labels' values.
    pub fn histograms<'a, const N: usize>(
        &mut self,
        metric: &Metric,
        values: impl IntoIterator<Item = ([String; N], &'a Histogram)>,
    ) {
        self.head(metric);
        let name = metric.name;
        for (labels, histogram) in values {
            let mut below = 0;
            for (bound, count) in LATENCY_BUCKETS.iter().zip(&histogram.buckets) {
                below += count.load(Relaxed);
                let labels = labelled(metric, &labels, Some(&seconds(*bound)));
                self.line(format_args!("{name}_bucket{labels} {below}"));
            }
            let all = below + histogram.beyond.load(Relaxed);
            let infinite = labelled(metric, &labels, Some("+Inf"));
            self.line(format_args!("{name}_bucket{infinite} {all}"));
            let labels = labelled(metric, &labels, None);
            let sum = seconds(histogram.micros.load(Relaxed));
            self.line(format_args!("{name}_sum{labels} {sum}"));
            self.line(format_args!("{name}_count{labels} {all}"));
        }
    }
}

fn labelled(metric: &Metric, values: &[String], bound: Option<&str>) -> String {
    assert_eq!(metric.labels.len(), values.len(), "{} has other labels", metric.name);
    let pairs = metric.labels.iter().copied().zip(values.iter().map(String::as_str));
    let pairs: Vec<String> = pairs
        .chain(bound.map(|bound| ("le", bound)))
        .map(|(name, value)| {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

/// Microseconds as seconds.
pub fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Durations by how long they were.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; LATENCY_BUCKETS.len()],
    beyond: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// Something took so long.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = LATENCY_BUCKETS.iter().position(|bound| micros <= *bound);
        let bucket = place.map_or(&self.beyond, |place| &self.buckets[place]);
        bucket.fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::metrics! {
        pub(super) table;

        /// Things that were made.
        MADE: Counter "made_total" ["by", "how"] in "things";
        /// How long they took.
        TOOK: Histogram "took_seconds" [] in "seconds";
    }

    #[test]
    fn text_is_as_prometheus_reads_it() {
        let mut text = Exposition::default();
        text.many(&MADE, [(["a\"b\\c\n".into(), "x".into()], 7), (["d".into(), "y".into()], 0)]);
        let took = Histogram::default();
        [0, 1_000, 1_001, 90_000_000]
            .into_iter()
            .for_each(|n| took.record(Duration::from_micros(n)));
        text.histograms(&TOOK, [([], &took)]);
        let text = text.finish();
        let begin = "# HELP made_total Things that were made.\n# TYPE made_total counter\n\
            made_total{by=\"a\\\"b\\\\c\\n\",how=\"x\"} 7\nmade_total{by=\"d\",how=\"y\"} 0\n\
            # HELP took_seconds How long they took.\n# TYPE took_seconds histogram\n\
            took_seconds_bucket{le=\"0.001\"} 2\ntook_seconds_bucket{le=\"0.0025\"} 3\n";
        assert!(text.starts_with(begin), "{text}");
        let end = "took_seconds_bucket{le=\"30\"} 3\ntook_seconds_bucket{le=\"+Inf\"} 4\n\
            took_seconds_sum 90.002001\ntook_seconds_count 4\n";
        assert!(text.ends_with(end), "{text}");
        assert_eq!(METRICS, [MADE, TOOK]);
    }

    #[test]
    fn micros_are_seconds() {
        let all = [0, 1, 2_500, 1_000_000, 10_000_000].map(seconds);
        assert_eq!(all, ["0", "0.000001", "0.0025", "1", "10"]);
    }
}
