//! The registry from outside, on real files.

mod audit;
mod durability;
mod enrol;
mod feed;
mod load;
mod network;
mod standing;
mod verdicts;
