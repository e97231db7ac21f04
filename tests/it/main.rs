//! End-to-end tests, all in one binary: one link, one list of results.

mod approval;
mod architecture;
mod at_once;
mod balance;
mod bench;
mod cohort;
mod config;
#[cfg(feature = "consortium")]
mod consortium;
mod coverage;
mod cuts;
mod door;
mod enrol;
mod face;
mod factory;
mod fixtures;
mod keys;
mod logs;
mod lost_key;
mod members;
#[cfg(feature = "postgres")]
mod moving;
mod muster;
mod ownership;
mod recover;
#[cfg(feature = "postgres")]
#[path = "../../registry/tests/it/server.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod server;
mod snapshot;
mod story;
#[cfg(feature = "pkcs11")]
mod token;
mod validator;
