//! Formats and pipeline, the latter against a node in this process that can misbehave.

mod archives;
mod cuts;
mod field;
mod formats;
mod hostile;
mod line;
mod made;
mod made_x509;
mod mapping;
mod mending;
mod microchip;
mod microchip_pipeline;
mod microchip_traps;
mod node;
mod pipeline;
mod property;
mod recovery;
mod traps;
mod x509;
mod x509_files;
