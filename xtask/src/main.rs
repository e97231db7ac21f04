//! Developer tasks, run as `cargo xtask TASK`. Standard library only, so they build in seconds.

use std::{env, process::ExitCode};

mod ci;
mod fuzz;
mod machine;
mod package;
mod setup;
mod shell;
mod soak;
mod suite;

const HELP: &str = "\
cargo xtask TASK

  test                prepare what tests need, then run every test and the no_std device program
  ci                  format, clippy, documentation, dependency rules, fuzz smoke run, tests
  fuzz [--seconds N]  smoke-run every fuzz target for N seconds (default 5), on stable Rust
       [--only NAME] [--seed N]
  soak [--seed N]     four nodes under load, and faults at random from a seed, for minutes
       [--minutes M]  (default 5); the same seed gives the same order
  machine             make the clean Debian that packages are tried in
  package [--profile dist] [--out DIR] [--sign-with KEY] [--binary FILE]
                      Debian packages, archive, bill of materials, signed checksums
  help                this text

Vectors shared between projects are looked for in $MUSTER_VECTORS, else in ../shared/vectors.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => suite::run().map(|report| {
            println!("{}", report.line());
            report.passed()
        }),
        ["ci"] => ci::run(),
        ["fuzz", options @ ..] => fuzz::run(options),
        ["soak", options @ ..] => soak::run(options),
        ["machine"] => machine::ensure().map(|machine| machine.is_some()),
        ["package", options @ ..] => package::run(options),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("xtask: {fault}");
            ExitCode::FAILURE
        }
    }
}
