//! Lines for the broker's log. Only the broker's own thread may write there, so lines wait here;
//! what the gateway reports on its threads (`tracing`) comes along.

use crate::{abi, limits};
use std::collections::VecDeque;
use std::ffi::c_int;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gravity {
    Notice,
    Warning,
    Error,
}

impl Gravity {
    pub(crate) fn code(self) -> c_int {
        match self {
            Self::Notice => abi::LOG_NOTICE,
            Self::Warning => abi::LOG_WARNING,
            Self::Error => abi::LOG_ERR,
        }
    }
}

/// Lines that wait. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    waiting: VecDeque<(Gravity, String)>,
    second: Option<Instant>,
    in_second: u32,
    dropped: u64,
}

impl Log {
    /// Adds a line, unless there were too many in this second.
    pub(crate) fn line(&self, gravity: Gravity, line: impl fmt::Display) {
        let line = clean(&line.to_string(), limits::LOG_LINE_CHARACTERS);
        self.lock().add(gravity, line, Instant::now());
    }

    /// Takes the lines that wait.
    pub(crate) fn take(&self) -> VecDeque<(Gravity, String)> {
        std::mem::take(&mut self.lock().waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn add(&mut self, gravity: Gravity, line: String, now: Instant) {
        if self.second.is_none_or(|second| now.duration_since(second).as_secs() >= 1) {
            (self.second, self.in_second) = (Some(now), 0);
            let dropped = std::mem::take(&mut self.dropped);
            if dropped > 0 {
                self.push(Gravity::Warning, format!("{dropped} lines were left out"));
            }
        }
        self.in_second += 1;
        if self.in_second > limits::LOG_LINES_PER_SECOND {
            self.dropped += 1;
        } else {
            self.push(gravity, line);
        }
    }

    fn push(&mut self, gravity: Gravity, line: String) {
        if self.waiting.len() < limits::LOG_LINES {
            self.waiting.push_back((gravity, line));
        } else {
            self.dropped += 1;
        }
    }
}

/// What a stranger wrote, harmless: no control characters, not long.
pub(crate) fn shown(text: &str) -> String {
    clean(text, limits::SHOWN_CHARACTERS)
}

fn clean(text: &str, most: usize) -> String {
    let safe = text.chars().map(|c| if c.is_control() { '?' } else { c });
    safe.take(most).collect()
}

/// What the gateway reports, from warnings up.
impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("muster")
    }

    fn event(&self, event: &Event<'_>) {
        let grave = *event.metadata().level() == Level::ERROR;
        let mut words = Words(String::new());
        event.record(&mut words);
        let words = format!("muster: {}", words.0);
        self.line(if grave { Gravity::Error } else { Gravity::Warning }, words);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{space}{value:?}"),
            name => write!(self.0, "{space}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn strangers_do_not_fill_the_log() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        for _ in 0..1_000 {
            lines.add(Gravity::Notice, "refused".into(), now);
        }
        assert_eq!(lines.waiting.len(), limits::LOG_LINES_PER_SECOND as usize);
        lines.add(Gravity::Notice, "later".into(), now + Duration::from_secs(1));
        let words: Vec<_> = lines.waiting.iter().rev().take(2).map(|(_, line)| &**line).collect();
        assert_eq!(words, ["later", "980 lines were left out"]);
        for second in 2..200 {
            for _ in 0..30 {
                lines.add(Gravity::Notice, "refused".into(), now + Duration::from_secs(second));
            }
        }
        assert_eq!(lines.waiting.len(), limits::LOG_LINES);
    }

    #[test]
    fn what_strangers_write_stays_on_its_line() {
        assert_eq!(shown("a\nb\u{1b}[2J"), "a?b?[2J");
        assert_eq!(shown(&"x".repeat(1_000)).len(), limits::SHOWN_CHARACTERS);
    }

    #[test]
    fn warnings_of_the_gateway_come_along() {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            tracing::warn!(target: "muster_gateway", node = "http://a", "the node {}", "lies");
            tracing::info!(target: "muster_gateway", "quiet");
            tracing::error!(target: "elsewhere", "not ours");
        });
        let lines = log.take();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].0, Gravity::Warning);
        assert!(lines[0].1.contains("the node lies") && lines[0].1.contains("http://a"));
    }
}
