use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Where results go: words for people, or with `--json` one object on standard output.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether scripts read the output.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Something on the way, for people only.
    pub(crate) fn say(self, words: impl AsRef<str>) {
        if !self.json {
            print(words.as_ref());
        }
    }

    /// Something to see to, for people and in logs of scripts alike: on standard error.
    pub(crate) fn warn(self, words: impl AsRef<str>) {
        eprintln!("muster: warning: {}", words.as_ref());
    }

    /// The result.
    pub(crate) fn result(self, object: &Value, words: impl AsRef<str>) -> ExitCode {
        if self.json {
            print(object);
        } else {
            print(words.as_ref());
        }
        ExitCode::SUCCESS
    }

    /// A result that is a refusal: exit status 1.
    pub(crate) fn refused(self, object: &Value, words: impl AsRef<str>) -> ExitCode {
        let _ = self.result(object, words);
        ExitCode::FAILURE
    }

    /// A refusal or failure: exit status 1.
    pub(crate) fn failed(self, error: &anyhow::Error) -> ExitCode {
        if self.json {
            print(json!({ "error": format!("{error:#}") }));
        }
        eprintln!("muster: {error:#}");
        ExitCode::FAILURE
    }
}

/// A line on standard output. Whoever reads may have enough of it (`| head -1`): that is no fault.
fn print(line: impl Display) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            // As `println!` does: a script must not take a lost result for a good one.
            panic!("the result cannot be written: {e}");
        }
        _ => {}
    }
}
