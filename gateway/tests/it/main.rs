//! Tests of `gateway` against nodes that are honest, that lie, and that are gone.

mod acknowledging;
mod cut_off;
mod decisions;
mod face;
mod faults;
mod following;
mod mqtt;
mod node;
mod presenting;
#[path = "../../../verifier/tests/it/world.rs"]
mod world;
