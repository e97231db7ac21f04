//! One module for each command. They print results; what they do is done by the crates below.

mod approve;
#[cfg(feature = "node")]
mod audit;
#[cfg(feature = "node")]
mod backup;
mod change;
mod cohort;
mod config;
mod confirm;
mod coverage;
mod device;
#[cfg(feature = "node")]
mod enrol;
mod gateway;
mod gateways;
mod init;
mod key;
mod ledger;
#[cfg(feature = "node")]
mod ledger_move;
#[cfg(feature = "node")]
mod lot;
#[cfg_attr(not(feature = "node"), path = "absent.rs")]
mod node;
mod org;
mod ownership;
mod read;
#[cfg(feature = "node")]
mod restore;
mod rules;
#[cfg(feature = "node")]
mod serve;
mod status;

#[cfg(feature = "node")]
pub(crate) use device::{sample::keep as keep_key, window};
#[cfg(feature = "node")]
pub(crate) use enrol::{enrolment, watch, write};
#[cfg(feature = "node")]
pub(crate) use init::{Beginning, Seals, begin};
pub(crate) use ledger::replay;
#[cfg(feature = "node")]
pub(crate) use ledger_move::store_of;
#[cfg(feature = "node")]
pub(crate) use org::Offer;

use crate::cli::{Cli, Command};
use crate::home::Home;
use crate::keys::Keys;
use crate::output::Output;
use anyhow::Result;
use std::process::ExitCode;

/// What every command gets.
pub(crate) struct Session {
    pub(crate) home: Home,
    pub(crate) output: Output,
}

/// Runs the command.
pub(crate) async fn run(cli: Cli, output: Output) -> Result<ExitCode> {
    let named = cli.config.clone();
    let home = Home::at(&cli.home).with_keys(Keys::new(cli.passphrases()));
    let session = Session { home, output };
    match cli.command {
        Command::Node(command) => node::run(&session, command).await,
        Command::Init(arg) => init::run(&session, &arg),
        Command::Config(arg) => config::run(&session, &arg, named.as_deref()),
        Command::Device(arg) => device::run(&session, arg).await,
        Command::Gateway(arg) => gateway::run(&session, *arg).await,
        Command::Gateways(arg) => gateways::run(&session, arg).await,
        Command::Coverage(arg) => coverage::run(&session, &arg).await,
        Command::Resolve(arg) => read::resolve(&session, &arg).await,
        Command::Verify(arg) => read::verify(&session, &arg),
        Command::Show(arg) => read::show(&session, &arg).await,
        Command::Revoke(arg) => change::revoke(&session, arg).await,
        Command::Hold(arg) => change::hold(&session, arg).await,
        Command::Release(arg) => change::release(&session, arg).await,
        Command::Deactivate(arg) => change::deactivate(&session, arg).await,
        Command::Approve(arg) => approve::run(&session, arg).await,
        Command::Rotate(arg) => change::rotate(&session, arg).await,
        Command::Transfer(command) => ownership::transfer(&session, command).await,
        Command::Recover(arg) => ownership::recover(&session, arg).await,
        Command::Cohort(arg) => cohort::run(&session, arg).await,
        Command::Key(arg) => key::run(&session, arg),
        Command::Org(arg) => org::run(&session, arg).await,
        Command::Ledger(arg) => ledger::run(&session, arg).await,
    }
}

/// Resolves when this process is asked to stop (Ctrl-C or SIGTERM), from this call on: whoever
/// says that it is up has called it before.
pub(crate) fn stop_signal() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        match signals {
            [Ok(mut terminate), Ok(mut interrupt)] => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            _ => {
                let _ = tokio::signal::ctrl_c().await;
            }
        }
        crate::notify::stopping();
    }
}

/// From now on a limit on the size of files (`ulimit -f`) fails the write that meets it, as a full
/// disk does, and does not end this process (SIGXFSZ).
pub(crate) fn outlive_limits() {
    use tokio::signal::unix::{SignalKind, signal};
    // The handler stays when the value goes.
    if let Err(error) = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())) {
        tracing::warn!("a limit on the size of files would end this process: {error}");
    }
}

/// A moment for people: RFC 3339 in UTC, to the second.
pub(crate) fn moment(ms: u64) -> String {
    muster_ledger::Time(ms).to_string()
}
