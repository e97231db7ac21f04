//! The binary `muster`: command line, wiring, HTTP routes and the demonstration. The wall
//! clock, the environment and randomness enter the project here and nowhere else.

#[cfg_attr(not(feature = "node"), allow(dead_code, reason = "a node alone looks"))]
mod begun;
#[cfg(feature = "node")]
mod bench;
mod cli;
mod commands;
#[cfg(feature = "node")]
mod demo;
mod home;
mod host;
#[cfg(feature = "node")]
mod http;
mod keys;
mod listen;
mod notify;
mod output;
mod signing;
mod version;

use clap::Parser as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let output = output::Output::new(cli.json);
    start_log(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return output.failed(&anyhow::anyhow!("no threads can be started: {e}")),
    };
    match runtime.block_on(commands::run(cli, output)) {
        Ok(code) => code,
        Err(e) => output.failed(&e),
    }
}

/// Logs go to standard error: warnings, or for servers also what they do. `MUSTER_LOG` sets
/// another filter, such as `debug`.
fn start_log(cli: &cli::Cli) {
    let default = if cli.command.is_server() { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("MUSTER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
