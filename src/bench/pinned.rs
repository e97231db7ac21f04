//! One core for the server that is measured, the others for whoever asks it: by `taskset`, where
//! there is one and more than one core.

use super::cores;
use anyhow::{Context as _, Result, ensure};
use std::process::{Command, Stdio};

/// The server's core.
const SERVER: &str = "0";

/// Moves this process, and all it starts from now on, off the server's core. Whether it could.
pub(super) fn step_aside() -> Result<bool> {
    let cores = cores::count();
    if cores < 2 || !exists() {
        return Ok(false);
    }
    let others = format!("1-{}", cores - 1);
    let own = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &others, &own])
        .stdout(Stdio::null())
        .status()
        .context("taskset")?;
    ensure!(status.success(), "taskset cannot move this process to the cores {others}");
    Ok(true)
}

/// This executable on the server's core; wherever the system likes if there is no `taskset`.
pub(super) fn command() -> Result<Command> {
    let own = std::env::current_exe()?;
    if !exists() {
        return Ok(Command::new(own));
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", SERVER]).arg(own);
    Ok(command)
}

fn exists() -> bool {
    let asked = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}
