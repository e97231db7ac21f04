//! Muster inside Mosquitto: `libmuster_mosquitto.so`, a plugin for Mosquitto 2.x (plugin
//! interface version 5). The whole gateway runs inside the broker: a follower on threads of its
//! own, and decisions by what is in memory, with no call out for a connection.
//!
//! - `ffi`: the C interface, the one place with `unsafe`; no decision is made there.
//! - `abi`: the structures of that interface.
//! - `plugin`: what happens at each event of the broker, in safe Rust.
//! - `options`: `plugin_opt_...` of `mosquitto.conf`.
//! - `log`: lines for the broker's log, bounded.
//!
//! What is absent: a decision of its own. Devices, topics and sessions are judged by
//! `muster_gateway::BrokerDoor`, as for brokers that ask over HTTP. See `docs/mosquitto.md`.

// Unit tests are programs of their own: there is no broker whose functions they could call.
#![cfg_attr(test, allow(dead_code))]

mod abi;
#[cfg(not(test))]
mod ffi;
mod host;
mod limits;
mod log;
mod options;
mod plugin;
