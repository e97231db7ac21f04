//! `GET /v1/limits`: the bounds of the code that answers.

use muster_ledger::Bound;
use serde::{Deserialize, Serialize};

/// `GET /v1/limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsView {
    /// By crate, in the order in which they stand in the code.
    pub limits: Vec<LimitView>,
}

/// A bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitView {
    /// The crate that has it: `ledger`, `api`, `verifier`, `gateway`.
    #[serde(rename = "crate")]
    pub of: String,
    /// Its name in the code.
    pub name: String,
    /// The number; two where the unit names two.
    pub value: LimitValue,
    /// What it counts.
    pub unit: String,
    /// What it bounds, and why so.
    pub reason: String,
}

/// One number, or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LimitValue {
    /// One.
    One(u64),
    /// Two, in the order in which the unit names them.
    Two([u64; 2]),
}

impl LimitsView {
    /// The bounds of these crates.
    pub fn of(crates: &[(&str, Vec<Bound>)]) -> Self {
        let view = |of: &str, bound: &Bound| LimitView {
            of: of.into(),
            name: bound.name.into(),
            value: match bound.value {
                (one, None) => LimitValue::One(one),
                (first, Some(second)) => LimitValue::Two([first, second]),
            },
            unit: bound.unit.into(),
            // Links to other constants are for those who read the code.
            reason: bound.reason.replace("[`", "").replace("`]", ""),
        };
        let limits = crates.iter().flat_map(|(of, all)| all.iter().map(|bound| view(of, bound)));
        Self { limits: limits.collect() }
    }
}
