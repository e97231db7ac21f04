//! The registry from outside, on real files.

mod attacks;
mod audit;
mod clock;
mod console;
mod coverage;
mod durability;
mod enrol;
mod feed;
mod fixtures;
mod folder;
mod governance;
mod handed_over;
mod load;
mod lots;
mod network;
#[cfg(feature = "postgres")]
mod on_postgres;
mod readers;
mod restore;
#[cfg(feature = "postgres")]
#[allow(dead_code, reason = "the tests of the binary need more of it")]
mod server;
mod standing;
mod together;
mod transfer;
mod uploads;
mod verdicts;
