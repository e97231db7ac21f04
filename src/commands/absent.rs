//! What is said of the commands that this build leaves out.

use super::Session;
use crate::cli::{LedgerImport, NodeCommand, SampleCommand, StoreArg};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::ExitCode;

pub(super) async fn run(_: &Session, _: NodeCommand) -> Result<ExitCode> {
    refuse()
}

pub(super) async fn audit(_: &Session, _: &StoreArg) -> Result<ExitCode> {
    refuse()
}

pub(super) async fn export(_: &Session, _: &StoreArg, _: &Path) -> Result<ExitCode> {
    refuse()
}

pub(super) async fn import(_: &Session, _: &LedgerImport) -> Result<ExitCode> {
    refuse()
}

pub(super) fn sample(_: &Session, _: &SampleCommand) -> Result<ExitCode> {
    refuse()
}

fn refuse() -> Result<ExitCode> {
    bail!(
        "this command is not in this build, which is for gateways: install the whole muster, or \
         build it with its default features: cargo build --release --features node"
    )
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use crate::output::Output;
    use clap::Parser as _;

    /// Each with options that only the whole build knows: they are not what is wrong.
    const LEFT_OUT: [&[&str]; 12] = [
        &["demo", "--exit"],
        &["serve", "--listen", "127.0.0.1:7700"],
        &["backup", "saved"],
        &["restore", "saved", "--audit"],
        &["enrol", "run.jsonl", "--dry-run", "--help"],
        &["lot", "report"],
        &["bench", "enrol", "--devices", "10"],
        &["device", "new", "pump.pem"],
        &["device", "reel", "reel", "--devices", "3"],
        &["ledger", "audit"],
        &["ledger", "export", "--whole", "ledger.jsonl"],
        &["ledger", "import", "ledger.jsonl"],
    ];

    #[tokio::test]
    async fn a_command_that_was_left_out_says_how_to_build_it() {
        for args in LEFT_OUT {
            let cli = Cli::try_parse_from([&["muster"], args].concat()).expect("it is known");
            let refused = super::super::run(cli, Output::new(true)).await.unwrap_err().to_string();
            assert!(
                refused.contains("cargo build --release --features node"),
                "{args:?}: {refused}"
            );
        }
    }
}
