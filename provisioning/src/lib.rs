//! Enrols a file of devices through a node: manifest formats (pure, one file each), the pipeline
//! that checks, stages, seals and signs, and what became of every row.

mod archives;
mod batches;
mod check;
mod enrolment;
mod error;
pub mod formats;
mod journal;
mod keys;
pub mod limits;
mod line;
mod making;
mod mending;
mod meter;
mod missing;
mod node;
mod outcome;
mod parsing;
mod reading;
mod reasons;
mod recovery;
mod results;
mod rows;
pub mod sample;
mod sealing;
mod sorted;
mod sources;
mod spool;
mod staging;
mod words;
pub mod x509;

pub use batches::EnrolledBatch;
pub use enrolment::Enrolment;
pub use error::{Error, Fault, Unit};
pub use keys::{LineKey, LineKeys};
pub use mending::{Mendable, Rejects};
pub use node::{Answer, Node};
pub use outcome::{Bytes, Counts, Elapsed, Outcome, Phase, Progress, RowOutcome, Summary};
pub use reasons::RowFault;
pub use results::Finished;
pub use sources::{SourceOptions, Sources};
