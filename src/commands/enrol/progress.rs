//! How far an enrolment is: a bar for each phase on a terminal, a line for each tenth elsewhere,
//! nothing for scripts.

use crate::output::Output;
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use muster_provisioning::{Phase, Progress};
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

/// Rows and bytes below which lines in a log would tell nothing: that is done in a second.
const ROWS: u64 = 10_000;
const BYTES: u64 = 1 << 20;

/// A phase that was shorter leaves no bar behind.
const BRIEF: Duration = Duration::from_secs(1);

const UNDER_WAY: &str = "  {prefix:7} [{bar:10}] {percent:>3} % {eta:>4} left  {wide_msg}";
const DONE: &str = "  {prefix:7} [{bar:10}] {percent:>3} % in {elapsed:>4}   {wide_msg}";

pub(super) struct Bars {
    manner: Manner,
    now: Option<Stage>,
    /// When something was heard last: there a phase began that is heard of now.
    heard: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Bars,
    Lines,
    Silent,
}

/// A phase under way.
struct Stage {
    phase: Phase,
    begun: Instant,
    bar: ProgressBar,
    /// Tenths of it that were told.
    told: u64,
}

impl Bars {
    pub(super) fn new(output: Output) -> Self {
        let manner = match (output.is_json(), io::stderr().is_terminal()) {
            (true, _) => Manner::Silent,
            (false, true) => Manner::Bars,
            (false, false) => Manner::Lines,
        };
        Self { manner, now: None, heard: Instant::now() }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        if self.manner == Manner::Silent {
            return;
        }
        if self.now.as_ref().is_none_or(|stage| stage.phase != progress.phase) {
            self.end();
            let bar = match self.manner {
                Manner::Bars => ProgressBar::new(0),
                _ => ProgressBar::hidden(),
            };
            let bar = bar.with_elapsed(self.heard.elapsed());
            bar.set_style(style(UNDER_WAY));
            bar.set_prefix(name(progress.phase));
            let (phase, begun) = (progress.phase, self.heard);
            self.now = Some(Stage { phase, begun, bar, told: 0 });
        }
        self.heard = Instant::now();
        let Some(stage) = &mut self.now else { return };
        let (done, total) = share(progress);
        let words = words(progress, stage.begun.elapsed());
        if self.manner == Manner::Lines {
            let tenth = (done * 10).checked_div(total).unwrap_or(0);
            // All bytes are read before all rows are checked.
            let tenth = if progress.total.is_some() { tenth } else { tenth.min(9) };
            if is_long(progress) && tenth > stage.told {
                stage.told = tenth;
                let left = left(stage.begun.elapsed(), done, total);
                eprintln!("{} {} %: {words}{left}", name(progress.phase), tenth * 10);
            }
        }
        stage.bar.set_length(total);
        stage.bar.set_position(done);
        stage.bar.set_message(words);
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        let Some(Stage { bar, begun, .. }) = self.now.take() else { return };
        if begun.elapsed() < BRIEF {
            bar.finish_and_clear();
        } else {
            bar.set_style(style(DONE));
            bar.finish();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Reading => "reading",
        Phase::Staging => "staging",
        Phase::Sealing => "sealing",
        Phase::Acknowledging => "signing",
    }
}

/// How much is done, of how much: files are measured in bytes, since nobody knows their rows yet.
fn share(progress: &Progress) -> (u64, u64) {
    match progress.bytes {
        Some(bytes) => (bytes.done, bytes.total),
        None => (progress.done, progress.total.unwrap_or(progress.done)),
    }
}

/// Whether it takes so long that a log should tell of it.
fn is_long(progress: &Progress) -> bool {
    match progress.phase {
        Phase::Reading => progress.bytes.is_some_and(|bytes| bytes.total >= BYTES),
        Phase::Staging => progress.total.is_some_and(|rows| rows >= ROWS),
        Phase::Sealing | Phase::Acknowledging => false,
    }
}

fn words(progress: &Progress, elapsed: Duration) -> String {
    let Progress { phase, done, total, counts, .. } = progress;
    let of = match (phase, total) {
        (Phase::Reading, _) | (_, None) => String::new(),
        (_, Some(total)) => format!(" of {}", HumanCount(*total)),
    };
    if !matches!(phase, Phase::Reading | Phase::Staging) {
        return format!("{}{of} batches", HumanCount(*done));
    }
    let rate = (*done as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    let mut words = format!("{}{of} rows, {}/s", HumanCount(*done), HumanCount(rate));
    // Nothing is enrolled before the last phase.
    let counts = [
        (counts.enrolled, "to enrol"),
        (counts.already, "already"),
        (counts.waiting, "waiting"),
        (counts.refused, "refused"),
    ];
    for (count, word) in counts.into_iter().filter(|(count, _)| *count > 0) {
        words.push_str(&format!(", {} {word}", HumanCount(count)));
    }
    words
}

/// The time left if it goes on like this.
fn left(elapsed: Duration, done: u64, total: u64) -> String {
    if done == 0 || done >= total {
        return String::new();
    }
    let left = elapsed.mul_f64((total - done) as f64 / done as f64);
    match left < Duration::from_secs(1) {
        true => String::new(),
        false => format!(", {} left", HumanDuration(left)),
    }
}
