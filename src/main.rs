//! The binary `muster`: command line, wiring, HTTP routes and the demonstration. The wall
//! clock, the environment and randomness enter the project here and nowhere else.

#[cfg_attr(not(feature = "node"), allow(dead_code, reason = "a node alone looks"))]
mod begun;
#[cfg(feature = "node")]
mod bench;
#[cfg(feature = "node")]
mod child;
mod cli;
mod commands;
mod config;
mod consortium;
#[cfg(feature = "node")]
mod demo;
mod home;
mod host;
// A gateway alone needs a part of it.
#[cfg_attr(not(feature = "node"), allow(dead_code))]
mod http;
mod keys;
mod listen;
mod logs;
mod metrics;
mod notify;
mod observed;
mod output;
mod reading;
mod signing;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match config::command_line(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(e) => return output::Output::new(is_json()).failed(&e),
    };
    let output = output::Output::new(cli.json);
    logs::start(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return output.failed(&anyhow::anyhow!("no threads can be started: {e}")),
    };
    match runtime.block_on(commands::run(cli, output)) {
        Ok(code) => code,
        Err(e) => output.failed(&e),
    }
}

/// Whether scripts read the output, before the command line is understood.
fn is_json() -> bool {
    std::env::args_os().any(|arg| arg == "--json")
}
