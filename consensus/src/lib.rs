//! The ledger among several organisations: BFT consensus, and leaves that travel beside it.

mod error;
pub mod exchange;
mod gather;
pub mod limits;
mod proposal;
mod ready;

pub use error::Error;
