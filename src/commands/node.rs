//! The commands that feature `node` brings; `absent.rs` stands in for this file without it.

pub(super) use super::audit::run as audit;
pub(super) use super::device::sample::run as sample;
pub(super) use super::ledger_move::{export, import};

use super::{Session, backup, enrol, lot, restore, serve};
use crate::cli::NodeCommand;
use anyhow::Result;
use std::process::ExitCode;

pub(super) async fn run(session: &Session, command: NodeCommand) -> Result<ExitCode> {
    match command {
        NodeCommand::Demo(arg) => crate::demo::run(session, &arg).await,
        NodeCommand::Serve(arg) => serve::run(session, &arg).await,
        NodeCommand::Backup(arg) => backup::run(session, &arg).await,
        NodeCommand::Restore(arg) => restore::run(session, &arg).await,
        NodeCommand::Enrol(arg) => enrol::run(session, *arg).await,
        NodeCommand::Lot(arg) => lot::run(session, arg).await,
        NodeCommand::Bench(arg) => crate::bench::run(session, arg).await,
    }
}
