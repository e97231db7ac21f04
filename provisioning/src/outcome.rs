use muster_identity::Did;
use muster_ledger::BatchId;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::time::Duration;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Enrolled now; on a dry run: it would be.
    Enrolled,
    /// Enrolled before, with the same key and serial: nothing to do.
    Already,
    /// Without a key: feed the row again when the line has it.
    Waiting,
    /// Refused, for a reason.
    Refused,
}

/// How many rows became what. As JSON it is how `muster enrol --json` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Enrolled now; on a dry run: would be.
    pub enrolled: u64,
    /// Enrolled before.
    pub already: u64,
    /// Without a key.
    pub waiting: u64,
    /// Refused.
    pub refused: u64,
    /// All of them.
    pub rows: u64,
}

impl Counts {
    /// Counts a row in, or out again.
    pub(crate) fn add(&mut self, outcome: Option<Outcome>, by: i64) {
        let of = match outcome {
            None => None,
            Some(Outcome::Enrolled) => Some(&mut self.enrolled),
            Some(Outcome::Already) => Some(&mut self.already),
            Some(Outcome::Waiting) => Some(&mut self.waiting),
            Some(Outcome::Refused) => Some(&mut self.refused),
        };
        if let Some(of) = of {
            *of = of.saturating_add_signed(by);
        }
        self.rows = self.rows.saturating_add_signed(by);
    }
}

/// How long each part took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Elapsed {
    /// Reading the files and checking every row.
    pub reading: Duration,
    /// Sending rows to the node, and its checks.
    pub staging: Duration,
    /// Leaf trees, ours and the node's.
    pub sealing: Duration,
    /// From the signature to the checked acknowledgement.
    pub acknowledging: Duration,
}

/// The whole command in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The outcomes.
    pub counts: Counts,
    /// Whether it was only a rehearsal.
    pub dry_run: bool,
    /// What the user should know, such as an unknown column.
    pub warnings: Vec<String>,
    /// How long it took.
    pub elapsed: Elapsed,
}

/// One row of the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowOutcome<'a> {
    /// The file, if the command had several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    /// Where the row begins, from 1.
    pub line: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused or waits: a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'static, str>>,
    /// Which field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<&'static str>,
    /// What the user should know though it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// Serial number, if it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Box<str>>,
    /// The device, if it has a key.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub did: Option<Did>,
    /// Its batch, if it was enrolled now.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub batch: Option<BatchId>,
}

fn text<T: ToString, S: Serializer>(id: &Option<T>, s: S) -> Result<S::Ok, S::Error> {
    id.as_ref().map(ToString::to_string).serialize(s)
}

/// What the command is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading the files and checking every row.
    Reading,
    /// Sending rows to the node.
    Staging,
    /// Comparing leaf trees with the node.
    Sealing,
    /// Waiting for the quorum.
    Acknowledging,
}

/// Part of the bytes of all files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    /// Read so far.
    pub done: u64,
    /// Of how many.
    pub total: u64,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Rows done with; batches in the last two phases.
    pub done: u64,
    /// Of how many, where that is known.
    pub total: Option<u64>,
    /// Outcomes so far; while files are read, only what waits or is refused.
    pub counts: Counts,
    /// While files are read: how far that is, in bytes of the files.
    pub bytes: Option<Bytes>,
}
