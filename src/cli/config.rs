//! `muster config`, and where the one file of settings is.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a file of settings: every fault at once, and what would be used.
    Check(ConfigCheck),
}

#[derive(Args)]
pub(crate) struct ConfigCheck {
    /// The file; without it, the one that a server would read.
    pub(crate) file: Option<PathBuf>,
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One object a line, for machines.
    Json,
}

/// Which log lines are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogLevel(pub(crate) String);

/// Characters of a level: some ten crates, each with its own.
const LEVEL_CHARACTERS: usize = 512;

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let cure = "say error, warn, info, debug or trace, or such as info,muster_gateway=debug";
        if text.trim().is_empty() || text.len() > LEVEL_CHARACTERS {
            return Err(cure.into());
        }
        // A lone word that is no level would be the name of a crate, and silence the others.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        if !text.contains(['=', ',', '[']) && !levels.contains(&text.to_lowercase().as_str()) {
            return Err(cure.into());
        }
        match tracing_subscriber::EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("{error}; {cure}")),
        }
    }
}
