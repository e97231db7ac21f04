//! Tests of `ledger`: against independent implementations, tables of what may and may not be
//! done, random histories, and the project's own vectors.

mod device_keys;
mod holds;
mod merkle;
mod network;
mod organisation;
mod refusals;
mod standing;
mod state_tree;
