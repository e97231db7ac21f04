//! Start-up: the ledger is read back by the very code that commits it.

use crate::Error;
use crate::deciding::Step;
use crate::signed_head::SignedHead;
use crate::store::{BlockRow, Commit, Flip, Store};
use muster_identity::cbor::Decode as _;
use muster_ledger::merkle::{Tree, leaf_hash};
use muster_ledger::{Block, Chain, Changes, Entry, Genesis, State, StateKey};
use std::sync::Arc;

/// What the entries give.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) chain: Chain,
    pub(crate) log: Tree,
}

/// Entries and blocks read at once.
const PAGE: u64 = 1_024;

/// Replays all entries and compares what they give with what was written down.
pub(crate) async fn recover(store: &dyn Store, genesis: &Genesis) -> Result<Recovered, Error> {
    let mut recovered = Recovered { chain: Chain::new(genesis), log: Tree::default() };
    let mut rest: Vec<Entry> = Vec::new();
    let mut from = 0;
    loop {
        let page = store.entries(from, PAGE).await?;
        from += page.len() as u64;
        for bytes in &page {
            recovered.log.push(leaf_hash(bytes));
            rest.push(Entry::from_cbor(bytes).map_err(Error::damaged)?);
        }
        // The last block of a page may go on in the next one.
        let last = page.is_empty();
        let open = match rest.last() {
            Some(entry) if !last => rest.iter().filter(|e| e.height == entry.height).count(),
            _ => 0,
        };
        let tail = rest.split_off(rest.len() - open);
        let blocks = Block::from_entries(std::mem::replace(&mut rest, tail));
        let blocks = blocks.map_err(Error::damaged)?;
        let rows = store.blocks(recovered.chain.height() + 1, blocks.len() as u64).await?;
        let chain = recovered.chain;
        recovered.chain = tokio::task::spawn_blocking(move || replay(chain, &blocks, &rows))
            .await
            .map_err(|e| Error::Us(e.to_string()))??;
        if last {
            break;
        }
    }
    check_state(store, &recovered.chain).await?;
    Ok(recovered)
}

fn replay(mut chain: Chain, blocks: &[Block], rows: &[BlockRow]) -> Result<Chain, Error> {
    if blocks.len() != rows.len() {
        return Err(Error::damaged("entries of a block that is not written down"));
    }
    for (block, row) in blocks.iter().zip(rows) {
        chain = chain.extend(block).map_err(Error::damaged)?.0;
        let head = chain.head(block.time).map_err(Error::damaged)?;
        let given = BlockRow {
            height: head.height,
            time: head.time,
            size: head.size,
            log_root: head.log_root,
            state_root: head.state_root,
        };
        if given != *row {
            return Err(Error::damaged(format!("block {} is not what it was", row.height)));
        }
    }
    Ok(chain)
}

async fn check_state(store: &dyn Store, chain: &Chain) -> Result<(), Error> {
    if !store.blocks(chain.height() + 1, 1).await?.is_empty() {
        return Err(Error::damaged("a block without entries"));
    }
    let mut records = Changes::default();
    for (key, value) in store.state().await? {
        let key = StateKey::from_bytes(&key).ok_or_else(|| Error::damaged("an unknown record"))?;
        records.0.insert(key, Arc::from(value));
    }
    if State::default().with(&records).root() == chain.state().root() {
        Ok(())
    } else {
        Err(Error::damaged("the state is not what the entries give"))
    }
}

/// Writes a block as a running node would; the number of its entries.
pub(crate) async fn write_step(
    store: &dyn Store,
    recovered: &mut Recovered,
    step: Step,
    flips: Vec<Flip>,
) -> Result<u64, Error> {
    let commit = Commit::of(&step.after.network(), &step, flips, Vec::new())?;
    let hashes: Vec<_> = commit.entries.iter().map(|entry| leaf_hash(entry)).collect();
    let count = hashes.len() as u64;
    store.commit(vec![commit]).await?;
    hashes.into_iter().for_each(|hash| recovered.log.push(hash));
    recovered.chain = step.after;
    Ok(count)
}

/// Whether the ledger goes on from what this node signed last.
///
/// `restored`: size and log root of the newest head that anybody has seen of a ledger that was
/// put back from a backup.
pub(crate) fn check_signed(
    signed: &SignedHead,
    recovered: &Recovered,
    restored: Option<&(u64, [u8; 32])>,
) -> Result<(), Error> {
    let Some(last) = signed.last() else { return check_restored(recovered, restored) };
    let ours = recovered.chain.head(last.time).map_err(Error::damaged)?;
    if ours.size <= last.size {
        return signed.allows(&ours);
    }
    if recovered.log.root_at(last.size) != Some(last.log_root) {
        return Err(Error::operator(
            format!("this node signed another log of {} entries", last.size),
            "the folder holds files of two ledgers: restore the newest copy of ledger.db",
        ));
    }
    Ok(())
}

/// The same for a node among several: what it lacks it takes from the others, and signs nothing
/// that its record does not allow.
pub(crate) fn check_signed_together(
    signed: &SignedHead,
    recovered: &Recovered,
) -> Result<(), Error> {
    let behind = signed.last().is_none_or(|last| recovered.chain.size() < last.size);
    if behind { Ok(()) } else { check_signed(signed, recovered, None) }
}

/// Without a record of what was signed, somebody must say how far the ledger went.
fn check_restored(recovered: &Recovered, restored: Option<&(u64, [u8; 32])>) -> Result<(), Error> {
    let ours = recovered.chain.size();
    if ours == 0 && restored.is_none() {
        return Ok(());
    }
    let Some((size, root)) = restored else {
        return Err(Error::operator(
            format!("ledger.db has {ours} entries, and no signed-head says what this node signed"),
            "if a backup was put back, say `muster serve --restored SIZE:ROOT` with the newest head \
             that a gateway or another follower has: signing an older copy would fork the ledger",
        ));
    };
    if recovered.log.root_at(*size).as_ref() != Some(root) {
        return Err(Error::operator(
            format!("ledger.db has {ours} entries and does not contain the head of {size} entries"),
            "put a newer copy of ledger.db back: signing this one would fork the ledger",
        ));
    }
    tracing::warn!(
        "there is no signed-head; the ledger of {ours} entries goes on from a head of {size} \
         entries, which whoever runs this node answers for being the newest"
    );
    Ok(())
}
