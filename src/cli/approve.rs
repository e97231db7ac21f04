//! `muster approve`, and `--propose` of other commands.

use super::{SignArg, WatchArg};
use clap::Args;

#[derive(Args)]
pub(crate) struct Approve {
    /// The proposal: its id, or the first 8 digits or more. Without it, those that wait are listed.
    pub(crate) proposal: Option<String>,
    /// List those that wait, and do nothing.
    #[arg(long, conflicts_with = "proposal")]
    pub(crate) list: bool,
    /// End it without carrying it out: withdraw your own, reject another's.
    #[arg(long, requires = "proposal")]
    pub(crate) reject: bool,
    /// Do it without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) watch: WatchArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}

/// Whether to propose instead of doing.
#[derive(Args, Clone, Copy)]
pub(crate) struct ProposeArg {
    /// Propose it, for others to approve (`muster approve`), instead of doing it.
    #[arg(long)]
    pub(crate) propose: bool,
    /// Hours until the proposal expires.
    #[arg(long, value_name = "HOURS", default_value_t = 72, requires = "propose",
          value_parser = clap::value_parser!(u64).range(1..=168))]
    pub(crate) expires: u64,
}
