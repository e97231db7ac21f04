//! Tests of `gateway` against nodes that are honest, that lie, and that are gone.

#[path = "../../../ledger/tests/it/snapshot/crafted.rs"]
mod crafted;
mod decisions;
mod face;
mod faults;
mod following;
mod node;
mod restart;
mod snapshots;
#[path = "../../../verifier/tests/it/world.rs"]
mod world;
