//! What consoles ask, against a model of it.

mod batches;
mod fleet;
mod over_time;
mod searching;
