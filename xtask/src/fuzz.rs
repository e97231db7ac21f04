//! `cargo xtask fuzz`: every fuzz target for a few seconds, on the stable toolchain.

use crate::shell::{Result, cargo, succeeds};

const MANIFEST: &str = "fuzz/Cargo.toml";

/// Passes the options on to the driver, which knows the targets.
pub(crate) fn run(options: &[&str]) -> Result<bool> {
    let driver = ["run", "--quiet", "--locked", "--manifest-path", MANIFEST, "--bin", "smoke"];
    succeeds(cargo(&driver).arg("--").args(options))
}
