//! The ledger among several organisations: BFT consensus, and leaves that travel beside it.

mod gather;
mod limits;
mod proposal;
mod ready;
