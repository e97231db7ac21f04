//! cargo-deb, which writes Debian packages: installed below `target` if it is not there.

use super::done;
use crate::shell::{Result, cargo, output_of, program, root};
use std::path::PathBuf;

/// The version that was tried. A newer one may lay out packages differently.
const VERSION: &str = "3.8.0";

/// Where it is; installs it first if need be (a minute and a half of one core).
pub(crate) fn ensure() -> Result<PathBuf> {
    let tools = root().join("target/tools");
    let binary = tools.join("bin/cargo-deb");
    let found = output_of(program(&binary.display().to_string()).arg("--version"));
    if found.is_some_and(|found| found.ends_with(VERSION)) {
        return Ok(binary);
    }
    let mut install = cargo(&["install", "--quiet", "--locked", "--force", "--version", VERSION]);
    install.arg("cargo-deb").arg("--root").arg(&tools);
    install.env("CARGO_TARGET_DIR", tools.join("build")).env_remove("RUSTFLAGS");
    done(&mut install)?;
    let _ = std::fs::remove_dir_all(tools.join("build"));
    Ok(binary)
}
