//! A consortium of four validators with real processes, and what goes wrong around it: nodes that
//! are killed, networks that are cut, clocks, disks, backups and races.

mod audit;
mod clocks;
mod cluster;
mod crash;
mod disks;
mod door;
mod link;
mod load;
mod network;
mod node;
mod parted;
mod ports;
mod race;
mod soak;
mod watch;
