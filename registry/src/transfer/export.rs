use super::format::{FORMAT, First, Last, Line, told};
use super::{Moved, limits};
use crate::folder::{Folder, LEDGER};
use crate::store::tables::{self, Table, Value};
use crate::store::{Store, StoreUrl};
use crate::{Error, lost, recovery, store};
use data_encoding::{BASE64, HEXLOWER};
use muster_identity::sha256;
use muster_ledger::{Genesis, Time};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// Tables of the private directory, which nothing else determines.
pub(super) static DIRECTORY: &[&Table] = &[
    &tables::ORGANISATIONS,
    &tables::SERIALS,
    &tables::SERIAL_OF,
    &tables::LINE,
    &tables::LINE_EARLIER,
    &tables::GATEWAYS,
    &tables::GATEWAY_SIZES,
    &tables::SEEN,
    &tables::GATEWAY_HOURS,
    &tables::NOTES,
    &tables::ACTS,
];

/// Lines on their way out, and the hash of what was written: of the hash so far and each line.
struct Lines<'a> {
    out: &'a mut (dyn Write + Send),
    hash: [u8; 32],
}

impl Lines<'_> {
    fn write(&mut self, line: &impl serde::Serialize) -> Result<(), Error> {
        let mut text = serde_json::to_vec(line).map_err(|e| Error::Us(e.to_string()))?;
        text.push(b'\n');
        self.hash = sha256(&[&self.hash, &text]);
        self.out.write_all(&text).map_err(|e| Error::Full(e.to_string()))
    }
}

/// Writes out a ledger and its private directory. Its node must not run: it is held while this
/// goes on.
pub async fn export(
    dir: &Path,
    url: &StoreUrl,
    genesis: &Genesis,
    now: Time,
    out: &mut (dyn Write + Send),
) -> Result<Moved, Error> {
    if *url == StoreUrl::Folder {
        let path = dir.join(LEDGER);
        std::fs::File::open(&path).map_err(|e| Error::file(&path, &e))?;
    }
    let folder = Folder::take_for(dir, url).await?;
    let store = store::open(url, &folder, genesis, Some(now)).await?;
    let done = write_out(&*store, genesis, out).await;
    store.close().await;
    folder.release();
    done
}

async fn write_out(
    store: &dyn Store,
    genesis: &Genesis,
    out: &mut (dyn Write + Send),
) -> Result<Moved, Error> {
    let recovered = recovery::recover(store, genesis).await?;
    let chain = &recovered.chain;
    let mut lines = Lines { out, hash: [0; 32] };
    let network = genesis.network().to_string();
    lines.write(&First { muster: "ledger".into(), format: FORMAT, network })?;
    let batches = store.batch_numbers().await?;
    let live: BTreeSet<u64> = batches.values().copied().collect();
    for table in DIRECTORY {
        write_table(&mut lines, store, table, &live).await?;
    }
    write_table(&mut lines, store, &tables::BATCHES, &live).await?;
    let mut devices = 0;
    for number in &live {
        devices += write_leaves(&mut lines, store, *number).await?;
    }
    let mut from = 0;
    loop {
        let page = store.entries(from, limits::PAGE).await?;
        if page.is_empty() {
            break;
        }
        from += page.len() as u64;
        lines.write(&Line::Entries(page.iter().map(|entry| BASE64.encode(entry)).collect()))?;
    }
    let moved = Moved {
        size: recovered.log.size(),
        devices,
        log_root: recovered.log.root(),
        state_root: chain.state().root(),
        uploads: store.uploads().await?.len() as u64,
        lost: lost::find(store, chain).await?.len() as u64,
    };
    let last = Last {
        entries: moved.size,
        devices,
        log_root: BASE64.encode(&moved.log_root),
        state_root: BASE64.encode(&moved.state_root),
        sha256: HEXLOWER.encode(&lines.hash),
    };
    lines.write(&last)?;
    Ok(moved)
}

/// Rows that a device of a live batch has, or nobody's; numbers of uploads are forgotten.
async fn write_table(
    lines: &mut Lines<'_>,
    store: &dyn Store,
    table: &'static Table,
    live: &BTreeSet<u64>,
) -> Result<(), Error> {
    let is_live = |value: &Value| match value {
        Value::Number(number) => u64::try_from(*number).is_ok_and(|number| live.contains(&number)),
        _ => false,
    };
    let place = |name: &str| table.columns.iter().position(|(column, _)| *column == name);
    let (upload, batch) = match table.name {
        "serials" => (place("upload"), None),
        "line" => (None, place("batch")),
        _ => (None, None),
    };
    let mut after = None;
    loop {
        let mut rows = store.rows(table, after, limits::PAGE).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.clone());
        rows.retain(|row| upload.and_then(|place| row.get(place)).is_none_or(is_live));
        for row in &mut rows {
            if let Some(value) = batch.and_then(|place| row.get_mut(place))
                && !is_live(value)
            {
                *value = Value::None;
            }
        }
        if !rows.is_empty() {
            lines.write(&Line::Table(table.name.into(), told(rows)))?;
        }
    }
}

async fn write_leaves(lines: &mut Lines<'_>, store: &dyn Store, batch: u64) -> Result<u64, Error> {
    let (mut after, mut count) = (None, 0);
    let number = store::columns::integer(batch)?;
    loop {
        let leaves = store.leaves(batch, after, limits::PAGE).await?;
        let Some(last) = leaves.last() else { return Ok(count) };
        after = Some(last.name);
        count += leaves.len() as u64;
        let row = |leaf: store::StagedLeaf| {
            let name = Value::Bytes(leaf.name.0.to_vec());
            vec![Value::Number(number), name, Value::Bytes(leaf.leaf)]
        };
        let rows = leaves.into_iter().map(row).collect();
        lines.write(&Line::Table(tables::LEAVES.name.into(), told(rows)))?;
    }
}
