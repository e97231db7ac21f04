//! `cargo xtask soak`: faults at random from a seed, for minutes. The test does it; this says how.

use crate::setup;
use crate::shell::{Result, cargo, succeeds};
use std::time::SystemTime;

/// The test that does it.
const TEST: &str = "soak::faults_at_random_from_a_seed";

/// Minutes, unless others are asked for.
const MINUTES: u64 = 5;

/// Runs it. The same seed gives the same order of events.
pub(crate) fn run(options: &[&str]) -> Result<bool> {
    let (mut seed, mut minutes) = (None, MINUTES);
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let number = rest.next().and_then(|text| text.parse::<u64>().ok());
        let number = number.ok_or_else(|| format!("soak: {option} takes a number"))?;
        match *option {
            "--seed" => seed = Some(number),
            "--minutes" => minutes = number,
            other => return Err(format!("soak: unknown option {other}: --seed N, --minutes M")),
        }
    }
    setup::ensure_apt(setup::FAULTS)?;
    let seed = seed.unwrap_or_else(from_the_clock);
    println!("soak: again with: cargo xtask soak --seed {seed} --minutes {minutes}");
    let mut command = cargo(&["test", "--locked", "--features", "consortium"]);
    command.args(["--test", "consortium", "--", "--exact", TEST, "--nocapture"]);
    command.env("MUSTER_SOAK_SEED", seed.to_string());
    command.env("MUSTER_SOAK_MINUTES", minutes.to_string());
    succeeds(&mut command)
}

/// A seed that the last run did not have.
fn from_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map(|since| since.as_millis() as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_none_are_refused() {
        for options in [&["--seed"][..], &["--seed", "x"], &["--hours", "1"], &["5"]] {
            assert!(run(options).is_err_and(|why| why.starts_with("soak: ")), "{options:?}");
        }
    }
}
