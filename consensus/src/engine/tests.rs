//! Real engines over TCP in one process, with a ledger in memory. Each has a runtime of its own,
//! so that one can be killed.

mod faults;
mod network;
mod partitions;
mod together;
mod wire;
