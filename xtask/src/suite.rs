//! `cargo xtask test`: every test there is, and one line that says how it went.

use crate::shell::{Result, announce, cannot_start, cargo, root, succeeds};
use crate::{machine, package, setup};
use std::io::{self, BufRead, BufReader, Write};
use std::process::Stdio;

/// The bare-metal program: the device crate without an operating system's library.
const DEVICE_PROGRAM: &str = "device/no_std/Cargo.toml";

/// Bytes of what failed tests said that are told again at the end: enough for the first few.
const MAX_FAILURES: usize = 20_000;

/// How the tests went.
pub(crate) struct Report {
    count: Count,
    /// What the failed tests said, again: the lines above may be many thousands.
    failures: String,
    tests_succeeded: bool,
    device_succeeded: bool,
}

/// Tests passed and failed, over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Report {
    /// Whether all of it succeeded.
    pub(crate) fn passed(&self) -> bool {
        self.tests_succeeded && self.device_succeeded
    }

    /// The last line of a run.
    pub(crate) fn line(&self) -> String {
        let mut notes = self.failures.clone();
        if !self.device_succeeded {
            notes.push_str("FAILED: the no_std device program (see above)\n");
        }
        if !self.tests_succeeded && self.count.failed == 0 {
            notes.push_str("FAILED: the tests did not build, or a test process died (see above)\n");
        }
        format!("{notes}{} passed, {} failed", self.count.passed, self.count.failed)
    }
}

/// Prepares and runs. The device program goes first, so that the test runner's own summary is
/// what the output ends with.
pub(crate) fn run() -> Result<Report> {
    let vectors = setup::run()?;
    package::ensure_tool()?;
    let machine = machine::ensure()?;
    let device_succeeded = device_program()?;
    // Without --no-fail-fast the first failing binary would hide the others from the count.
    let mut command =
        cargo(&["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]);
    if let Some(dir) = vectors {
        command.env("MUSTER_VECTORS", dir);
    }
    if let Some(dir) = machine {
        command.env("MUSTER_MACHINE", dir);
    }
    announce(&command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|e| cannot_start(&command, &e))?;
    let output = child.stdout.take().expect("standard output was piped");
    let (count, failures) = stream(BufReader::new(output), io::stdout())
        .map_err(|e| format!("reading test output: {e}"))?;
    let status = child.wait().map_err(|e| format!("waiting for the tests: {e}"))?;
    Ok(Report { count, failures, tests_succeeded: status.success(), device_succeeded })
}

fn device_program() -> Result<bool> {
    if !root().join(DEVICE_PROGRAM).is_file() {
        println!("\n{DEVICE_PROGRAM} is absent: the no_std claim is untested");
        return Ok(false);
    }
    succeeds(&mut cargo(&["run", "--quiet", "--locked", "--manifest-path", DEVICE_PROGRAM]))
}

/// Passes the lines through as they come, adds up the summaries and keeps what failed tests said.
fn stream(mut lines: impl BufRead, mut out: impl Write) -> io::Result<(Count, String)> {
    let (mut count, mut failures, mut failing) = (Count::default(), String::new(), false);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        out.flush()?;
        let text = String::from_utf8_lossy(&line);
        count.add(&text);
        failing = !text.starts_with("test result:") && (failing || text.trim_end() == "failures:");
        if failing && failures.len() < MAX_FAILURES {
            failures.push_str(&text);
        }
        line.clear();
    }
    Ok((count, failures))
}

impl Count {
    /// Adds a line like `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn add(&mut self, line: &str) {
        let Some(summary) = line.trim().strip_prefix("test result:") else { return };
        let number_before = |word: &str| {
            let (head, _) = summary.split_once(word)?;
            head.trim_end().rsplit([' ', ';', '.']).next()?.parse::<u64>().ok()
        };
        self.passed += number_before("passed").unwrap_or(0);
        self.failed += number_before("failed").unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_add_up_and_other_lines_do_not() {
        let output = "running 2 tests\ntest a ... ok\ntest 9 passed ... ok\n\
            test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out\n\
            failures:\n---- b stdout ----\nit broke\n\
            test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let mut passed_on = Vec::new();
        let (count, failures) = stream(output.as_bytes(), &mut passed_on).unwrap();
        assert_eq!(count, Count { passed: 19, failed: 2 });
        assert_eq!(failures, "failures:\n---- b stdout ----\nit broke\n");
        assert_eq!(passed_on, output.as_bytes());
    }

    #[test]
    fn a_run_that_never_started_does_not_pass() {
        let report = Report {
            count: Count::default(),
            failures: String::new(),
            tests_succeeded: false,
            device_succeeded: true,
        };
        assert!(!report.passed());
        assert!(report.line().ends_with("\n0 passed, 0 failed"), "{}", report.line());
    }
}
