use super::Session;
use anyhow::{Result, bail};
use std::io::{self, IsTerminal as _, Write as _};

/// What is final or large is typed by somebody: the number of what it concerns.
pub(super) fn confirm(session: &Session, would: &str, ask: &str, count: u64) -> Result<()> {
    if session.output.is_json() || !io::stdin().is_terminal() {
        bail!("{would}; say --yes, or run it on a terminal");
    }
    print!("{ask} Type their number: ");
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    if line.trim() != count.to_string() {
        bail!("nothing was done");
    }
    Ok(())
}

/// A question that is answered by `yes`.
pub(super) fn agree(ask: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!("nobody is there to be asked; say --yes, or run it on a terminal");
    }
    print!("{ask} Type yes: ");
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    if line.trim() != "yes" {
        bail!("nothing was done");
    }
    Ok(())
}
