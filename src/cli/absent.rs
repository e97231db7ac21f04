//! The commands that this build leaves out. They are known by name, so that whoever calls one is
//! told how to get it, and not that there is no such thing.

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
    #[command(hide = true)]
    Serve(Anything),
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
        false
    }
}

#[derive(Subcommand)]
pub(crate) enum SampleCommand {
    #[command(hide = true)]
    New(Anything),
    #[command(hide = true)]
    Reel(Anything),
}
