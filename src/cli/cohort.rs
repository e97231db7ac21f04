//! `muster cohort`.

use super::{ProposeArg, SignArg};
use clap::Args;

#[derive(Args)]
pub(crate) struct Cohort {
    /// The key that signed the enrolments (Multikey).
    #[arg(long, value_name = "MULTIKEY")]
    pub(crate) signed_by: String,
    /// From this block on; the last moment at which the key was surely yours.
    #[arg(long, value_name = "HEIGHT", default_value_t = 1)]
    pub(crate) since: u64,
    /// Revoke for good instead of holding.
    #[arg(long)]
    pub(crate) revoke: bool,
    /// Show what it is, do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do it without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Public reason.
    #[arg(long, default_value = "enrolled by a key that is no longer trusted")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) propose: ProposeArg,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}
