//! Formats and pipeline, the latter against a node in this process that can misbehave.

mod formats;
mod made;
mod node;
mod pipeline;
mod property;
mod traps;
