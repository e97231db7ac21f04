//! End-to-end tests, all in one binary: one link, one list of results.

mod architecture;
mod at_once;
mod balance;
mod bench;
mod coverage;
mod cuts;
mod enrol;
mod factory;
mod muster;
mod snapshot;
mod story;
