//! What goes wrong around a running node, tried with the real binary: a disk that is lost, full
//! or read-only, a stop under load, too many connections, two nodes in one folder.

mod disk;
mod fleet;
mod folder;
#[path = "../it/muster.rs"]
#[allow(dead_code, reason = "what the other tests need is there too")]
mod muster;
mod restore;
mod stop;
