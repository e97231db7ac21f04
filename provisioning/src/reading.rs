//! The pass over the files: every row is read and checked before anything leaves the machine. One
//! thread reads, one on each core checks, and the caller collects the rows in their order.

use crate::archives;
use crate::check::{Checked, Found, Terms};
use crate::formats::{Format, Span};
use crate::meter::Meter;
use crate::parsing::{Parsed, Parser};
use crate::rows::{Collector, Rows};
use crate::{Bytes, Counts, Error};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Rows that are checked together, by their place among all such.
pub(crate) type Share = (u64, Vec<Found>);

/// A row that was checked, and where it stands: file, line, bytes.
type Row = (u32, u64, Option<Span>, Checked);

/// A share of them.
type Done = (u64, Vec<Row>);

/// Who hears how far the reading is: rows with what is known of them, bytes.
type Listener<'a> = &'a mut dyn FnMut(Counts, Bytes);

/// Reads and checks all files; `read` hears how far it is. What does not fit in
/// memory goes to files in the folder `spool`.
pub(crate) fn read(
    inputs: &[PathBuf],
    format: Option<Format>,
    terms: &Terms,
    spool: &Path,
    read: Listener<'_>,
) -> Result<Rows, Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A core's worth of shares waits at most, so that memory is bounded.
    let (shares, waiting) = sync_channel::<Share>(cores);
    let (checked, done) = sync_channel::<Done>(cores);
    let waiting = Mutex::new(Some(waiting));
    let mut collector = Collector::new(spool);
    let meter = Meter::default();
    let total = inputs.iter().map(|path| archives::size(path)).sum::<Result<u64, Error>>()?;
    let mut told = |counts| read(counts, Bytes { done: meter.bytes().min(total), total });
    let mut parser = Parser::new(terms, shares, meter.clone());
    let (parsed, collected) = std::thread::scope(|scope| {
        let parsing = scope.spawn(move || {
            let parsed = parser.all(inputs, format);
            (parsed, parser.finish())
        });
        for _ in 0..cores {
            let (waiting, checked) = (&waiting, checked.clone());
            scope.spawn(move || check(terms, waiting, checked));
        }
        drop(checked);
        let collected = collect(done, &mut collector, &mut told);
        // Whoever still reads for nobody ends.
        *waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        (parsing.join(), collected)
    });
    let (parsed, Parsed { files, units, mendable, mut warnings }) =
        parsed.map_err(|_| Error::Internal("the reading panicked".into()))?;
    if let Some((file, line, field)) = collected? {
        let unit = units.get(file as usize).copied().unwrap_or_default();
        let file = files.get(file as usize).cloned().unwrap_or_default();
        return Err(Error::PrivateKey { file, line, unit, field });
    }
    parsed?;
    warnings.extend(terms.sources.keys.left_over());
    collector.finish(files, mendable, warnings)
}

/// Checks shares until no more come.
fn check(terms: &Terms, waiting: &Mutex<Option<Receiver<Share>>>, checked: SyncSender<Done>) {
    loop {
        let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let next = waiting.as_ref().and_then(|shares| shares.recv().ok());
        drop(waiting);
        let Some((place, share)) = next else { return };
        let row = |found: &Found| (found.file, found.line, found.span, terms.row(found));
        let rows = share.iter().map(row).collect();
        if checked.send((place, rows)).is_err() {
            return;
        }
    }
}

/// File, line and field of a private key.
type Secret = (u32, u64, String);

/// Collects shares in their order; a private key ends it.
fn collect(
    done: Receiver<Done>,
    collector: &mut Collector,
    read: &mut dyn FnMut(Counts),
) -> Result<Option<Secret>, Error> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (place, rows) in done {
        early.insert(place, rows);
        while let Some(rows) = early.remove(&next) {
            next += 1;
            for (file, line, span, checked) in rows {
                if let Err(field) = collector.take(file, line, span, checked)? {
                    return Ok(Some((file, line, field)));
                }
            }
            read(collector.counts());
        }
    }
    Ok(None)
}
