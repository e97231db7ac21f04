//! The command line.

use std::time::Duration;

pub const USAGE: &str = "usage: cargo xtask fuzz [--seconds N] [--only NAME] [--seed N]";

/// What to run, and from which seed.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub seconds: Duration,
    pub seed: u64,
    only: Option<String>,
}

impl Options {
    /// Reads the arguments.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        // A fixed seed, so that a change does not fail on another change's luck.
        let mut options = Self { seconds: Duration::from_secs(5), seed: 1, only: None };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{value} is not a number"));
            match name.as_str() {
                "--seconds" => options.seconds = Duration::from_secs(number()?),
                "--seed" => options.seed = number()?,
                "--only" => options.only = Some(value),
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(options)
    }

    /// Whether the target is to run.
    pub fn chooses(&self, target: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_nonsense_refused() {
        let parse = |text: &str| Options::parse(text.split_whitespace().map(str::to_owned));
        let options = parse("--seconds 2 --only did --seed 9").unwrap();
        assert_eq!((options.seconds.as_secs(), options.seed), (2, 9));
        assert!(options.chooses("did") && !options.chooses("inception"));
        assert!(parse("").unwrap().chooses("inception"));
        for bad in ["--seconds", "--seconds x", "--fast 1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
