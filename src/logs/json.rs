//! One JSON object a line. The names of its fields are stable.

use super::id::present;
use crate::host::Machine;
use muster_api::Host as _;
use muster_ledger::Time;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Characters of one value: a line stays one that a collector takes (most cut at 16 KiB or more).
const VALUE_CHARACTERS: usize = 4_096;

/// Writes every event as one line.
pub(super) struct JsonLines<W> {
    out: Mutex<W>,
}

impl<W: Write> JsonLines<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out: Mutex::new(out) }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    message: String,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    fields: Map<String, Value>,
}

/// What a span says of the lines within.
struct Kept(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Kept(fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let message = match own.0.remove("message") {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let mut fields = Map::new();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Kept(kept)) = span.extensions().get::<Kept>() {
                // The innermost comes first and counts.
                kept.iter().for_each(|(name, value)| {
                    fields.entry(name.clone()).or_insert_with(|| value.clone());
                });
            }
        }
        fields.extend(own.0);
        let metadata = event.metadata();
        let line = Line {
            time: time(Machine.now()),
            level: level(*metadata.level()),
            message,
            target: metadata.target(),
            request_id: present().map(|id| id.to_string()),
            fields,
        };
        let mut bytes = serde_json::to_vec(&line).expect("a line has string keys and serialises");
        bytes.push(b'\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell that standard error is gone.
        let _ = out.write_all(&bytes);
    }
}

fn level(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}

/// RFC 3339 in UTC, to the millisecond.
fn time(at: Time) -> String {
    let seconds = at.to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), at.0 % 1_000)
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn text(&mut self, field: &Field, text: &str) {
        let end = text.char_indices().nth(VALUE_CHARACTERS).map(|(end, _)| end);
        match end {
            Some(end) => self.put(field, format!("{}…", &text[..end])),
            None => self.put(field, text),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::id::{RequestId, Within};
    use axum::http::HeaderValue;
    use std::sync::Arc;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("whole").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let out = Shared::default();
        let lines = tracing_subscriber::registry().with(JsonLines::new(out.clone()));
        tracing::subscriber::with_default(lines, work);
        let bytes = out.0.lock().expect("whole").clone();
        let text = String::from_utf8(bytes).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
    }

    #[test]
    fn a_line_is_one_object_whatever_is_in_it() {
        let lines = lines(|| {
            let within = Within::new(&RequestId::Given(HeaderValue::from_static("abc")));
            let span = tracing::error_span!("asked", route = "/v1/feed");
            span.in_scope(|| tracing::info!(entry = 7, ok = true, "two\nlines \"quoted\""));
            drop(within);
            tracing::warn!(text = "x".repeat(10_000), "long");
        });
        assert_eq!(lines.len(), 2);
        let first = &lines[0];
        assert_eq!(first["message"], "two\nlines \"quoted\"");
        assert_eq!((&first["level"], &first["request_id"]), (&"info".into(), &"abc".into()));
        assert_eq!(first["fields"]["entry"], 7);
        assert_eq!(first["fields"]["ok"], true);
        assert_eq!(first["fields"]["route"], "/v1/feed");
        let time = first["time"].as_str().expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z') && time.contains('T'), "{time}");
        assert!(lines[1].get("request_id").is_none());
        let text = lines[1]["fields"]["text"].as_str().expect("text");
        assert_eq!(text.chars().count(), VALUE_CHARACTERS + 1);
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(Time(1_764_108_070_007)), "2025-11-25T22:01:10.007Z");
    }
}
