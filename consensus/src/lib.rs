//! The ledger among several organisations: BFT consensus, and leaves that travel beside it.

#[cfg(feature = "nodes")]
mod bft;
#[cfg(feature = "nodes")]
pub mod engine;
#[cfg(feature = "nodes")]
mod error;
#[cfg(feature = "nodes")]
mod evidence;
#[cfg(feature = "nodes")]
pub mod exchange;
#[cfg(feature = "nodes")]
mod following;
#[cfg(feature = "nodes")]
mod gather;
#[cfg(feature = "nodes")]
mod handover;
#[cfg(feature = "nodes")]
mod heads;
#[cfg(feature = "nodes")]
mod hosting;
#[cfg(feature = "nodes")]
mod leaves;
pub mod limits;
pub mod message;
#[cfg(feature = "nodes")]
mod proposal;
#[cfg(feature = "nodes")]
mod ready;
#[cfg(feature = "nodes")]
mod serving;
#[cfg(all(test, feature = "nodes"))]
mod tests;
#[cfg(feature = "nodes")]
mod viewing;
#[cfg(feature = "nodes")]
mod votes_from;

#[cfg(feature = "nodes")]
pub use bft::{Bft, Settings};
#[cfg(feature = "nodes")]
pub use error::Error;
