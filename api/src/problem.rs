use serde::{Deserialize, Serialize};
use std::fmt;

/// A refusal, as RFC 9457 writes it (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:muster:problem:` and a stable code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it, where there is something.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

const PREFIX: &str = "urn:muster:problem:";

impl Problem {
    /// The code of a node that has no signed head to answer by yet: it waits for the others.
    pub const STARTING: &str = "starting";

    /// A refusal with a stable code.
    pub fn new(status: u16, code: &str, title: impl Into<String>) -> Self {
        Self { kind: format!("{PREFIX}{code}"), title: title.into(), status, detail: None }
    }

    /// Adds the cure.
    pub fn cure(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        self.kind.strip_prefix(PREFIX).unwrap_or(&self.kind)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.title, self.code())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, "; {detail}"))
    }
}

impl std::error::Error for Problem {}

impl From<muster_ledger::Refusal> for Problem {
    fn from(refusal: muster_ledger::Refusal) -> Self {
        use muster_ledger::Refusal as R;
        let status = match &refusal {
            R::UnknownBatch(_) | R::UnknownGrant(_) | R::UnknownHold(_) | R::UnknownProposal(_) => {
                404
            }
            R::UnknownAuthor(_) | R::NotAKeyOf { .. } | R::Capability { .. } | R::NotOwner(_) => {
                403
            }
            R::Corrupt(_) => 500,
            _ => 409,
        };
        let problem = Self::new(status, refusal.code(), refusal.to_string());
        match &refusal {
            R::TooManyEnded { .. } => problem.cure(
                "propose it, and another person approves (--propose, then `muster approve`); you may \
                 hold at once",
            ),
            R::NeedsApproval(_) => {
                problem.cure("propose it, and another person approves (--propose, `muster approve`)")
            }
            R::Upgrade { .. } => problem.cure("install a version of muster that knows it"),
            _ => problem,
        }
    }
}
