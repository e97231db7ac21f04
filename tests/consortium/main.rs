//! A consortium of four validators with real processes, and what goes wrong around it: nodes that
//! are killed, networks that are cut, clocks, disks, backups and races.

mod audit;
mod clocks;
mod cluster;
mod crash;
mod disks;
mod door;
mod front;
mod link;
mod listener;
mod load;
mod network;
mod node;
mod parted;
mod ports;
mod private;
mod race;
#[cfg(feature = "postgres")]
#[path = "../../registry/tests/it/server.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod server;
mod soak;
#[cfg(feature = "postgres")]
mod stores;
mod watch;
mod wire;
