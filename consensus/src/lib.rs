//! The ledger among several organisations: BFT consensus, and leaves that travel beside it.

mod bft;
pub mod engine;
mod error;
mod evidence;
pub mod exchange;
mod following;
mod gather;
mod handover;
mod heads;
mod hosting;
mod leaves;
#[cfg(test)]
mod liars;
pub mod limits;
mod proposal;
mod ready;
mod serving;
mod viewing;
mod votes_from;

pub use bft::{Bft, Settings};
pub use error::Error;
