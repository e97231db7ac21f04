//! What goes wrong around a running node, tried with the real binary.

#[path = "../it/muster.rs"]
mod muster;
mod restore;
