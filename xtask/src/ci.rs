//! `cargo xtask ci`: everything a change must pass. All steps run even if one fails, so one run
//! tells all; the tests go last, so their summary ends the output.

use crate::shell::{Result, cargo, output_of, succeeds};
use crate::{fuzz, suite};
use std::time::{Duration, Instant};

/// Seconds per fuzz target: enough to catch a decoder that panics at once, short enough for
/// every change. Longer runs are `cargo xtask fuzz --seconds N`.
const FUZZ_SECONDS: &str = "2";

/// Workspaces of their own, which `--workspace` does not reach.
const OUTER_MANIFESTS: [&str; 2] = ["fuzz/Cargo.toml", "device/no_std/Cargo.toml"];

struct Step {
    name: &'static str,
    outcome: &'static str,
    time: Duration,
}

/// Runs every step and prints the table.
pub(crate) fn run() -> Result<bool> {
    let mut steps = Vec::new();
    let mut step = |name, task: &mut dyn FnMut() -> Result<&'static str>| {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = task().unwrap_or_else(|fault| {
            println!("{fault}");
            FAILED
        });
        steps.push(Step { name, outcome, time: start.elapsed() });
    };
    step("format", &mut format);
    step("clippy", &mut clippy);
    step("small build", &mut small_build);
    step("documentation", &mut documentation);
    step("dependency rules", &mut dependency_rules);
    step("fuzz smoke run", &mut || fuzz::run(&["--seconds", FUZZ_SECONDS]).map(word));
    let mut line = "0 passed, 0 failed".to_owned();
    step("tests", &mut || {
        let report = suite::run()?;
        line = report.line();
        Ok(word(report.passed()))
    });

    println!("\n== summary");
    for step in &steps {
        println!("{:<18}{:<10}{:>5} s", step.name, step.outcome, step.time.as_secs());
    }
    println!("{line}");
    Ok(steps.iter().all(|step| step.outcome != FAILED))
}

const FAILED: &str = "FAILED";

fn word(succeeded: bool) -> &'static str {
    if succeeded { "ok" } else { FAILED }
}

fn format() -> Result<&'static str> {
    let mut formatted = succeeds(&mut cargo(&["fmt", "--all", "--check"]))?;
    for manifest in OUTER_MANIFESTS {
        let arguments = ["fmt", "--check", "--manifest-path", manifest];
        formatted &= succeeds(&mut cargo(&arguments))?;
    }
    Ok(word(formatted))
}

fn clippy() -> Result<&'static str> {
    let whole = ["clippy", "--workspace", "--all-targets", "--all-features", "--locked"];
    let outer = ["clippy", "--locked", "--manifest-path", OUTER_MANIFESTS[0]];
    let deny = ["--", "-D", "warnings"];
    let whole = succeeds(cargo(&whole).args(deny))?;
    Ok(word(succeeds(cargo(&outer).args(deny))? && whole))
}

/// The build for gateways: that it compiles, and says how to get what it leaves out.
fn small_build() -> Result<&'static str> {
    let small =
        ["--package", "muster", "--no-default-features", "--features", "gateway", "--locked"];
    let deny = ["--", "-D", "warnings"];
    let clean = succeeds(cargo(&["clippy", "--all-targets"]).args(small).args(deny))?;
    Ok(word(succeeds(cargo(&["test", "--bin", "muster"]).args(small))? && clean))
}

fn documentation() -> Result<&'static str> {
    let arguments = ["doc", "--no-deps", "--workspace", "--all-features", "--locked"];
    succeeds(cargo(&arguments).env("RUSTDOCFLAGS", "-D warnings")).map(word)
}

fn dependency_rules() -> Result<&'static str> {
    if output_of(&mut cargo(&["deny", "--version"])).is_none() {
        println!("cargo-deny is not installed, so licences and advisories were not checked.");
        println!("To check them: cargo install cargo-deny && cargo deny check");
        return Ok("skipped");
    }
    succeeds(&mut cargo(&["deny", "--workspace", "--all-features", "check"])).map(word)
}
