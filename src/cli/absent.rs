//! The commands that this build leaves out. They are known by name, so that whoever calls one is
//! told how to get it, and not that there is no such thing.

use super::Serve;
use clap::{Args, Subcommand};
use std::ffi::OsString;

/// Whatever follows the name.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Anything {
    #[arg(hide = true, num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<OsString>,
}

#[derive(Subcommand)]
pub(crate) enum NodeCommand {
    #[command(hide = true)]
    Demo(Anything),
    /// Whole, since its settings stand in the file of a gateway on the same machine.
    #[command(hide = true)]
    Serve(Box<Serve>),
    #[command(hide = true)]
    Backup(Anything),
    #[command(hide = true)]
    Restore(Anything),
    #[command(hide = true)]
    Enrol(Anything),
    #[command(hide = true)]
    Lot(Anything),
    #[command(hide = true)]
    Bench(Anything),
}

impl NodeCommand {
    pub(crate) fn is_server(&self) -> bool {
        matches!(self, Self::Serve(_))
    }
}

#[derive(Subcommand)]
pub(crate) enum SampleCommand {
    #[command(hide = true)]
    New(Anything),
    #[command(hide = true)]
    Reel(Anything),
}
