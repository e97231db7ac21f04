//! Tests of `ledger`: against independent implementations, tables of what may and may not be
//! done, random histories, and the project's own vectors.

mod blocks;
mod bundles;
mod chained;
mod checkpoint;
mod consortium;
mod decisions;
mod device_keys;
mod encodings;
mod governed;
mod histories;
mod holds;
mod later_version;
mod merkle;
mod network;
mod organisation;
mod ownership;
mod proposals;
mod protocol;
mod receipt;
mod recovery;
mod refusals;
mod rules;
mod sizes;
mod snapshot;
mod standing;
mod state_tree;
mod validators;
mod vectors;
