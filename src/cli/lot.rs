//! `muster lot`.

use super::{ReadArg, SignArg};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Lot {
    /// Say whether lots add up: made = shipped + rework + scrap; exit status 1 where one does not.
    Report(LotReport),
    /// Revoke what the line scrapped and is still valid.
    Scrap(LotScrap),
}

#[derive(Args)]
pub(crate) struct LotReport {
    /// The lot; every lot without it.
    pub(crate) lot: Option<String>,
    /// Only this order.
    #[arg(long)]
    pub(crate) order: Option<String>,
    /// Name every device that was not shipped, by its serial number.
    #[arg(long)]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) read: ReadArg,
}

#[derive(Args)]
pub(crate) struct LotScrap {
    /// The lot.
    pub(crate) lot: String,
    /// Only this order.
    #[arg(long)]
    pub(crate) order: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) sign: SignArg,
}
