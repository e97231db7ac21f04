//! End-to-end tests, all in one binary: one link, one list of results.

mod architecture;
mod balance;
mod bench;
mod muster;
mod story;
