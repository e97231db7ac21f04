//! `muster backup` and `muster restore`.

use super::{CaArg, KnownHead};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Backup {
    /// A new folder for it. It is as secret as the serial numbers in it.
    pub(crate) dir: PathBuf,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The folder that `muster backup` made.
    pub(crate) dir: PathBuf,
    /// A gateway of the network (its own address, not the service's). Name every one that can be
    /// reached: the highest head that any of them holds counts.
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Vec<String>,
    /// Another node of the network, likewise.
    #[arg(long, value_name = "URL")]
    pub(crate) node: Vec<String>,
    /// The newest head that anybody has, if nobody can be asked: number of log entries, a colon,
    /// log root in base64. Whoever says it answers for it.
    #[arg(long, value_name = "SIZE:ROOT")]
    pub(crate) head: Option<KnownHead>,
    /// Recompute every row of every table before the folder is put in place.
    #[arg(long)]
    pub(crate) audit: bool,
    /// Speak plain HTTP beyond this machine. Only inside a tunnel.
    #[arg(long)]
    pub(crate) without_tls: bool,
    #[command(flatten)]
    pub(crate) ca: CaArg,
}
