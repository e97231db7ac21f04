use serde_json::{Value, json};
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
            println!("{}", words.as_ref());
        }
    }

    /// Something to see to, for people and in logs of scripts alike: on standard error.
    pub(crate) fn warn(self, words: impl AsRef<str>) {
        eprintln!("muster: warning: {}", words.as_ref());
    }

    /// The result.
    pub(crate) fn result(self, object: &Value, words: impl AsRef<str>) -> ExitCode {
        if self.json {
            println!("{object}");
        } else {
            println!("{}", words.as_ref());
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
            println!("{}", json!({ "error": format!("{error:#}") }));
        }
        eprintln!("muster: {error:#}");
        ExitCode::FAILURE
    }
}
