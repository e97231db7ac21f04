use super::{Session, status};
use crate::cli::{Ledger, LedgerExport};
use crate::home::Home;
use anyhow::{Context as _, Result};
use data_encoding::BASE64URL_NOPAD;
use muster_api::Client;
use muster_identity::cbor::Decode as _;
use muster_ledger::{Block, Chain, Checkpoint, Entry, View as _};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

pub(super) async fn run(session: &Session, command: Ledger) -> Result<ExitCode> {
    match command {
        Ledger::Audit(store) => super::node::audit(session, &store).await,
        Ledger::Export(arg) => match &arg.whole {
            Some(file) => super::node::export(session, &arg.store, file).await,
            None => export(session, &arg).await,
        },
        Ledger::Import(arg) => super::node::import(session, &arg).await,
        Ledger::Status(node) => status::run(session, &node).await,
    }
}

/// Fetches all entries, recomputing every root on the way.
pub(crate) async fn replay(
    home: &Home,
    client: &Client,
    mut each: impl FnMut(&Entry, &[u8]) -> Result<()>,
) -> Result<(Chain, Checkpoint)> {
    let genesis = home.genesis()?;
    let mut chain = Chain::new(&genesis);
    let mut pending: Vec<Entry> = Vec::new();
    let mut size = 0;
    loop {
        let feed = client.feed(size, 0, 0).await?;
        let checkpoint = Checkpoint::parse(&feed.checkpoint)?;
        for bytes in &feed.entries {
            let entry = Entry::from_cbor(bytes).context("the node sends a malformed entry")?;
            each(&entry, bytes)?;
            pending.push(entry);
            size += 1;
        }
        if size < checkpoint.head().size && !feed.entries.is_empty() {
            continue;
        }
        for block in Block::from_entries(std::mem::take(&mut pending))? {
            chain = chain.extend(&block)?.0;
        }
        chain.check(&checkpoint)?;
        home.learn(chain.size(), &chain.state().validators()?)?;
        return Ok((chain, checkpoint));
    }
}

async fn export(session: &Session, arg: &LedgerExport) -> Result<ExitCode> {
    let client = arg.node.client()?;
    let mut out: Box<dyn Write> = match &arg.out {
        Some(file) => Box::new(BufWriter::new(
            File::create(file).with_context(|| format!("cannot write {}", file.display()))?,
        )),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut index = 0;
    let (chain, _) = replay(&session.home, &client, |entry, bytes| {
        let operation = entry.operation.verify()?;
        let line = json!({
            "entry": index,
            "height": entry.height,
            "time": entry.time.0,
            "action": operation.operation().action.word(),
            "author": operation.operation().author.to_string(),
            "key": operation.key().to_string(),
            "bytes": BASE64URL_NOPAD.encode(bytes),
        });
        index += 1;
        Ok(writeln!(out, "{line}")?)
    })
    .await?;
    out.flush()?;
    if arg.out.is_some() {
        session.output.say(format!("{} entries written, every root recomputed", chain.size()));
    }
    Ok(ExitCode::SUCCESS)
}
