//! How tasks start programs: from the repository root, without standard input, all builds in
//! one target directory.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fmt::Display};

/// A task that could not be carried out; the text says what to do about it.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// The repository root. Asked for when running: two checkouts may share a target directory, and
/// then the path compiled in may be the other's.
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    here.parent().expect("xtask lies one level below the root").to_owned()
}

/// Where every build goes, also those of `fuzz` and `device/no_std`, which are workspaces of
/// their own: what they share with the main one is then compiled once.
pub(crate) fn target_dir() -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty());
    // Relative to the root, where programs are started.
    root().join(named.unwrap_or_else(|| "target".into()))
}

/// A cargo command.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.args(arguments).env("CARGO_TARGET_DIR", target_dir());
    command
}

/// Any other command.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a command to its end and says whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    announce(command);
    command.status().map(|status| status.success()).map_err(|e| cannot_start(command, &e))
}

/// Runs a command quietly; `None` if it is not installed.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Prints the command line about to run.
pub(crate) fn announce(command: &Command) {
    let name = PathBuf::from(command.get_program());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    println!("\n$ {name} {}", arguments.join(" "));
}

/// The error of a program that is missing or not executable.
pub(crate) fn cannot_start(command: &Command, fault: &dyn Display) -> String {
    format!("cannot start {}: {fault}", command.get_program().to_string_lossy())
}
