//! Tests of `gateway` against nodes that are honest, that lie, and that are gone.

mod acknowledging;
#[path = "../../../ledger/tests/it/snapshot/crafted.rs"]
mod crafted;
mod cut_off;
mod decisions;
mod disk;
mod face;
mod faults;
mod fixtures;
mod following;
mod late;
mod mqtt;
mod node;
mod presenting;
mod relay;
mod restart;
mod snapshots;
mod upgrade;
#[path = "../../../verifier/tests/it/world.rs"]
mod world;
