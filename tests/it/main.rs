//! End-to-end tests, all in one binary: one link, one list of results.

mod architecture;
mod bench;
mod enrol;
mod muster;
mod story;
