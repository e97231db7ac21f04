//! Tests of `verifier`: what passes, what is refused and why, and properties.

mod policy;
mod property;
mod replay;
mod standing;
mod time;
mod world;
