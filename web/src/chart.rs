//! Charts as pictures that the server draws; each page puts a table of the same numbers behind.

use crate::frame::{Count, iso};
use std::fmt::{self, Write as _};

/// Bars over time, one colour for each series, stacked.
pub(crate) struct Bars {
    pub(crate) label: String,
    /// Beginnings of the spans (ms).
    pub(crate) times: Vec<u64>,
    pub(crate) series: Vec<Series>,
}

/// What one colour stands for.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<u64>,
}

const WIDTH: u64 = 720;
const HEIGHT: u64 = 180;
/// Room for words left of the bars.
const LEFT: u64 = 48;
/// And below and above them.
const BELOW: u64 = 20;
const ABOVE: u64 = 8;

impl Bars {
    /// The greatest sum of a span.
    fn most(&self) -> u64 {
        let sum =
            |i: usize| self.series.iter().map(|s| s.values.get(i).copied().unwrap_or(0)).sum();
        (0..self.times.len()).map(sum).max().unwrap_or(0)
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.most() == 0
    }

    /// Rows of the table behind: time and a number for each series, spans with nothing left out.
    pub(crate) fn rows(&self) -> Vec<(crate::frame::Moment, Vec<Count>)> {
        let row = |(i, time): (usize, &u64)| {
            let values: Vec<_> =
                self.series.iter().map(|s| Count(s.values.get(i).copied().unwrap_or(0))).collect();
            (crate::frame::Moment(*time), values)
        };
        let some = |(_, values): &(_, Vec<Count>)| values.iter().any(|v| v.0 > 0);
        self.times.iter().enumerate().map(row).filter(some).collect()
    }
}

/// The next number of the form 1, 2 or 5 times a power of ten.
fn round_up(n: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [1, 2, 5] {
            let top = unit.saturating_mul(step);
            if top >= n {
                return top;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

impl fmt::Display for Bars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let top = round_up(self.most().max(1));
        let (inner, tall) = (WIDTH - LEFT, HEIGHT - BELOW - ABOVE);
        let spans = self.times.len().max(1) as u64;
        let height = |n: u64| n as f64 * tall as f64 / top as f64;
        let mut out = String::new();
        for (n, y) in [(top, ABOVE), (top / 2, ABOVE + tall / 2), (0, ABOVE + tall)] {
            write!(out, r#"<path class="axis" d="M{LEFT} {y}H{WIDTH}"/>"#)?;
            if n > 0 || top == 1 {
                let (x, y) = (LEFT - 6, y + 4);
                write!(out, r#"<text x="{x}" y="{y}" text-anchor="end">{}</text>"#, Count(n))?;
            }
        }
        for (i, time) in self.times.iter().enumerate() {
            let x = LEFT as f64 + i as f64 * inner as f64 / spans as f64;
            let width = (inner as f64 / spans as f64 - 1.5).max(0.75);
            let mut y = (ABOVE + tall) as f64;
            for (n, series) in self.series.iter().enumerate() {
                let value = series.values.get(i).copied().unwrap_or(0);
                if value == 0 {
                    continue;
                }
                let h = height(value).max(1.0);
                y -= h;
                let (class, name) = (n + 1, series.name);
                let when = iso(*time);
                let when = when.get(..16).unwrap_or(&when).replace('T', " ");
                write!(
                    out,
                    r#"<rect class="series-{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{h:.1}"><title>{when} UTC: {} {name}</title></rect>"#,
                    Count(value)
                )?;
            }
            // A word at every fourth of the width.
            if (i as u64).is_multiple_of((spans / 4).max(1)) && spans - (i as u64) > spans / 8 {
                let when = iso(*time);
                let word = if spans > 48 { when.get(5..10) } else { when.get(11..16) };
                let (word, y) = (word.unwrap_or_default(), HEIGHT - 5);
                write!(out, r#"<text x="{x:.1}" y="{y}">{word}</text>"#)?;
            }
        }
        // The label is ours, never a name from outside.
        write!(
            f,
            r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">{out}</svg>"#,
            self.label
        )
    }
}

/// Numbers and words of ours alone.
impl askama::filters::HtmlSafe for Bars {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_and_its_table_say_the_same() {
        let bars = Bars {
            label: "Enrolments".into(),
            times: vec![0, 3_600_000, 7_200_000],
            series: vec![
                Series { name: "enrolled", values: vec![3, 0, 70] },
                Series { name: "revoked", values: vec![0, 0, 5] },
            ],
        };
        let picture = bars.to_string();
        assert_eq!(picture.matches("<rect").count(), 3);
        assert!(picture.contains("70 enrolled") && picture.contains(">100<"));
        assert_eq!(bars.rows().len(), 2);
        assert!(!bars.is_empty());
    }

    #[test]
    fn tops_are_round() {
        assert_eq!([1, 3, 6, 11, 75, 501].map(round_up), [1, 5, 10, 20, 100, 1_000]);
    }
}
