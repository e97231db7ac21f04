//! The ledger among several organisations: BFT consensus, and leaves that travel beside it.

pub mod engine;
mod error;

pub use error::Error;
