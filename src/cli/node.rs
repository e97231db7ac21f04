//! The commands that feature `node` brings; `absent.rs` stands in for this file without it.

use super::{Backup, Bench, Demo, DeviceNew, DeviceReel, Enrol, Lot, Restore, Serve};
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum NodeCommand {
    /// Everything on this machine, by one command: enrol, pass a gateway, revoke, be refused.
    Demo(Demo),
    /// Run a node.
    Serve(Box<Serve>),
    /// Copy a node's ledger and private directory while it runs.
    Backup(Backup),
    /// Put a backup back and take from gateways and nodes what happened since.
    Restore(Restore),
    /// Enrol the devices of one or more files.
    Enrol(Box<Enrol>),
    /// Lots of the factory: whether made = shipped + rework + scrap, and the end of scrap.
    #[command(subcommand)]
    Lot(Lot),
    /// Measure Muster beside the limit of this machine.
    #[command(subcommand)]
    Bench(Bench),
}

impl NodeCommand {
    /// Whether it stays up and logs what it does.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self, Self::Serve(_))
    }
}

/// Commands of `muster device` that write manifests.
#[derive(Subcommand)]
pub(crate) enum SampleCommand {
    /// Make a key and print the device's row for a manifest.
    New(DeviceNew),
    /// Make up a reel of secure elements with its vendor's signed manifest, to try things out.
    Reel(DeviceReel),
}
