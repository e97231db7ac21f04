//! Tests of `gateway` against nodes that are honest, that lie, and that are gone.

mod cut_off;
mod decisions;
mod face;
mod faults;
mod following;
mod node;
mod presenting;
mod relay;
#[path = "../../../verifier/tests/it/world.rs"]
mod world;
