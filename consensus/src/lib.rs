//! The ledger among several organisations: BFT consensus, and leaves that travel beside it.

mod error;
pub mod exchange;
pub mod limits;

pub use error::Error;
