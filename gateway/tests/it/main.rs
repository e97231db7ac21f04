//! Tests of `gateway` against nodes that are honest, that lie, and that are gone.

mod acknowledging;
mod decisions;
mod face;
mod faults;
mod following;
mod node;
#[path = "../../../verifier/tests/it/world.rs"]
mod world;
