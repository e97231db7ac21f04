//! Tests of `identity` against other people's vectors, its own, and properties.

mod cctv;
mod document;
mod inputs;
mod made;
mod property;
mod tampering;
mod vectors;
mod wycheproof;
